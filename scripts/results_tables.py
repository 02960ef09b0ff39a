"""What the records of docs/EXPERIMENT.md say: who is chosen, the claim, and the tables of docs/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataenv.runs.resumable import read_current, read_records
from dataenv.runs.tables import markdown
from dataenv.statistics import (
    crossed_bootstrap,
    holm,
    mean_bootstrap,
    smallest_detectable_mean,
)

DOMAINS = ("Science", "Code", "Finance")
OPPONENTS = ("open_loop", "feedback", "mirror")
PAPER = (
    "The paper's best agents gain 57.29% from scratch and 73.26% with seeds, on other tasks, with another "
    "student and teacher: no comparison, a measure."
)
QUARTER = 0.25

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Choice:
    """What validation targets decide.

    Args:
        learned: The learned closed-loop class, and `members`, its policies.
        opponent: A policy of those that it is to beat, and `opponents`, the best of each kind.
        spread: Standard deviation over targets of the mean of the class less `feedback`, in points.
        means: By class or controller.
    """

    learned: str
    members: tuple[str, ...]
    opponent: str
    opponents: Mapping[str, str]
    spread: float
    means: Mapping[str, float]


def choose(records: Records, classes: Mapping[str, Sequence[str]]) -> Choice:
    """Chooses by mean private score over the targets of validation that all have played.

    Args:
        records: Of validation targets.
        classes: Policies by class; those of ``open_loop`` are opponents, the others learned, closed loop.

    Raises:
        ValueError: Somebody has not played, or not all targets.
    """
    scores = private_scores(records)
    missing = [m for members in classes.values() for m in members if m not in scores]
    if missing or not {"feedback", "mirror"} <= set(scores):
        raise ValueError(
            f"no validation records of {missing or 'feedback or mirror'}; choose first"
        )
    shared = set.union(*map(set, scores.values()))
    behind = [who for who, each in scores.items() if set(each) != shared]
    if behind:
        raise ValueError(f"{behind} have not played all targets of validation; choose again")
    mean = {who: 100 * float(np.mean([each[t] for t in shared])) for who, each in scores.items()}
    of_class = {name: float(np.mean([mean[m] for m in ms])) for name, ms in classes.items()}
    learned = max((name for name in classes if name != "open_loop"), key=of_class.__getitem__)
    tuned = max(classes["open_loop"], key=mean.__getitem__)
    opponents = {"open_loop": tuned, "feedback": "feedback", "mirror": "mirror"}
    of_members = {m for members in classes.values() for m in members}
    singles = {who: value for who, value in mean.items() if who not in of_members or who == tuned}
    members = tuple(classes[learned])
    ahead = [
        100 * float(np.mean([scores[m][t] for m in members]) - scores["feedback"][t])
        for t in sorted(shared)
    ]
    return Choice(
        learned,
        members,
        max(opponents.values(), key=mean.__getitem__),
        opponents,
        float(np.std(ahead, ddof=1)),
        {**singles, **of_class},
    )


def private_scores(records: Records) -> dict[str, dict[tuple[str, int], float]]:
    """Private scores by controller and (domain, target number)."""
    found: dict[str, dict[tuple[str, int], float]] = {}
    for each in records:
        target = each["domain"], each["target_number"]
        found.setdefault(each["policy"], {})[target] = each["final"]["private"]
    return found


Scores = Mapping[tuple[str, int], float]
"""Private scores by (domain, target number)."""


def paired(pairs: Sequence[tuple[Scores, Scores]]) -> dict[str, NDArray]:
    """Of each pair the first minus the second in points of private score, by domain, each of shape
    (pairs, targets); of targets that all of them have played."""
    held = set.intersection(*(set(scores) for pair in pairs for scores in pair))
    found = {}
    for domain in DOMAINS:
        targets = sorted(t for t in held if t[0] == domain)
        if targets:
            rows = [[one[t] - other[t] for t in targets] for one, other in pairs]
            found[domain] = 100 * np.array(rows)
    return found


def differences(records: Records, members: Sequence[str], other: str) -> dict[str, NDArray]:
    """Members minus another in points of private score, by domain, each of shape (members, targets)."""
    scores = private_scores(records)
    return paired([(scores.get(m, {}), scores.get(other, {})) for m in members])


def claim(records: Records, members: Sequence[str], other: str) -> dict[str, Any] | None:
    """Members minus another: mean and interquartile mean over all targets, and by domain."""
    return compared(differences(records, members, other), members, other)


def lost(
    test: Records, control: Records, members: Sequence[str], name: str
) -> dict[str, Any] | None:
    """What members lose under a control: theirs in the test minus the same one's there."""
    scores, there = private_scores(test), private_scores(control)
    pairs = [(scores.get(m, {}), there.get(m, {})) for m in members]
    return compared(paired(pairs), members, f"the same, {name}")


