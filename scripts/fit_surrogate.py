"""Fits the surrogate of training to logged evaluations, and says how well it predicts new targets.

    python scripts/fit_surrogate.py --log records/surrogate.jsonl
    python scripts/fit_surrogate.py --table

The log is written by ``scripts/log_surrogate.py``. Candidates are compared by the log-loss on targets that
were left out; figures are of predictions for targets left out, too; then the best is fitted to all.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from log_surrogate import BASE, BEHAVIOURS, sets_of
from surrogate_figures import Case, figures_of, fresh_share, heads, log_loss, rank_correlation

import dataenv.surrogate
from dataenv.lock import name_of_worlds
from dataenv.registry import env_config
from dataenv.runs.resumable import read_current
from dataenv.surrogate.features import FEATURES, Counts, Items, features, reader_of
from dataenv.surrogate.model import RIGHT, fit_of, settings_of, start_inputs
from dataenv.tasks.procedural.targets import DOMAINS
from dataenv.world import task_of

FITS = Path(dataenv.surrogate.__file__).parent / "fits"
FOLDS = 4
STEPS, BATCH, RATE = 1500, 2048, 5e-3
SKILL_PENALTY = 1e-3
START_PENALTY = 10.0
RATES = Path("records/nano_a.json")
"""With the base's accuracy on every skill; see ``scripts/nano_table.py``."""


@dataclass(frozen=True)
class Recipe:
    """What is fitted.

    Args:
        hidden: Units of the hidden layer; 0: there is none, which is a logistic regression.
        penalty: Of squared weights.
    """

    hidden: int
    penalty: float


RECIPES = [Recipe(hidden, penalty) for hidden in (0, 24, 64) for penalty in (1e-4, 1e-3)]


def base_odds(domain: str) -> dict[str, float]:
    """The log-odds with which the base knows each skill."""
    rates = json.loads(RATES.read_text("utf-8"))["domains"][domain]["skills"]
    clipped = {name: min(0.98, max(0.02, rate)) for name, rate in rates.items()}
    return {name: round(float(np.log(p / (1 - p))), 4) for name, p in clipped.items()}


def cases_of(record: dict[str, Any], base: dict[str, float]) -> Iterator[Case]:
    """The sets of a logged target."""
    name = record["domain"]
    config = env_config(f"{name.capitalize()}-fast-v0", seeds=0, pool=0, retention=0)
    task, reader = task_of(config, record["target"]), reader_of(name)
    asked = (*task.public, *task.reward)
    items = Items(reader, asked)
    for (rows, correct), each in zip(sets_of(record, len(asked)), record["sets"], strict=True):
        counts = Counts(reader, rows)
        figures = {key: each[key] for key in ("log_likelihood", "retention")}
        yield Case(
            record["target"],
            each["by"],
            features(items, counts, base),
            correct,
            len(task.public),
            items,
            counts,
            frozenset(row.id for row in rows),
            figures,
        )


def fitted(cases: Sequence[Case], base: dict[str, float], recipe: Recipe) -> dict[str, Any]:
    """The plain values of a fit to some cases; the base has parameters of its own."""
    start = _start([case for case in cases if case.by == BASE], base)
    cases = [case for case in cases if case.by != BASE]
    inputs = np.concatenate([case.inputs for case in cases])
    centre, scale = inputs.mean(0), np.maximum(inputs.std(0), 0.05)
    names = sorted({skill for case in cases for skill in case.skills})
    place = {name: number for number, name in enumerate(names)}
    x = torch.tensor((inputs - centre) / scale, dtype=torch.float32)
    y = torch.tensor(np.concatenate([case.correct for case in cases]), dtype=torch.float32)
    skill = torch.tensor([place[name] for case in cases for name in case.skills])
    layers, own = _train(x, y, skill, len(names), recipe)
    return {
        "about": {},
        "features": list(FEATURES),
        "centre": _short(centre),
        "scale": _short(scale),
        "layers": [[_short(weights), _short(biases)] for weights, biases in layers],
        "skills": dict(zip(names, _short(own), strict=True)),
        "base": base,
        "start": _short(start),
        "fresh": 0.0,
        "heads": {},
    }


def _start(cases: Sequence[Case], base: dict[str, float]) -> np.ndarray:
    """A logistic regression by Newton's method, drawn towards what is known of the skills."""
    x = np.concatenate([start_inputs(case.items, base) for case in cases])
    y = np.concatenate([case.correct for case in cases])
    prior = np.array([0.0, 1.0, 0.0, 0.0])
    weights = prior
    for _ in range(20):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - y) + START_PENALTY * (weights - prior)
        bend = (x.T * (p * (1 - p))) @ x + START_PENALTY * np.eye(len(prior))
        weights = weights - np.linalg.solve(bend, slope)
    return weights


