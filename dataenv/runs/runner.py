"""Running one episode into a folder: result, steps, submission, picture."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from dataenv import __version__
from dataenv.env import DataEnv
from dataenv.errors import EnvironmentFault, StoreFault
from dataenv.evaluation import evaluate
from dataenv.lock import name_of_worlds
from dataenv.policy import Episode, Policy, begin_episode, play_on
from dataenv.presets import OFFLINE, EnvConfig
from dataenv.rows import Row, WorkingSet
from dataenv.runs.episode_log import EpisodeLog
from dataenv.runs.files import reach, replace_text
from dataenv.runs.folder import CHANNEL, PICTURE, RESULT, STEPS, TRANSCRIPT, open_run
from dataenv.runs.recorder import RECORD, Recorder, StoredCache
from dataenv.runs.store import RunStore
from dataenv.runs.trackers import NullTracker, Tracker, about_run, tracking
from dataenv.runs.transcript import StoreJournal, write_transcript
from dataenv.statistics import smallest_detectable_gain
from dataenv.students import student_of
from dataenv.submission import SUBMISSION, SUBMISSION_ROWS, write_rows
from dataenv.world import open_world


def run_to_folder(
    config: EnvConfig,
    policy: Any,
    seed: int,
    out: Path,
    *,
    options: dict[str, Any] | None = None,
    quiet: bool = False,
    made_by: str | None = None,
    resume: bool = False,
    tracker: Tracker | None = None,
) -> dict[str, Any]:
    """Runs one episode and writes its records, so that it can go on after a kill.

    Args:
        config: Of the environment.
        policy: The controller.
        seed: Of the episode.
        out: Folder for ``result.json``, ``steps.jsonl``, ``submission.json``, the same with provenance
            (``submission_rows.jsonl``), ``scores.png`` and the run's store; of a policy that asks a
            language model also ``transcript.jsonl``. A run in it is replaced if it is finished, or
            never began.
        options: Passed to `DataEnv.reset`.
        quiet: No progress line on stderr.
        made_by: What `make_policy` made the policy of; its name, if absent.
        resume: Go on with the run in the folder.
        tracker: Is told of the episode, from its first step on even if it goes on after a kill.

    Returns:
        The content of ``result.json``.

    Raises:
        ConfigError: There is an unfinished run, or none to resume, or one of other settings.
        StoreFault: Another process runs it, or it cannot be written.
    """
    env = DataEnv(config=config)
    if not resume:  # nothing is replaced by a run that cannot begin
        env.check(options)
    if hasattr(policy, "model"):
        policy.model.check()
    made_by = made_by or getattr(policy, "made_by", policy.name)
    plan = plan_of(config, made_by, seed, options, settings_of(policy))
    with open_run(out, plan, resume) as store:
        if not store.last("end"):
            tracked = about_run(config, policy.name, "eval", seed=seed)
            try:
                with tracking(tracker or NullTracker(), tracked) as told:
                    _play(store, env, policy, seed, options, quiet, EpisodeLog(told, 0))
            except EnvironmentFault as fault:
                note_fault(store, fault)
                sys.stderr.write(f"the run was cut off; go on with `dataenv run --resume {out}`\n")
                raise
        return write_views(store, out)


def note_fault(store: RunStore, fault: EnvironmentFault) -> None:
    """Writes down what has cut a run off."""
    with contextlib.suppress(StoreFault):  # which may be the fault itself
        store.append("fault", {"kind": type(fault).__name__, "message": str(fault)})


def _play(
    store: RunStore,
    env: DataEnv,
    policy: Any,
    seed: int,
    options: dict[str, Any] | None,
    quiet: bool,
    log: EpisodeLog,
) -> None:
    """Plays the run in a store to its end."""
    if not quiet:
        sys.stderr.write(f"student {env.student.name}: {env.student.placement}\n")
    recording = Recording(store, env, policy, seed, options, log)

    def on_step(record: dict[str, Any]) -> None:
        recording.stepped(record)
        if not quiet:
            _progress(record, env.config, policy.name, sys.stderr)

    play_on(env, policy, recording.progress, recording.chose, on_step)
    if not quiet:
        sys.stderr.write("\n")
    recording.end()


class Recording:
    """An episode on its way into a store, from its beginning or from where a kill has left it.

    Args:
        store: Of the run.
        env: Not yet reset.
        policy: The controller.
        seed: Of the episode.
        options: Passed to `DataEnv.reset`.
        log: Is told of all steps and of the end.
    """

    def __init__(
        self,
        store: RunStore,
        env: DataEnv,
        policy: Policy,
        seed: int,
        options: dict[str, Any] | None = None,
        log: EpisodeLog | None = None,
    ) -> None:
        self.store, self.env, self.policy, self.seed = store, env, policy, seed
        self._log = log or EpisodeLog(NullTracker(), 0)
        env.keep_in(StoredCache(store))
        self._recorder = Recorder(store, env, policy, seed)
        if hasattr(policy, "model"):
            policy.model.journal = StoreJournal(store, self._recorder.ledger)
        progress = self._recorder.resume()
        if not progress:
            progress = begin_episode(env, policy, seed, options, self._recorder.attach)
            self._recorder.began(progress)
        self.progress = progress
        write_steps(progress.steps, store.folder)
        for record in progress.steps:
            self._log.step(record)

    def chose(self, action: dict[str, Any]) -> None:
        """Takes an action that is about to be carried out."""
        self._recorder.chose(action)

    def stepped(self, record: dict[str, Any]) -> None:
        """Takes the newest step, which is acknowledged on return."""
        self._recorder.stepped(self.progress)
        self._log.step(record)
        with (self.store.folder / STEPS).open("a", encoding="utf-8") as view:
            view.write(json.dumps(record) + "\n")

    def end(self) -> None:
        """Writes the result of an episode that is over."""
        from dataenv.quality.submissions import quality_of  # slow to import

        env, progress, outcome = self.env, self.progress, self.progress.outcome
        assert outcome
        episode = Episode(outcome, progress.total, progress.steps)
        result = result_of(env, episode, self.policy.name, self.seed, self._recorder.seconds)
        self._log.end(outcome, env.task.target, env.submission())
        submission = self.store.put(env.submission().to_dict())
        result |= told_by(self.policy, episode)
        result |= {"channel": self._channel, "quality": quality_of(env)}
        self.store.append("end", {"result": result, "submission": submission})

    @property
    def _channel(self) -> str:
        """Where the operations came from."""
        begun = self.store.last("run")
        return begun.data.get(CHANNEL, "policy") if begun else "policy"


def write_steps(records: list[dict[str, Any]], folder: Path) -> None:
    """Writes the records of steps, as far as they have come."""
    with (folder / STEPS).open("w", encoding="utf-8") as view:
        view.writelines(json.dumps(record) + "\n" for record in records)


def result_of(
    env: DataEnv,
    episode: Episode,
    policy: str,
    seed: int,
    seconds: float,
) -> dict[str, Any]:
    """The record of a finished episode, as plain values."""
    outcome = episode.outcome
    names = ("base", "final")
    scores = {
        name: {
            "public": pair[0],
            "private": pair[1],
            "n_private": len(env.task.private),
            "private_interval": list(outcome.private_interval[place])
            if outcome.private_interval
            else None,
        }
        for place, (name, pair) in enumerate(zip(names, (outcome.base, outcome.final), strict=True))
    }
    return {
        "task": env.config.domain,
        "target": env.task.target,
        "target_number": env.target_number,
        "policy": policy,
        "student": env.student.name,
        "placement": str(env.student.placement),
        "teacher": env.broker.teacher.name,
        "seed": seed,
        "key": env.key,
        **scores,
        "gain_percent": outcome.gain_percent,
        "gain_points": outcome.gain_points,
        "gain_interval_points": outcome.gain_interval_points,
        "return": episode.total_reward,
        "retention": {"base": outcome.retention[0], "final": outcome.retention[1]},
        "attempts": outcome.attempts,
        "successful": outcome.successful,
        "mats": outcome.mats,
        "budget": {axis: {"used": used, "limit": limit} for axis, used, limit in outcome.budget},
        "training_tokens": sum(each.tokens for each in env.evaluations),
        "rows": outcome.rows,
        "private_overlap": outcome.private_overlap,
        "contaminated": outcome.contaminated,
        "suspects": outcome.suspects,
        "public_gap_points": outcome.public_gap_points,
        "public_gap_interval_points": outcome.public_gap_interval_points,
        "public_gap_p": outcome.public_gap_p,
        "submission": outcome.submission,
        "ended": outcome.ended,
        "flags": list(outcome.flags),
        "flipped": [
            dict(zip(("prompt", "gold", "before", "after"), each, strict=True))
            for each in outcome.flipped
        ],
        "seconds": {"all": seconds, **env.seconds},
        "config": asdict(env.config),
        "versions": versions(),
        "worlds": name_of_worlds() if env.config.domain in OFFLINE else None,
    }


def told_by(policy: Any, episode: Episode) -> dict[str, Any]:
    """What a result also holds of its controller: how its programs failed, and what its own language
    model has cost."""
    usage = policy.model.usage() if hasattr(policy, "model") else None
    return {"failures": failures_of(episode, getattr(policy, "failures", {})), "agent": usage}


def failures_of(episode: Episode, told: Mapping[str, str]) -> dict[str, int]:
    """How often programs failed, by the class of the failure.

    Args:
        episode: With the programs.
        told: Classes that only the controller knows, by the number of the step.
    """
    programs = [step for step in episode.steps if step["action"].get("op") == "program"]
    found = [
        told.get(str(step["step"])) or step["report"]["effect"].get("failure") for step in programs
    ]
    return dict(Counter(each for each in found if each))


def plan_of(
    config: EnvConfig,
    policy: str,
    seed: int,
    options: dict[str, Any] | None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All that decides how a run goes, as plain values: what must be the same to resume it."""
    plan: dict[str, Any] = {
        "config": asdict(config),
        "policy": policy,
        "seed": seed,
        "options": options or {},
        "versions": versions(),
        "worlds": name_of_worlds() if config.domain in OFFLINE else None,
    }
    return json.loads(json.dumps(plan | ({"settings": settings} if settings else {})))