def compared(
    by_domain: Mapping[str, NDArray], members: Sequence[str], other: str
) -> dict[str, Any] | None:
    """What differences of shape (members, targets) say; None if there are none."""
    if not by_domain:
        return None
    both = np.concatenate(list(by_domain.values()), 1)
    whole, middle = crossed_bootstrap(both), crossed_bootstrap(both, trim=QUARTER)
    domains = {name: crossed_bootstrap(each) for name, each in by_domain.items()}
    stands = dict(zip(domains, holm([each.p for each in domains.values()]), strict=True))
    return {
        "members": list(members),
        "other": other,
        "targets": both.shape[1],
        "difference_points": whole.value,
        "interval_points": [whole.interval.low, whole.interval.high],
        "p": whole.p,
        "interquartile_points": middle.value,
        "interquartile_interval_points": [middle.interval.low, middle.interval.high],
        "detectable_points": smallest_detectable_mean(both.mean(0).tolist()),
        "domains": {
            name: {
                "difference_points": each.value,
                "interval_points": [each.interval.low, each.interval.high],
                "p": each.p,
                "stands": stands[name],
            }
            for name, each in domains.items()
        },
    }


def of_shared_targets(records: Records) -> list[Mapping[str, Any]]:
    """Episodes on the targets that most controllers have played: the claim's own have played more, and
    what is dear fewer."""
    players: dict[str, set[str]] = {}
    for each in records:
        players.setdefault(each["target"], set()).add(each["policy"])
    everybody = set().union(*players.values())
    return [each for each in records if 2 * len(players[each["target"]]) > len(everybody)]


def controllers_table(records: Records, classes: Mapping[str, Sequence[str]]) -> str:
    """Every controller: private gains by domain, and what they cost; members of a class as one."""
    head = (
        *("controller", *(f"{d.lower()}, points" for d in DOMAINS), "all, points", "all, %"),
        *("MATS", "calls", "trainings", "tokens", "seconds", "retention", "targets"),
    )
    of = {member: name for name, members in classes.items() for member in members}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in records:
        found.setdefault(of.get(each["policy"], each["policy"]), []).append(each)
    lines = {name: _line(name, mine) for name, mine in found.items()}
    ranked = sorted(found, key=lambda name: -_gain(found[name]))
    return markdown(head, [lines[name] for name in ranked])


def _line(name: str, mine: Records) -> list[str]:
    gains = [_spread([r for r in mine if r["domain"] == domain]) for domain in DOMAINS]
    base = np.mean([r["base"]["private"] for r in mine])
    attempts, successful = (sum(r[key] for r in mine) for key in ("attempts", "successful"))
    used = [np.mean([r["budget"][axis]["used"] for r in mine]) for axis in ("calls", "trainings")]
    seconds = np.mean([r["seconds"]["all"] for r in mine])
    retention = np.mean([r["retention"]["final"] for r in mine])
    return [
        *(name, *gains, _spread(mine), f"{_gain(mine) / base:.0f}"),
        *(
            f"{attempts / successful:.2f}" if successful else "-",
            f"{used[0]:.0f}",
            f"{used[1]:.1f}",
        ),
        *(
            f"{np.mean([r['training_tokens'] for r in mine]):.0f}",
            f"{seconds:.0f}",
            f"{retention:.2f}",
            str(len({r["target"] for r in mine})),
        ),
    ]


def _gain(records: Records) -> float:
    """Mean gain in points."""
    return float(np.mean([r["gain_points"] for r in records]))


def _spread(records: Records) -> str:
    if not records:
        return "-"
    gains, targets = [r["gain_points"] for r in records], [r["target"] for r in records]
    found = mean_bootstrap(gains, clusters=targets)
    return f"{np.mean(gains):+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def headroom_table(records: Records, classes: Mapping[str, Sequence[str]]) -> str:
    """The share of what the privileged search gains, on the targets that it has played."""
    gains: dict[str, dict[tuple[str, int], float]] = {}
    for each in records:
        target = each["domain"], each["target_number"]
        gains.setdefault(each["policy"], {})[target] = each["gain_points"]
    most = gains.get("privileged", {})
    of = {member: name for name, members in classes.items() for member in members}
    shares: dict[str, list[float]] = {}
    for who, mine in gains.items():
        if who != "privileged" and set(most) <= set(mine) and most:
            share = sum(mine[t] for t in most) / sum(most.values())
            shares.setdefault(of.get(who, who), []).append(share)
    ranked = sorted(shares, key=lambda name: -float(np.mean(shares[name])))
    lines = [[name, f"{np.mean(shares[name]):.2f}", str(len(most))] for name in ranked]
    return markdown(("controller", "share of the privileged gain", "targets"), lines)


