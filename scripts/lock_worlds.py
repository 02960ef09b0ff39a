"""Writes `dataenv/worlds.lock`, or says what differs from it.

    python scripts/lock_worlds.py --check
    python scripts/lock_worlds.py

A world that has changed needs a new `dataenv.lock.VERSION` first: results of the old one stand for
the old one. Only a student may be added to it.
"""

from __future__ import annotations

import argparse
import json

from dataenv.lock import LOCK, describe_worlds


def differences(old: dict, new: dict, path: str = "") -> list[str]:
    """Paths of the values that differ."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
    keys = sorted({*old, *new})
    return [d for key in keys for d in differences(old.get(key), new.get(key), f"{path}/{key}")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    new = json.loads(json.dumps(describe_worlds()))
    old = json.loads(LOCK.read_text("utf-8")) if LOCK.exists() else {}
    changed = differences(old, new)
    print("\n".join(changed) or "nothing has changed")
    if args.check:
        raise SystemExit(bool(changed))
    known = old.get("students", {})
    grown = {**new, "students": {name: new["students"].get(name) for name in known}}
    if old.get("version") == new["version"] and differences(old, grown):
        raise SystemExit("raise dataenv.lock.VERSION: this world is locked already")
    LOCK.write_text(json.dumps(new, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
