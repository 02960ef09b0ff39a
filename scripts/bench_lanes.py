"""Times episodes with a trained student beside those with its surrogate.

    python scripts/bench_lanes.py --policy feedback --seeds 2

The same targets, seeds and budgets in both; CPU seconds of one thread, so that a busy machine counts
for little. The task of a target is built first and timed apart. Private items are not scored, as in RL.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from dataenv.env import DataEnv
from dataenv.policy import run_episode
from dataenv.registry import env_config, make_policy
from dataenv.students.base import Student

DOMAINS = ("Science", "Code", "Finance")
LANES = ("fast", "surrogate")


def measure(domain: str, lane: str, policy: str, seeds: int) -> dict[str, Any]:
    """CPU seconds of episodes on one target."""
    env = DataEnv(config=env_config(f"{domain}-{lane}-v0", score_private=False))
    load(env.student)
    began = time.process_time()
    env.reset(seed=seeds, options={"target": 0})
    first = time.process_time() - began
    began, steps, teacher = time.process_time(), 0, 0.0
    for seed in range(seeds):
        steps += len(run_episode(env, make_policy(policy), seed, {"target": 0}).steps)
        teacher += env.seconds["teacher"]
    seconds = time.process_time() - began
    return {
        "task": f"{domain}-{lane}",
        "policy": policy,
        "first_reset_s": round(first, 2),
        "episode_s": round(seconds / seeds, 2),
        "episodes_per_minute": round(60 * seeds / seconds, 1),
        "steps_per_second": round(steps / seconds, 1),
        "teacher_wall_s": round(teacher / seeds, 2),
    }


def load(student: Student) -> None:
    """Has a student loaded, which is done once in a process."""
    student.count_tokens("What is 3 + 4?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy", default="feedback")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    for domain in DOMAINS:
        found = [measure(domain, lane, args.policy, args.seeds) for lane in LANES]
        for each in found:
            print(json.dumps(each), flush=True)
        print(f"{domain}: {found[0]['episode_s'] / found[1]['episode_s']:.0f} times", flush=True)


if __name__ == "__main__":
    main()
