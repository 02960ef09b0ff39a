"""Writes the hashes of the benchmarks' splits to `dataenv/tasks/benchmarks.lock`.

DATAENV_DATA=folder python scripts/lock_splits.py scibench financereasoning cruxeval
"""

from __future__ import annotations

import argparse
import json

from dataenv.tasks.benchmarks import BENCHMARKS, LOCK, describe_splits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=tuple(BENCHMARKS))
    args = parser.parse_args()
    old = json.loads(LOCK.read_text("utf-8")) if LOCK.exists() else {}
    new = old | describe_splits(args.names)
    LOCK.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n", "utf-8")
    print(json.dumps(new, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