def rounds_table(records: Records, members: Sequence[str]) -> str:
    """What policies do before each of their trainings: mean rows asked for and calls by operation."""
    mine = [each["rounds"] for each in records if each["policy"] in members]
    lines = []
    for number in range(max(map(len, mine), default=0)):
        these = [rounds[number] for rounds in mine if len(rounds) > number]
        names = sorted({name for each in these for name in each if name != "public"})
        done = []
        for name in names:
            times, calls, added = (
                sum(each.get(name, (0, 0, 0))[place] for each in these) / len(these)
                for place in range(3)
            )
            done.append(f"{name} {times:.1f} ({calls:.0f} calls, {added:+.0f} rows)")
        public = [each["public"] for each in these if "public" in each]
        score = f"{np.mean(public):.3f}" if public else "-"
        lines.append([str(number + 1), str(len(these)), "; ".join(done), score])
    return markdown(("round", "episodes", "operations an episode", "public score after"), lines)


def learning_table(policies: Path, names: Iterable[str]) -> str:
    """Mean return of every quarter of the real episodes, by learner and training seed."""
    head = ("policy", "episodes", "trainings", *(f"quarter {n}" for n in range(1, 5)))
    lines = []
    for name in names:
        rounds = read_records(policies / f"{name}.rounds.jsonl")
        key = "ahead" if rounds and "ahead" in rounds[0] else "return"
        parts = np.array_split([each[key] for each in rounds], 4) if rounds else []
        means = [f"{100 * np.mean(part):+.1f}" if len(part) else "-" for part in parts]
        if rounds:
            last = rounds[-1]
            lines.append([name, str(last["episodes"]), str(last["trainings"]), *means])
    return markdown(head, lines)


def curves_table(records: Records) -> str:
    """Scores and quality of the set that would be submitted after each training, by controller."""
    figures = ("instruction_difficulty", "instruction_diversity", "response_diversity")
    figures += ("response_quality", "response_perplexity")
    head = ("controller", "training", "episodes", "public", "reward", "private", "rows", *figures)
    lines = []
    for who in dict.fromkeys(each["policy"] for each in records):
        mine = [each["sets"] for each in records if each["policy"] == who]
        for number in range(max(map(len, mine))):
            best = [
                _best(sets[: number + 1]) for sets in mine
            ]  # later rounds: those that have ended stay
            scores = [
                f"{np.mean([e[k] for e in best]):.3f}" for k in ("public", "reward", "private")
            ]
            rows = f"{np.mean([each['rows'] for each in best]):.0f}"
            values = [[each["quality"][name]["value"] for each in best] for name in figures]
            known = [[v for v in column if v is not None] for column in values]
            shown = [f"{np.mean(column):.2f}" if column else "-" for column in known]
            lines.append([who, str(number + 1), str(len(best)), *scores, rows, *shown])
    return markdown(head, lines)