def _train(
    x: torch.Tensor, y: torch.Tensor, skill: torch.Tensor, skills: int, recipe: Recipe
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    torch.manual_seed(0)
    sizes = [x.shape[1], *([recipe.hidden] if recipe.hidden else []), 1]
    linear = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
    own = torch.zeros(skills, 2, requires_grad=True)
    weights = [each.weight for each in linear]
    optimiser = torch.optim.Adam([*(p for each in linear for p in each.parameters()), own], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        some = torch.randint(len(y), (BATCH,))
        hidden = x[some]
        for each in linear[:-1]:
            hidden = torch.tanh(each(hidden))
        shift = own[skill[some]]
        odds = linear[-1](hidden)[:, 0] + shift[:, 0] + shift[:, 1] * x[some, RIGHT]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, y[some])
        loss = loss + recipe.penalty * sum((each**2).sum() for each in weights)
        loss = loss + SKILL_PENALTY * (own**2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    layers = [(e.weight.detach().T.numpy(), e.bias.detach().numpy()) for e in linear]
    return layers, own.detach().numpy()


def _short(values: np.ndarray) -> Any:
    return np.round(values.astype(float), 5).tolist()


def held_out(cases: Sequence[Case], base: dict[str, float], recipe: Recipe) -> list[np.ndarray]:
    """The chances of the items of every case, by a fit without its target."""
    targets = sorted({case.target for case in cases})
    fold = {target: number % FOLDS for number, target in enumerate(targets)}
    fits = [
        fit_of(fitted([case for case in cases if fold[case.target] != number], base, recipe))
        for number in range(min(FOLDS, len(targets)))
    ]
    return [fits[fold[case.target]].chances(case.items, case.counts) for case in cases]


def fit_domain(domain: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The plain values of the fit of a domain, its record included."""
    base = base_odds(domain)
    cases = [case for record in records for case in cases_of(record, base)]
    tried = {}
    for recipe in RECIPES:
        chances = held_out(cases, base, recipe)
        tried[recipe] = log_loss(cases, chances), chances
        print(f"{domain}: {recipe}: log-loss {tried[recipe][0]:.4f}", flush=True)
    best = min(tried, key=lambda recipe: tried[recipe][0])
    chances = tried[best][1]
    about = {
        "domain": domain,
        "worlds": name_of_worlds(),
        "settings": settings_of(env_config(f"{domain.capitalize()}-surrogate-v0")),
        "recipe": asdict(best),
        "targets": len({case.target for case in cases}),
        "sets": len(cases),
        "held_out": figures_of(cases, chances),
    }
    found = {name: _short(weights) for name, weights in heads(cases, chances).items()}
    more = {"fresh": round(fresh_share(cases, chances), 4), "heads": found}
    return {**fitted(cases, base, best), **more, "about": about}


def table() -> str:
    """What is known of the fits that there are, in Markdown."""
    lines = [
        "| domain | targets | sets | score | base's score | topic | calibration | order of sets |",
        "|---|---|---|---|---|---|---|---|",
    ]
    orders = ["| domain | " + " | ".join(BEHAVIOURS) + " | order |", "|---" * 9 + "|"]
    for domain in DOMAINS:
        path = FITS / f"{domain}.json"
        if not path.exists():
            continue
        about = json.loads(path.read_text("utf-8"))["about"]
        found = about["held_out"]
        low, high = found["rank_correlation_interval"]
        lines.append(
            f"| {domain} | {about['targets']} | {about['sets']} | {found['set_error_points']:.1f} | "
            f"{found['base_error_points']:.1f} | {found['topic_error_points']:.1f} | {found['calibration_error_points']:.1f} | "
            f"{found['rank_correlation']:.2f} [{low:.2f}, {high:.2f}] |"
        )
        held = found["controllers"]
        cells = [f"{held[n][0]:.2f}, {held[n][1]:.2f}" if n in held else "-" for n in BEHAVIOURS]
        order = rank_correlation(*zip(*held.values()))
        orders.append(f"| {domain} | {' | '.join(cells)} | {order:.2f} |")
    return "\n".join([*lines, "", *orders])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--out", type=Path, default=FITS)
    parser.add_argument("--table", action="store_true", help="only print the table")
    args = parser.parse_args()
    if not args.table:
        records = read_current(args.log)
        for domain in DOMAINS:
            mine = [record for record in records if record["domain"] == domain]
            if mine:
                plain = fit_domain(domain, mine)
                (args.out / f"{domain}.json").write_text(json.dumps(plain) + "\n", "utf-8")
    print(table())


if __name__ == "__main__":
    main()
