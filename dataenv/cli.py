"""The command line: one list of verbs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dataenv.errors import DataEnvError


def run(arguments: argparse.Namespace) -> int:
    """Runs one episode."""
    from dataenv.registry import config_from_file, env_config, make_policy
    from dataenv.runs.runner import dry_run, run_to_folder

    chosen = {name: getattr(arguments, name) for name in ("student", "teacher", "split")}
    fields = {name: value for name, value in chosen.items() if value is not None}
    defaults = {"split": "test"}
    if arguments.config:
        config = config_from_file(arguments.config, arguments.set, defaults, **fields)
    else:
        config = env_config(arguments.task, arguments.set, **{**defaults, **fields})
    if arguments.dry_run:
        print(json.dumps(dry_run(config), indent=1))
        return 0
    policy = make_policy(arguments.policy)
    options = {} if arguments.target is None else {"target": arguments.target}
    result = run_to_folder(config, policy, arguments.seed, arguments.out, options=options)
    print(summary(result))
    print(f"records: {arguments.out}")
    return 0


def summary(result: dict) -> str:
    """One line about a result."""
    base, final = result["base"], result["final"]
    if final["private"] is None:
        return f"{result['policy']} on {result['target']}: public {final['public']:.3f}"
    low, high = result["gain_interval_points"]
    percent = "" if result["gain_percent"] is None else f", {result['gain_percent']:+.0f}%"
    return (
        f"{result['policy']} on {result['target']}: private {base['private']:.3f} -> "
        f"{final['private']:.3f} ({result['gain_points']:+.1f} points "
        f"[{low:+.1f}, {high:+.1f}]{percent}), {result['budget']['calls']['used']} calls"
    )


def new_task(arguments: argparse.Namespace) -> int:
    """Writes a task folder to start from."""
    from dataenv.tasks.scaffold import write_scaffold

    for path in write_scaffold(arguments.folder, arguments.kind):
        print(path)
    print(f"try it: dataenv run --task {arguments.folder} --policy mirror")
    return 0


def tools(arguments: argparse.Namespace) -> int:
    """Prints the JSON schemas of all operations."""
    from dataenv.operations import tool_schemas

    print(json.dumps(tool_schemas(), indent=1))
    return 0


def names(arguments: argparse.Namespace) -> int:
    """Lists what goes by name."""
    from dataenv.presets import PRESETS
    from dataenv.registry import policy_table
    from dataenv.students import STUDENTS
    from dataenv.teachers import TEACHERS

    tables = {
        "tasks": PRESETS,
        "policies": policy_table(),
        "students": STUDENTS,
        "teachers": TEACHERS,
    }
    for title, table in tables.items():
        print(f"{title}: {', '.join(table)}")
    return 0


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        prog="dataenv", description=("Curate training data so that a student model gets better.")
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run", help="run one episode of a policy and write its records")
    one.set_defaults(call=run)
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", help="e.g. dataenv/Science-fast-v0, or a task folder")
    what.add_argument("--config", type=Path, help="a YAML file: task, and fields to change")
    one.add_argument("--policy", required=True, help="a name, or path/to/file.py:ClassName")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", type=Path, default=Path("runs/latest"), help="folder for the records")
    one.add_argument("--student", help="a name, checkpoint folder or hub id")
    one.add_argument("--teacher", help="a name; see `dataenv list`")
    one.add_argument("--split", choices=("train", "validation", "test"), help="default: test")
    one.add_argument("--target", type=int, help="a target's number; drawn from the seed if absent")
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a field of the configuration",
    )
    one.add_argument("--dry-run", action="store_true", help="say what the run may cost, and stop")
    new = verbs.add_parser("new-task", help="write a commented task folder that runs at once")
    new.add_argument("folder", type=Path)
    new.add_argument(
        "--kind", required=True, help="how answers are graded: numeric, literal, choice, exact"
    )
    new.set_defaults(call=new_task)
    verbs.add_parser("tools", help="print the JSON schemas of all operations").set_defaults(
        call=tools
    )
    verbs.add_parser("list", help="list tasks, policies, students, teachers").set_defaults(
        call=names
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Entry point. Errors of ours are a message on stderr and exit code 2."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.call(arguments)
    except DataEnvError as error:
        print(f"dataenv: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