def _best(sets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What would be submitted: the best by public score, the earliest on ties."""
    return max(sets, key=lambda each: each["public"])


# -- the page -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """The page, the claim for machines, and a few lines for people."""

    text: str
    claim: dict[str, Any]
    summary: str


def tell(records: Path, policies: Path, choice: Choice) -> Told:
    """Everything from the records alone."""
    columns = {path.stem: read_current(path) for path in sorted(records.glob("*.jsonl"))}
    test = columns.get("test", [])
    classes = _classes(test)
    rows = _column_rows(columns, choice)
    main = claim(test, choice.members, choice.opponent)
    if main is None:
        raise ValueError("the chosen have not played the test; run reproduce_results.py test")
    summary = _sentence(choice, main)
    shown = [
        "# Results",
        "Written by `scripts/reproduce_results.py` from `records/results`; what was planned is in "
        "[EXPERIMENT.md](EXPERIMENT.md).",
        summary,
        "## The claim, by column",
        "Learned minus opponent, in points of private score, with 95% intervals over training seeds and "
        "targets; a domain is marked with a star where its difference stands after Holm's correction.",
        rows,
        "## All controllers on the test targets",
        "Gain in points with 95% intervals over targets, and in % of the mean base score, on the targets that "
        f"most have played. {PAPER}",
        controllers_table(of_shared_targets(test), classes),
        *_section("## With seeds", controllers_table, columns.get("with_seeds"), classes),
        *_scratch_section(columns.get("validation", [])),
        *_section("## What of the headroom is taken", headroom_table, test, classes),
        "## What the policy does",
        rounds_table(test, choice.members),
        *_section("## By round", curves_table, columns.get("curves")),
        "## Learning",
        "Of every quarter of the rounds, in points: how far the mean of the search is ahead of where it "
        "began, on the same scenes (cem, open_loop); mean return (ppo).",
        learning_table(policies, sorted(p.name[:-13] for p in policies.glob("*.rounds.jsonl"))),
        "## How it was chosen",
        _choice_table(choice),
    ]
    machine = {**main, "columns": _claims(columns, choice)}
    return Told("\n\n".join(shown) + "\n", machine, summary)


def _classes(records: Records) -> dict[str, list[str]]:
    """Members of a class, which are numbered by training seed."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(each["policy"] for each in records):
        stem, mark, seed = name.rpartition("-")
        if mark and seed.isdigit():
            found.setdefault(stem, []).append(name)
    return found


def _section(title: str, table: Any, records: Records | None, *more: Any) -> list[str]:
    return [title, table(records, *more)] if records else []


def _scratch_section(validation: Records) -> list[str]:
    """What the surrogate was good for: with it and without, at equal real trainings."""
    found = claim(validation, ("cem-0",), "cem-unsimulated")
    if found is None:
        return []
    return [
        "## Without the surrogate",
        f"`cem-0` minus `cem-unsimulated`, which learned from scratch with as many real trainings, on "
        f"{found['targets']} validation targets: {_cell(found)} points (p {found['p']:.3f}).",
    ]


def _claims(columns: Mapping[str, Records], choice: Choice) -> dict[str, dict[str, Any]]:
    """The claim of every column, and of the controls against the test's own opponent."""
    found: dict[str, dict[str, Any] | None] = {}
    for name, records in columns.items():
        if name in ("curves", "validation"):
            continue
        members = choice.members
        if name == "new_domain":
            records, members = without_its_domain(records), ("cem",)
        beside = [r for r in columns["test"] if r["policy"] in ("mirror", choice.opponent)]
        has_others = any(r["policy"] == choice.opponent for r in records)
        pool = records if has_others else [*records, *beside]
        for other in dict.fromkeys((choice.opponent, "mirror")):
            found[f"{name} against {other}"] = claim(pool, members, other)
        if name in ("shuffled", "unsliced"):
            found[f"test against {name}"] = lost(columns["test"], records, members, name)
    return {name: each for name, each in found.items() if each}


def without_its_domain(records: Records) -> list[Mapping[str, Any]]:
    """Episodes in the domain that a policy was not learned on, under the learner's name."""
    found = []
    for each in records:
        learner, _, domain = each["policy"].partition("-without-")
        if domain == each["domain"].lower():
            found.append({**each, "policy": learner})
    return found


def _column_rows(columns: Mapping[str, Records], choice: Choice) -> str:
    head = ("column", "all", "interquartile", *map(str.lower, DOMAINS), "p", "targets")
    lines = []
    for name, each in _claims(columns, choice).items():
        domains = [_cell(each["domains"].get(d)) for d in DOMAINS]
        whole, middle = _cell(each), _cell(each, "interquartile_")
        lines.append([name, whole, middle, *domains, f"{each['p']:.3f}", str(each["targets"])])
    return markdown(head, lines)


def _cell(found: Mapping[str, Any] | None, kind: str = "") -> str:
    if found is None:
        return "-"
    value = found[f"{kind}points" if kind else "difference_points"]
    low, high = found[f"{kind}interval_points" if kind else "interval_points"]
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]{'*' if found.get('stands') else ''}"


def _sentence(choice: Choice, main: Mapping[str, Any]) -> str:
    low, high = main["interval_points"]
    verdict = "above" if low > 0 else "below" if high < 0 else "not told apart from"
    return (
        f"The learned class **{choice.learned}** is {verdict} its strongest opponent, **{choice.opponent}**: "
        f"{main['difference_points']:+.1f} points [{low:+.1f}, {high:+.1f}] of private score (p "
        f"{main['p']:.3f}), interquartile mean {main['interquartile_points']:+.1f}, over "
        f"{len(main['members'])} training seeds and {main['targets']} targets, which would have shown "
        f"{main['detectable_points']:.1f} points in four cases of five."
    )


def _choice_table(choice: Choice) -> str:
    ranked = sorted(choice.means.items(), key=lambda pair: -pair[1])
    lines = [[name, f"{value:.1f}"] for name, value in ranked]
    return markdown(
        ("class or controller", "mean private score on validation targets, points"), lines
    )
