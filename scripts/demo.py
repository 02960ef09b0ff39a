"""The demonstration: three controllers on one target, with a table and pictures.

python scripts/demo.py [--task dataenv/Science-fast-v0] [--seed 0] [--out runs/demo]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dataenv.registry import env_config, make_policy
from dataenv.runs.folder import is_unfinished
from dataenv.runs.runner import run_to_folder

CONTROLLERS = ("random", "mirror", "feedback")


def table(results: list[dict]) -> str:
    """Base and final private score with intervals, gain and calls, a line a controller."""
    lines = [f"{'controller':<12}{'private: base -> final':<46}{'gain (points)':<26}{'calls':>6}"]
    for result in results:
        base, final = (
            f"{each['private']:.3f} [{each['private_interval'][0]:.3f}, "
            f"{each['private_interval'][1]:.3f}]"
            for each in (result["base"], result["final"])
        )
        low, high = result["gain_interval_points"]
        gain = f"{result['gain_points']:+.1f} [{low:+.1f}, {high:+.1f}]"
        calls = result["budget"]["calls"]["used"]
        lines.append(f"{result['policy']:<12}{base + ' -> ' + final:<46}{gain:<26}{calls:>6}")
    return "\n".join(lines)


def main(task: str, seed: int, out: Path) -> list[dict]:
    """Runs the controllers and prints what came of it."""
    config = env_config(task)
    results = [
        run_to_folder(config, make_policy(name), seed, out / name, resume=is_unfinished(out / name))
        for name in CONTROLLERS
    ]
    print(f"\n{task}, target {results[0]['target']}, student {config.student}\n")
    print(table(results))
    best = max(results, key=lambda result: result["final"]["private"])
    print(f"\nItems that went from wrong to right with {best['policy']}:")
    for each in best["flipped"]:
        print(f"  {each['prompt']}\n    before: {each['before']}\n    after:  {each['after']}")
    print("\nPictures: " + ", ".join(str(out / name / "scores.png") for name in CONTROLLERS))
    return results


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--task", default="dataenv/Science-fast-v0")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, default=Path("runs/demo"))
    given = arguments.parse_args()
    main(given.task, given.seed, given.out)
