"""A small language model on this machine as the controller: `tool_agent` with SmolLM2; resumable.

    python scripts/local_agent.py --out records/local_agent.jsonl
    python scripts/local_agent.py --out records/local_agent.jsonl --table
    python scripts/local_agent.py --demo docs/examples/agent.jsonl    # the episode of `make demo-agent`

The model is SmolLM2-135M-Instruct (GGUF, by llama.cpp in this process, behind an endpoint on loopback),
held to a schema. Budgets are small, four rows are enough for a training, and it may write, draw, check
and tidy rows, train and submit: offered everything, it looks at public items for ever. What was said is
kept in ``runs/local_agent``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from dataenv.config import AgentConfig
from dataenv.registry import env_config, make_policy
from dataenv.runs.folder import TRANSCRIPT, is_unfinished
from dataenv.runs.resumable import read_current, run_jobs
from dataenv.runs.runner import run_to_folder
from dataenv.runs.tables import markdown
from dataenv.serve import ChatServer, serving
from dataenv.students.fetch import gguf_of
from dataenv.teachers.gguf import GGUFModel

MODEL = "smollm2-135m"
RUNS = Path("runs/local_agent")
EPISODES = (("Science", 0), ("Science", 1), ("Code", 0), ("Code", 1), ("Finance", 0))
SIZES = ("calls=160", "min_rows=4", "trainings=2", "steps=12")
OPERATIONS = ("generate", "draw", "verify", "dedup")
DEMO = ("Science", 1)
DEMO_SIZES = (*SIZES, "public=40", "reward=40", "private=120", "pool=120", "max_rows=48")
PORT = 8765
"""Always the same, as a run goes on with the same endpoint only."""
Job = tuple[str, int]


def play(
    job: Job,
    out: Path = RUNS,
    sizes: tuple[str, ...] = SIZES,
    student: str = "nano-a",
    port: int = PORT,
) -> list[dict[str, Any]]:
    """One episode; its record."""
    domain, seed = job
    folder = out / f"{domain.lower()}-{seed}"
    model = GGUFModel(gguf_of(MODEL), context=4096, parallel=1)
    config = env_config(f"{domain}-fast-v0", sizes, split="test", student=student)
    with serving(ChatServer(model.name, model.reply, port)) as server:
        agent = AgentConfig(
            model=model.name,
            base_url=server.url,
            answers="schema",
            operations=OPERATIONS,
            context_chars=4500,
            max_tokens=200,
            deadline_s=3600,
        )
        policy = make_policy("tool_agent", agent=agent)
        result = run_to_folder(
            config, policy, seed, folder, quiet=True, resume=is_unfinished(folder)
        )
    for name in ("flipped", "config", "quality"):
        del result[name]
    return [{"domain": domain, "sizes": sizes, "operations": OPERATIONS, **result}]


def table(records: list[dict[str, Any]]) -> str:
    """What came of every episode."""
    head = ("domain", "seed", "trainings", "rows", "private score", "gain in points", "replies")
    lines = []
    for each in records:
        low, high = each["gain_interval_points"]
        lines.append(
            [
                each["domain"],
                str(each["seed"]),
                str(each["budget"]["trainings"]["used"]),
                str(each["rows"]),
                f"{each['base']['private']:.3f} -> {each['final']['private']:.3f}",
                f"{each['gain_points']:+.1f} [{low:+.1f}, {high:+.1f}]",
                str(each["agent"]["replies"]),
            ]
        )
    return markdown(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("records/local_agent.jsonl"))
    parser.add_argument("--table", action="store_true", help="only print the table")
    parser.add_argument("--demo", type=Path, help="play one small episode and write its transcript")
    arguments = parser.parse_args()
    if arguments.demo:
        folder = RUNS / "demo"
        print(table(play(DEMO, folder, DEMO_SIZES)))
        arguments.demo.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(folder.glob(f"*/{TRANSCRIPT}")), arguments.demo)
        return
    done = {(each["domain"], each["seed"]) for each in read_current(arguments.out)}
    if not arguments.table:
        jobs = [job for job in EPISODES if job not in done]
        run_jobs(play, jobs, arguments.out, 1)
    print(table(read_current(arguments.out)))


if __name__ == "__main__":
    main()
