"""Times one train-and-evaluate step of an environment, and the environment's own share of it.

    python scripts/bench_step.py --task dataenv/Science-fast-v0 --threads 2
    python scripts/bench_step.py --task dataenv/Science-v0 --rows 500 --threads 2
    python scripts/bench_step.py --config configs/smollm2.yaml --rows 128 --repeats 1

Every repeat writes a fresh set of rows, so that no cache answers. The set is full unless `--rows`
says otherwise; in episodes it mostly is not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from dataenv.env import DataEnv
from dataenv.presets import EnvConfig
from dataenv.registry import config_from_file, env_config

BUDGETS = {"calls": 10**6, "trainings": 10**3, "steps": 10**6, "min_rows": 1}


def measure(config: EnvConfig, rows: int | None, repeats: int) -> dict:
    """Medians over repeats, in seconds."""
    env = DataEnv(config=config)
    env.reset(seed=0)
    like = [item.id for item in env.task.public[:64]]
    wanted = rows or config.max_rows

    def step(operation: str, **arguments) -> None:
        error = env.step({"op": operation, **arguments})[4]["report"].error
        if error:
            raise SystemExit(f"{operation}: {error}")

    steps, parts = [], []
    for _ in range(repeats):
        if len(env.working_set):
            step("drop", rows=[row.id for row in env.working_set])
        while len(env.working_set) < wanted:
            n = min(256, wanted - len(env.working_set))
            step("generate", brief="", n=n, examples=like)
        before = dict(env.seconds)
        began = time.perf_counter()
        step("train")
        steps.append(time.perf_counter() - began)
        parts.append({name: env.seconds[name] - before[name] for name in before})
    inside = [sum(part.values()) for part in parts]
    return {
        "task": config.domain,
        "student": f"{env.student.name}: {env.student.placement}",
        "rows": wanted,
        "items": config.public + config.reward + config.retention,
        "threads": config.threads,
        "step": round(statistics.median(steps), 2),
        "train": round(statistics.median(part["train"] for part in parts), 2),
        "decode": round(statistics.median(part["decode"] for part in parts), 2),
        "overhead_percent": round(
            100 * statistics.median((s - i) / s for s, i in zip(steps, inside, strict=True)), 2
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", help="may be repeated; default: all -fast ids")
    parser.add_argument("--config", type=Path, help="a YAML file, instead")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    fields = {"threads": args.threads, **BUDGETS}
    if args.config:
        configs = [config_from_file(args.config, args.set, **fields)]
    else:
        tasks = args.task or [f"dataenv/{name}-fast-v0" for name in ("Science", "Code", "Finance")]
        configs = [env_config(task, args.set, **fields) for task in tasks]
    for config in configs:
        print(json.dumps(measure(config, args.rows, args.repeats)), flush=True)


if __name__ == "__main__":
    main()