def settings_of(policy: Any) -> dict[str, Any] | None:
    """What a policy says of its own settings, if anything."""
    return policy.settings() if hasattr(policy, "settings") else None


def write_views(store: RunStore, folder: Path) -> dict[str, Any]:
    """Writes the records of a finished run from its store, and returns the result."""
    end = store.events("end")[-1].data
    records = [{name: each.data[name] for name in RECORD} for each in store.events("step")]
    write_json(folder / RESULT, end["result"])
    reach("after_view")
    rows = WorkingSet.from_dict(store.get(end["submission"]))
    write_json(folder / SUBMISSION, rows.to_submission())
    write_rows(folder / SUBMISSION_ROWS, rows)
    write_steps(records, folder)
    if store.last("exchange") or CHANNEL in store.events("run")[-1].data:
        write_transcript(store, folder / TRANSCRIPT)
    draw_scores(records, end["result"], folder / PICTURE)
    return end["result"]


def versions() -> dict[str, str]:
    """Versions of what results depend on."""
    from importlib.metadata import version

    packages = ("accelerate", "gymnasium", "numpy", "peft", "torch", "transformers", "trl")
    return {
        "dataenv": __version__,
        "python": sys.version.split()[0],
        **{package: version(package) for package in packages},
    }


def dry_run(config: EnvConfig) -> dict[str, Any]:
    """What a run may cost at most, and what it could show.

    The seconds are those of training and evaluating after every training and of scoring at the end,
    extrapolated from `PROBE_ROWS` rows and items of a target, measured now.
    """
    return {
        "calls": config.calls,
        "trainings": config.trainings,
        "rows_per_training": config.max_rows,
        "training_passes": config.trainings * config.max_rows * config.training.epochs,
        "expected_seconds": round(_expected_seconds(config), 1),
        "detectable_gain_points_public": round(100 * smallest_detectable_gain(config.public), 1),
        "detectable_gain_points_private": round(100 * smallest_detectable_gain(config.private), 1),
    }


