"""Times the two training backends on the same rows, beside what the machine could do.

    python scripts/bench_training.py --student smollm2-135m --rank 16 --threads 2
    python scripts/bench_training.py --student nano-a

Speed is in tokens that are no padding, and as a share of the measured peak of a matrix product in the
student's own precision. A token costs 2 FLOPs forward a parameter, 2 for the gradient of what it is
multiplied with, and 2 for the parameter's own: 4 N with an adapter, 6 N without.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from dataenv.config import TrainingConfig
from dataenv.rows import Row, WorkingSet
from dataenv.students import load_student
from dataenv.students.base import Student
from dataenv.tasks.procedural.targets import build_task, get_domain

SIZE = 1024


def peak_flops(dtype: torch.dtype, threads: int, seconds: float = 1.0) -> float:
    """FLOPs per second of square matrix products, one stream of them on each core."""

    def stream(_: int) -> float:
        torch.set_num_threads(1)
        left, right = torch.randn(SIZE, SIZE).to(dtype), torch.randn(SIZE, SIZE).to(dtype)
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            left @ right
            done += 1
        return 2 * SIZE**3 * done / (time.perf_counter() - began)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(stream, range(threads)))


def reference_rows(domain: str, count: int) -> WorkingSet:
    """Right rows of a target."""
    none = dict.fromkeys(("reward", "seeds", "retention"), 0)
    task = build_task(get_domain(domain), 0, public=1, private=1, **none)
    assert task.reference
    rows: list[Row] = task.reference(count, 1)
    return WorkingSet(tuple(rows))


def measure(student: Student, rows: WorkingSet, config: TrainingConfig, repeats: int) -> dict:
    """Median tokens per second, with the losses."""
    runs = [student.train(rows, config, "bench") for _ in range(repeats)]
    speed = statistics.median(run.tokens / run.seconds for run in runs)
    return {"tokens": runs[0].tokens, "tokens_per_s": speed, "losses": runs[0].losses}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="nano-a")
    parser.add_argument("--domain", default="science")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    student = load_student(args.student, args.threads)
    rows = reference_rows(args.domain, args.rows)
    config = TrainingConfig(epochs=1, lora_rank=args.rank, lora_alpha=2 * args.rank or 16)
    peak = peak_flops(student.placement.dtype, args.threads)
    per_token = (4 if args.rank else 6) * student.placement.parameters
    found = {}
    for backend in ("lean", "trl"):
        chosen = dataclasses.replace(config, backend=backend)
        found[backend] = one = measure(student, rows, chosen, args.repeats)
        share = one["tokens_per_s"] * per_token / peak
        shown = {
            k: v if isinstance(v, int) else round(v, 1) for k, v in one.items() if k != "losses"
        }
        print(
            json.dumps({"backend": backend, **shown, "share_of_peak": round(share, 3)}), flush=True
        )
    apart = np.abs(np.subtract(found["lean"]["losses"], found["trl"]["losses"]))
    print(
        json.dumps(
            {
                "student": f"{args.student}: {student.placement}",
                "rank": args.rank,
                "threads": args.threads,
                "peak_gflops": round(peak / 1e9),
                "losses_apart": {"mean": round(apart.mean(), 4), "largest": round(apart.max(), 4)},
                "lean": [round(each, 3) for each in found["lean"]["losses"]],
                "trl": [round(each, 3) for each in found["trl"]["losses"]],
            }
        )
    )


if __name__ == "__main__":
    main()
