"""Scores a base student on the benchmarks.

    DATAENV_DATA=path/to/data python scripts/base_scores.py --student smollm2-135m \\
        --out records/benchmark_base.json

Public items are asked, the first of every benchmark's stratified split.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from dataenv.config import DecodingConfig
from dataenv.evaluation import evaluate
from dataenv.presets import BENCHMARK_IDS
from dataenv.registry import env_config
from dataenv.students import load_student
from dataenv.students.base import BASE
from dataenv.world import open_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="smollm2-135m")
    parser.add_argument(
        "--benchmarks", nargs="+", default=list(BENCHMARK_IDS), choices=BENCHMARK_IDS
    )
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    student = load_student(args.student, args.threads)
    decoding, found = DecodingConfig(args.new_tokens, 16), []
    for name in args.benchmarks:
        config = env_config(f"dataenv/{name}-v0", public=args.items, private=args.items, calls=0)
        task, began = open_world(config).task(0), time.perf_counter()
        scores = evaluate(student, BASE, task.public, task.grader, decoding)
        record = {
            "benchmark": name,
            "student": f"{args.student}: {student.placement}",
            "grader": task.grader,
            "items": len(task.public),
            "score": scores.score,
            "interval": [scores.interval.low, scores.interval.high],
            "no_answer_found": scores.extraction_failures,
            "cut_off": sum(scores.truncated),
            "new_tokens": args.new_tokens,
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(json.dumps(record), flush=True)
        found.append(record)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
