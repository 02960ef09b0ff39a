"""The log of real evaluations, and what is fitted to it."""

import dataclasses
import json
from pathlib import Path

import fit_surrogate
import log_surrogate
import numpy as np
import pytest
import surrogate_figures

from dataenv.hashing import rng_of
from dataenv.presets import OFFLINE
from dataenv.registry import env_config
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.runs.resumable import read_records
from dataenv.surrogate.features import Counts, Items, reader_of
from dataenv.surrogate.model import fit_of
from tests.conftest import SMALL

SIZES = {**SMALL, "public": 24, "reward": 24, "pool": 40}


@pytest.fixture
def small(monkeypatch, tiny_path):
    """Scripts whose student and tasks are small."""

    def config(task, assignments=(), **fields):
        changes = [f"{name}={value}" for name, value in SIZES.items() if name not in fields]
        student = {} if "surrogate" in task else {"student": str(tiny_path)}
        return env_config(task, changes, **student, **fields)

    for module in (log_surrogate, fit_surrogate):
        monkeypatch.setattr(module, "env_config", config)
    monkeypatch.setattr(log_surrogate, "BEHAVIOURS", ("mirror", "random_mix"))
    monkeypatch.setattr(fit_surrogate, "STEPS", 40)
    monkeypatch.setattr(fit_surrogate, "RECIPES", [fit_surrogate.Recipe(4, 1e-2)])


def test_a_log_of_two_targets_is_fitted_and_the_fit_predicts(small):
    records = [log_surrogate.log_target(("Code", number, 3, None))[0] for number in (0, 1)]
    records = json.loads(json.dumps(records))
    assert [each["by"] for each in records[0]["sets"]] == ["base", "mirror", "random_mix"] + [
        "mixture"
    ] * 3
    rows, correct = next(log_surrogate.sets_of(records[0], 48))
    assert len(rows) == 0 and correct.shape == (48,)
    plain = json.loads(json.dumps(fit_surrogate.fit_domain("code", records)))
    about = plain["about"]
    assert about["targets"] == 2 and about["sets"] == 12
    assert set(about["held_out"]["controllers"]) == {"mirror", "random_mix"}
    (case, *_) = fit_surrogate.cases_of(records[0], fit_surrogate.base_odds("code"))
    chances = fit_of(plain).chances(case.items, case.counts)
    assert chances.shape == (48,) and ((chances > 0) & (chances < 1)).all()


def test_rows_are_packed_and_come_back():
    rows = [Row("What is 3?", "", "Answer: 3"), Row("é\n", "x = 1", "Answer: ü")]
    assert log_surrogate.unpack_rows(log_surrogate.pack_rows(rows)) == rows


def test_mixtures_differ_and_are_drawn_alike():
    rows = [Row(f"Find the {n % 4}th of", str(n), str(n), Provenance("pool")) for n in range(90)]
    sets = [WorkingSet(tuple(rows[at : at + 30])) for at in (0, 30, 60)]

    def drawn(seed):
        rng = rng_of(seed)
        return [log_surrogate.draw_mixture(sets, rows, rng) for _ in range(20)]

    found = drawn("a")
    assert len({each.digest for each in found}) == 20 and found == drawn("a")
    assert all(8 <= len(each) <= 30 for each in found)
    assert 0 < sum(each.sequential for each in found) < 20


def test_the_share_of_fresh_luck_is_found_again():
    rng = np.random.default_rng(0)
    p, luck, lot, new = rng.random((4, 100_000))
    q = np.clip(p + 0.1 * rng.normal(size=len(p)), 0, 1)
    again = np.where(lot < 0.3, new, luck)
    cases = [
        dataclasses.replace(_case(), correct=correct, ids=frozenset("abc"))
        for correct in (luck < p, again < q)
    ]
    assert surrogate_figures.fresh_share(cases, [p, q]) == pytest.approx(0.3, abs=0.03)


def _case() -> surrogate_figures.Case:
    """One of no items."""
    reader, empty = reader_of("code"), np.zeros((0, 1))
    items, counts = Items(reader, ()), Counts(reader, WorkingSet())
    return surrogate_figures.Case(0, "x", empty, empty, 0, items, counts, frozenset(), {})


@pytest.mark.parametrize(
    "one,other,wanted",
    [((1, 2, 3), (2, 4, 9), 1.0), ((1, 2, 3), (3, 2, 1), -1.0), ((1, 1, 1), (1, 2, 3), 0.0)],
)
def test_rank_correlation(one, other, wanted):
    assert surrogate_figures.rank_correlation(one, other) == pytest.approx(wanted)


def test_calibration_is_the_distance_of_chance_and_frequency():
    chances = np.array([0.9] * 10 + [0.25] * 10)
    correct = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    assert surrogate_figures.calibration_error(chances, correct) == pytest.approx(0.125)


@pytest.mark.parametrize("domain", OFFLINE)
def test_the_log_that_ships_is_of_train_targets(domain):
    records = read_records(Path("records/surrogate.jsonl"))
    mine = [record for record in records if record["domain"] == domain]
    assert len({record["target"] for record in mine}) >= 4
    assert all(record["target"] < 10**6 for record in mine)
    assert all(len(record["sets"]) > 20 for record in mine)
