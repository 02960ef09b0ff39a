"""How each skill is learned: accuracy over clean rows, and what other skills do to it; resumable.

    python scripts/learning_curves.py --out records/learning_curves.jsonl --seeds 3
    python scripts/learning_curves.py --out records/learning_curves.jsonl --table

Three measurements, each on items of one skill that were not trained on, at the settings of `-fast`:
the curve over 0, 4, 16, 64 and 256 rows of the skill; for a composition, what `FEW` rows of it do
with and without rows of its parts, and what its parts do alone; for confusable skills, what `SCARCE`
and `MIXED` rows of one do beside as many of the other, or of an unrelated one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from dataenv.evaluation import evaluate
from dataenv.hashing import rng_of
from dataenv.lock import name_of_worlds
from dataenv.registry import env_config
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.runs.resumable import read_current, run_jobs
from dataenv.students import load_student
from dataenv.students.base import BASE
from dataenv.tasks.base import Item
from dataenv.tasks.procedural.skill import Domain
from dataenv.tasks.procedural.targets import DIFFICULTIES, DOMAINS, RESERVED_SHARE, to_row

SIZES = (4, 16, 64, 256)
FEW, PART, SCARCE, MIXED = 8, 32, 24, 64
ITEMS = 40
CONFUSABLE = {
    "science": (
        ("work_by_gas:U", "work_on_gas:U"),
        ("work_by_gas:Q", "work_on_gas:Q"),
        ("speed:s", "speed:t"),
    ),
    "code": (
        ("nth_from_zero", "nth_from_one"),
        ("part_without_last", "part_with_last"),
        ("index", "index_from_end"),
    ),
    "finance": (
        ("rate_per_year:I", "rate_per_half_year:I"),
        ("markup:m", "net_margin:m"),
        ("import_duty", "parcel_cost"),
        ("annuity_two", "annuity_due"),
        ("table_change", "table_range"),
    ),
}

Job = tuple[str, str, str, int]


def sample(domain: Domain, skill: str, count: int, *seed) -> list:
    """Distinct problems of a skill at the difficulties of targets; fewer if it has no more."""
    rng = rng_of("curves", domain.name, skill, *seed)
    found = {}
    for _ in range(20 * count):
        difficulty = rng.choices(list(DIFFICULTIES), list(DIFFICULTIES.values()))[0]
        problem = domain.sample(skill, difficulty, rng, rng.random() < RESERVED_SHARE)
        found.setdefault(problem.identity, problem)
        if len(found) == count:
            break
    return list(found.values())


class Bench:
    """Trains on mixtures of skills and asks one of them."""

    def __init__(self, domain: str, skill: str, seed: int, student: str) -> None:
        self.domain, self.skill, self.seed = DOMAINS[domain], skill, seed
        self.config = env_config(f"{domain.capitalize()}-fast-v0")
        self.student = load_student(student)
        problems = sample(self.domain, skill, ITEMS, "test", seed)
        self.items = [
            Item(str(n), p.instruction, p.input, p.answer, p.topic) for n, p in enumerate(problems)
        ]
        self.taken = {p.identity for p in problems}

    def rows(self, skill: str, count: int) -> list[Row]:
        """Clean rows of a skill, none of them asked."""
        problems = sample(self.domain, skill, count + ITEMS, "train", self.seed)
        free = [p for p in problems if p.identity not in self.taken]
        return [to_row(p, Provenance("reference")) for p in free[:count]]

    def score(self, *rows: Row) -> float:
        """Accuracy after training on rows; of the base without any."""
        trained = BASE
        if rows:
            trained = self.student.train(WorkingSet(rows), self.config.training, str(self.seed))
        grader, decoding = self.domain.grader, self.config.decoding
        return evaluate(self.student, trained, self.items, grader, decoding).score


def curve(bench: Bench) -> dict:
    """Accuracy by rows of the skill itself, as far as it has so many different ones."""
    rows = bench.rows(bench.skill, max(SIZES))
    sizes = [size for size in SIZES if size <= len(rows)]
    return {"0": bench.score(), **{str(size): bench.score(*rows[:size]) for size in sizes}}


def composition(bench: Bench) -> dict:
    """What the parts of a composition do for it."""
    parts = [row for p in bench.domain.skills[bench.skill].parts for row in bench.rows(p, PART)]
    few = bench.rows(bench.skill, FEW)
    return {
        "base": bench.score(),
        "few": bench.score(*few),
        "parts": bench.score(*parts),
        "few_and_parts": bench.score(*few, *parts),
    }


def interference(bench: Bench, count: int) -> dict:
    """What rows of a confusable skill do beside as many of this one, against an unrelated skill."""
    pairs = CONFUSABLE[bench.domain.name]
    other = next(b if a == bench.skill else a for a, b in pairs if bench.skill in (a, b))
    own_topics = {bench.domain.skills[name].topic for name in (bench.skill, other)}
    unrelated = sorted(
        s.name for s in bench.domain.skills.values() if s.topic not in own_topics and not s.parts
    )
    stranger = rng_of("stranger", bench.skill, bench.seed).choice(unrelated)
    own, others = bench.rows(bench.skill, count), bench.rows(other, count)
    return {
        "other": other,
        "alone": bench.score(*own),
        "beside_other": bench.score(*own, *others),
        "beside_stranger": bench.score(*own, *bench.rows(stranger, count)),
        "other_only": bench.score(*others),
    }


MEASUREMENTS: dict[str, Callable[[Bench], dict]] = {
    "curve": curve,
    "composition": composition,
    "interference": partial(interference, count=MIXED),
    "scarce interference": partial(interference, count=SCARCE),
}
INTERFERING = ("interference", "scarce interference")


def jobs_of(domain: str, seed: int) -> list[Job]:
    """All that is measured in a domain with one seed."""
    skills = DOMAINS[domain].skills
    composed = [name for name in skills if skills[name].parts]
    confusable = sorted({name for pair in CONFUSABLE[domain] for name in pair})
    return (
        [(domain, "curve", name, seed) for name in skills]
        + [(domain, "composition", name, seed) for name in composed]
        + [(domain, kind, name, seed) for kind in INTERFERING for name in confusable]
    )


def measure(arguments: tuple[Job, str]) -> list[dict]:
    """One record; runs in a worker process."""
    (domain, kind, skill, seed), student = arguments
    found = MEASUREMENTS[kind](Bench(domain, skill, seed, student))
    names = {"domain": domain, "kind": kind, "skill": skill, "seed": seed, "student": student}
    return [{**names, "worlds": name_of_worlds(), "scores": found}]


def means(records: list[dict], kind: str, domain: str) -> dict[str, dict[str, float]]:
    """Mean scores by skill over seeds."""
    found: dict[str, list[dict]] = {}
    for record in records:
        if record["kind"] == kind and record["domain"] == domain:
            found.setdefault(record["skill"], []).append(record["scores"])
    return {
        skill: {
            key: float(np.mean([each[key] for each in scores if key in each]))
            for key in scores[0]
            if key != "other"
        }
        for skill, scores in sorted(found.items())
    }


def kind_of(points: dict[str, float]) -> str:
    """How a skill is learned, from its curve; short curves end before 256 rows."""
    last = points.get("256", -1.0)
    if points["0"] >= 0.6:
        return "known"
    if 0 <= last < 0.2:
        return "never"
    if points["16"] >= 0.7:
        return "early"
    if last >= 0.5 and points["64"] < 0.6 * last:
        return "hundreds"
    return "between"


CLEAR = 0.15
"""A difference of means over three seeds of `ITEMS` items: about twice its standard error."""


def presence(records: list[dict], domain: str) -> dict[str, list[str]]:
    """The skills of a domain that are learned in each of six ways, of which one skill may show several."""
    curves = {name: kind_of(points) for name, points in means(records, "curve", domain).items()}
    composed = means(records, "composition", domain)
    mixed = [pair for kind in INTERFERING for pair in means(records, kind, domain).items()]
    return {
        "early": [name for name, kind in curves.items() if kind == "early"],
        "hundreds": [name for name, kind in curves.items() if kind == "hundreds"],
        "never": [name for name, kind in curves.items() if kind == "never"],
        "only after others": [
            name
            for name, x in composed.items()
            if x["few_and_parts"] - max(x["base"], x["few"], x["parts"]) >= CLEAR
        ],
        "come with their parts": [
            name for name, x in composed.items() if x["parts"] - x["base"] >= CLEAR
        ],
        "spoilt by another": sorted(
            {name for name, x in mixed if x["beside_stranger"] - x["beside_other"] >= CLEAR}
        ),
    }


def presence_table(records: list[dict]) -> list[str]:
    """How many skills there are of each way, and the first that show the rarer ones."""
    found = {domain: presence(records, domain) for domain in DOMAINS}
    ways = list(next(iter(found.values())))
    lines = [f"| domain | {' | '.join(ways)} |", "|---" * (len(ways) + 1) + "|"]
    for domain, by_way in found.items():
        cells = []
        for names in by_way.values():
            shown = f": {', '.join(names)}" if 0 < len(names) <= 5 else ""
            cells.append(f"{len(names)}{shown}")
        lines.append(f"| {domain} | {' | '.join(cells)} |")
    return lines


def table(records: list[dict]) -> str:
    """Counts of kinds, the six ways of learning, and every composition and confusable skill."""
    lines = ["| domain | known | early | between | hundreds | never |", "|---|---|---|---|---|---|"]
    for domain in DOMAINS:
        kinds = [kind_of(points) for points in means(records, "curve", domain).values()]
        counts = [kinds.count(k) for k in ("known", "early", "between", "hundreds", "never")]
        lines.append(f"| {domain} | {' | '.join(map(str, counts))} |")
    lines += ["", *presence_table(records)]
    for kind in ("composition", *INTERFERING):
        for domain in DOMAINS:
            found = means(records, kind, domain)
            if found:
                keys = list(next(iter(found.values())))
                lines += ["", f"| {domain}: {kind} | {' | '.join(keys)} |"]
                lines.append("|---" * (len(keys) + 1) + "|")
                lines += [
                    f"| {skill} | {' | '.join(f'{points[key]:.2f}' for key in keys)} |"
                    for skill, points in found.items()
                ]
    return "\n".join(lines)


def draw(records: list[dict], path: Path) -> None:
    """A picture: every skill's curve, and the mean of each kind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    colors = {
        "known": "#888888",
        "early": "#2a8a4a",
        "between": "#2563a6",
        "hundreds": "#b5651d",
        "never": "#a61c3c",
    }
    sizes = [0, *SIZES]
    for axes, domain in zip(figure.subplots(1, 3, sharey=True), DOMAINS, strict=True):
        curves = means(records, "curve", domain)
        by_kind: dict[str, list[list[float]]] = {}
        for points in curves.values():
            scores = [points.get(str(size), np.nan) for size in sizes]
            by_kind.setdefault(kind_of(points), []).append(scores)
        for kind in filter(by_kind.get, colors):
            scores = by_kind[kind]
            for each in scores:
                axes.plot(range(5), each, color=colors[kind], alpha=0.12, linewidth=0.8)
            mean = np.nanmean(scores, axis=0)
            axes.plot(range(5), mean, "o-", color=colors[kind], label=f"{kind} ({len(scores)})")
        axes.set(title=domain, xticks=range(5), xticklabels=sizes, xlabel="clean rows of the skill")
        axes.legend(
            **{"fontsize": 7, "frameon": False, "ncols": 3, "loc": "upper center"},
            bbox_to_anchor=(0.5, -0.16),
        )
    figure.axes[0].set_ylabel("accuracy")
    figure.savefig(path, dpi=90)


def read_of(student: str, path: Path) -> list[dict]:
    """The records of a student."""
    return [record for record in read_current(path) if record["student"] == student]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--student", default="nano-a")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="only print the table and draw")
    args = parser.parse_args()
    records = read_of(args.student, args.out)
    if not args.table:
        done = {(r["domain"], r["kind"], r["skill"], r["seed"]) for r in records}
        jobs = [
            (job, args.student)
            for seed in range(args.seeds)
            for domain in DOMAINS
            for job in jobs_of(domain, seed)
            if job not in done
        ]
        run_jobs(measure, jobs, args.out, args.processes)
        records = read_of(args.student, args.out)
    print(table(records))
    draw(records, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
