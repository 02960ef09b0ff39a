"""Writes `dataenv/worlds.lock`, or says what differs from it.

    python scripts/lock_worlds.py --check
    python scripts/lock_worlds.py

A world that has changed needs a new `dataenv.lock.VERSION` first: results of the old one stand for
the old one.
"""

from __future__ import annotations

import argparse
import json

from dataenv.errors import ConfigError
from dataenv.lock import LOCK, describe_worlds, differences, relocked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    now = json.loads(json.dumps(describe_worlds()))
    old = json.loads(LOCK.read_text("utf-8")) if LOCK.exists() else {}
    changed = differences({**old, "digest": ""}, {**now, "digest": ""})
    print("\n".join(changed) or "nothing has changed")
    if args.check:
        raise SystemExit(bool(changed))
    try:
        new = relocked(old, now)
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    LOCK.write_text(json.dumps(new, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
