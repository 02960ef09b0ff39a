"""Compares controllers on the same targets at equal budgets; resumable.

    python scripts/compare_controllers.py --out records/controllers.jsonl --targets 20
    python scripts/compare_controllers.py --out records/controllers.jsonl --targets 20 \\
        --controllers privileged
    python scripts/compare_controllers.py --out records/controllers.jsonl --table

Every episode is one JSON line; episodes that are there are not run again. Target and seed are the
same for all controllers, so that they are compared under common random numbers.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from dataenv.env import DataEnv
from dataenv.policy import run_episode
from dataenv.registry import env_config, make_policy
from dataenv.runs.resumable import read_current, run_jobs
from dataenv.runs.runner import result_of
from dataenv.statistics import mean_bootstrap, ratio_bootstrap

CONTROLLERS = (
    "random",
    "random_mix",
    "mirror",
    "mirror_second",
    "headroom",
    "stratified",
    "seed_only",
    "self_instruct",
    "evol_instruct",
    "pipeline",
    "skill_tree",
    "importance",
    "student_loss",
    "less",
    "rds",
    "feedback",
    "feedback_shuffled",
    "program",
    "matched_teacher",
    "matched_clean",
    "privileged",
)
DEFAULT = tuple(name for name in CONTROLLERS if name != "privileged")  # its search takes minutes
DOMAINS = ("Science", "Code", "Finance")
FIRST_TARGET = 1_000_000  # validation targets: the test ones are kept for later

Job = tuple[str, int, tuple[str, ...]]


def play(job: Job) -> list[dict]:
    """Some controllers on one target of one domain; runs in a worker process."""
    domain, number, names = job
    config = env_config(f"{domain}-fast-v0", split="validation")
    env, records = DataEnv(config=config), []
    for name in names:
        began, policy = time.monotonic(), make_policy(name)
        options = {"target": FIRST_TARGET + number}
        episode = run_episode(env, policy, number, options)
        record = result_of(env, episode, name, number, time.monotonic() - began)
        del record["flipped"], record["config"]  # texts; and the preset's, the same for all
        record["search"] = getattr(policy, "cost", None)
        record["scores"] = [[e.public.score, e.reward.score] for e in env.evaluations]
        records.append(record)
    return records


def table(records: list[dict]) -> str:
    """Mean private scores with intervals over targets, and paired differences to mirror."""
    lines = [
        "| domain | controller | targets | base | private | minus mirror (points) | calls |",
        "|---|---|---|---|---|---|---|",
    ]
    for domain in DOMAINS:
        mine = [r for r in records if r["task"] == domain.lower()]
        mirror = {r["target"]: r["final"]["private"] for r in mine if r["policy"] == "mirror"}
        for name in CONTROLLERS:
            chosen = [r for r in mine if r["policy"] == name]
            if not chosen:
                continue
            finals = [r["final"]["private"] for r in chosen]
            low, high = _interval(finals)
            paired = [
                100 * (r["final"]["private"] - mirror[r["target"]])
                for r in chosen
                if r["target"] in mirror
            ]
            lines.append(
                f"| {domain.lower()} | {name} | {len(chosen)} | "
                f"{np.mean([r['base']['private'] for r in chosen]):.3f} | "
                f"{np.mean(finals):.3f} [{low:.3f}, {high:.3f}] | "
                f"{_signed(paired)} | "
                f"{np.mean([r['budget']['calls']['used'] for r in chosen]):.0f} |"
            )
    return "\n".join([*lines, "", *headroom(records), "", *contrasts(records)])


def headroom(records: list[dict]) -> list[str]:
    """How much of what there is to win `mirror` wins already, by domain."""
    lines = []
    for domain in map(str.lower, DOMAINS):
        found: dict[str, dict[str, float]] = {}
        for record in records:
            if record["task"] == domain and record["policy"] in ("mirror", "privileged"):
                gain = record["final"]["private"] - record["base"]["private"]
                found.setdefault(record["target"], {})[record["policy"]] = gain
        both = [gains for gains in found.values() if len(gains) == 2]
        if both:
            above, below = ([gains[p] for gains in both] for p in ("mirror", "privileged"))
            spread = ratio_bootstrap(above, below)
            lines.append(
                f"{domain}: (mirror - base) / (privileged - base) = {sum(above) / sum(below):.2f} "
                f"[{spread.low:.2f}, {spread.high:.2f}], {len(both)} targets"
            )
    return lines


CONTRASTS = (
    ("feedback", "mirror"),
    ("feedback", "headroom"),
    ("feedback", "feedback_shuffled"),
    ("feedback_shuffled", "mirror"),
    ("privileged", "feedback"),
)
"""Pairs that say what reports are worth: all of them, those after the first, one's own."""


def contrasts(records: list[dict]) -> list[str]:
    """Differences of `CONTRASTS` in points, paired by target: over all domains, and by domain."""
    private: dict[str, dict[tuple[str, str], float]] = {}
    for each in records:
        of = private.setdefault(each["policy"], {})
        of[each["task"], each["target"]] = 100 * each["final"]["private"]
    names = [domain.lower() for domain in DOMAINS]
    lines = [f"| minus | all | {' | '.join(names)} | targets |", "|---" * (len(names) + 3) + "|"]
    for one, other in CONTRASTS:
        shared = sorted(set(private.get(one, ())) & set(private.get(other, ())))
        if shared:
            found = {t: private[one][t] - private[other][t] for t in shared}
            cells = [_signed([d for t, d in found.items() if t[0] == name]) for name in names]
            whole = _signed(list(found.values()))
            lines.append(f"| {one}, {other} | {whole} | {' | '.join(cells)} | {len(shared)} |")
    return lines


def _signed(values: list[float]) -> str:
    if not values:
        return "-"
    low, high = _interval(values)
    return f"{np.mean(values):+.1f} [{low:+.1f}, {high:+.1f}]"


def _interval(values: list[float]) -> tuple[float, float]:
    found = mean_bootstrap(values)
    return found.low, found.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--controllers", nargs="+", default=DEFAULT, choices=CONTROLLERS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="only print the table")
    args = parser.parse_args()
    records = read_current(args.out)
    if not args.table:
        done = {(r["task"], r["seed"], r["policy"]) for r in records}
        jobs = []
        for number in range(args.targets):
            for domain in DOMAINS:
                names = [n for n in args.controllers if (domain.lower(), number, n) not in done]
                if names:
                    jobs.append((domain, number, tuple(names)))
        run_jobs(play, jobs, args.out, args.processes)
        records = read_current(args.out)
    print(table(records))


if __name__ == "__main__":
    main()