PROBE_ROWS = 32


def _expected_seconds(config: EnvConfig) -> float:
    student = student_of(config)
    world = open_world(
        dataclasses.replace(config, public=PROBE_ROWS, reward=0, private=1, seeds=0, pool=0)
    )
    task = world.task(world.targets["train"].start)
    items = task.public[:PROBE_ROWS]
    rows = WorkingSet(tuple(Row(i.instruction, i.input, i.solution) for i in items))
    one_pass = dataclasses.replace(config.training, epochs=1)
    for _ in range(2):  # the first pass warms up
        trained = student.train(rows, one_pass, "probe")
        began = time.perf_counter()
        evaluate(student, trained, items, task.grader, config.decoding)
        item_seconds = (time.perf_counter() - began) / len(items)
    row_seconds = trained.seconds / len(rows)
    asked = config.public + config.reward + config.retention
    training = config.max_rows * config.training.epochs * row_seconds
    return config.trainings * (training + asked * item_seconds) + (
        (asked + 2 * config.private) * item_seconds
    )


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file in one piece."""
    replace_text(path, json.dumps(value, indent=1) + "\n")


def _progress(record: dict[str, Any], config: EnvConfig, policy: str, out: TextIO) -> None:
    report = record["report"]
    used = report["budget"]["trainings"]["used"]
    line = (
        f"{policy}: step {record['step']}, {record['action'].get('op')}, "
        f"training {used}/{config.trainings}, public {report['score']:.3f} "
        f"(base {report['base_score']:.3f})"
    )
    out.write(
        ("\r" + line.ljust(90))
        if out.isatty()
        else (line + "\n" if record["action"].get("op") in ("train", "submit") else "")
    )
    out.flush()


def draw_scores(steps: list[dict[str, Any]], result: dict[str, Any], path: Path) -> bool:
    """Draws public scores over evaluations and the operations that led there.

    Returns:
        False if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    marks: list[tuple] = [(0, result["base"]["public"], (0.0, 0.0), [])]
    since: list[str] = []
    for record in steps:
        report, op = record["report"], record["action"].get("op", "?")
        if op == "train" and report["evaluation"] > marks[-1][0]:
            marks.append((report["evaluation"], report["score"], report["interval"], since))
            since = []
        else:
            since.append(str(op))
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places, scores = [m[0] for m in marks], [m[1] for m in marks]
    axes.plot(places, scores, "o-", color="#2563a6", label="public score (95% interval)")
    axes.vlines(
        places[1:],
        [m[2][0] for m in marks[1:]],
        [m[2][1] for m in marks[1:]],
        color="#2563a6",
        alpha=0.4,
    )
    for place, score, _, operations in marks[1:]:
        axes.annotate(
            "\n".join(_counted(operations)),
            (place, score),
            fontsize=7,
            xytext=(4, -6),
            textcoords="offset points",
            va="top",
            color="#555555",
        )
    for name, color in (("base", "#999999"), ("final", "#2a8a4a")):
        if result[name]["private"] is not None:
            axes.axhline(
                result[name]["private"],
                color=color,
                linestyle="--",
                linewidth=1,
                label=f"private score, {name}: {result[name]['private']:.3f}",
            )
    axes.set(
        title=f"{result['policy']} on {result['target']}",
        xlabel="evaluation",
        ylabel="score",
        ylim=(0, 1),
        xticks=places,
    )
    axes.margins(x=0.12)
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=120)
    return True


def _counted(names: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [f"{n} x {name}" if n > 1 else name for name, n in counts.items()]
