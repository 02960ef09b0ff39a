"""Controllers compared: figures that can be recomputed, and no rank beyond what runs can tell."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import dataenv
from dataenv.cli import main
from dataenv.errors import ConfigError
from dataenv.runs.leaderboard import boards
from dataenv.runs.results import read_results
from dataenv.statistics import mean_bootstrap

RECORDS = Path(dataenv.__file__).parents[1] / "records" / "controllers.jsonl"


@pytest.fixture(scope="module")
def recorded():
    return read_results(RECORDS)


def science(recorded):
    return next(each for each in boards(recorded) if each.title.startswith("science"))


def standing(board, policy):
    return next(each for each in board.standings if each.policy == policy)


def with_gains(recorded, gains):
    """Records of one world: for each policy, its gains on targets 0, 1, ..."""
    like = recorded[0]
    return [
        {**like, "policy": policy, "target": f"t-{number}", "seed": number, "gain_points": gain}
        for policy, values in gains.items()
        for number, gain in enumerate(values)
    ]


def test_the_figures_are_those_of_the_records(recorded):
    names = {"mirror_second": "mirror", "privileged": "feedback"}  # who is in it grows and shrinks
    many = [r for r in recorded if r["policy"] in names]
    recorded = [{**r, "policy": names[r["policy"]], "flags": []} for r in many]
    board = science(recorded)
    mine = [r for r in recorded if (r["task"], r["policy"]) == ("science", "feedback")]
    mirror = {
        (r["target"], r["seed"]): r["gain_points"]
        for r in recorded
        if (r["task"], r["policy"]) == ("science", "mirror")
    }
    line = standing(board, "feedback")
    assert line.gain == pytest.approx(np.mean([r["gain_points"] for r in mine]))
    assert line.interval == mean_bootstrap(
        [r["gain_points"] for r in mine], clusters=[r["target"] for r in mine]
    )
    assert line.cost["calls"] == np.mean([r["budget"]["calls"]["used"] for r in mine])
    assert line.mats == sum(r["attempts"] for r in mine) / sum(r["successful"] for r in mine)
    pairs = [r["gain_points"] - mirror[r["target"], r["seed"]] for r in mine]
    (against,) = line.against
    assert (against.to, against.n) == ("mirror", len(pairs))
    assert against.mean == pytest.approx(np.mean(pairs))
    assert against.detectable == pytest.approx(2.801585 * np.std(pairs, ddof=1) / len(pairs) ** 0.5)


def test_references_are_shown_but_not_ranked(recorded):
    line = standing(science(recorded), "privileged")
    assert line.rank is None and line.flags == (("privileged", line.runs),)


def test_worlds_are_not_mixed(recorded):
    assert len(boards(recorded)) == 3
    other = [{**r, "worlds": "1-old"} for r in recorded if r["task"] == "science"]
    assert len(boards([*recorded, *other])) == 4
    richer = json.loads(json.dumps(recorded[:1]))
    richer[0]["budget"]["calls"]["limit"] = 9_999
    assert len(boards([*recorded[:1], *richer])) == 2


def test_what_cannot_be_told_apart_shares_a_rank(recorded):
    draw = random.Random(0)
    targets = [draw.gauss(20, 10) for _ in range(16)]
    gains = {
        "best": [each + 15 + draw.gauss(0, 3) for each in targets],
        "twin": [each + 15 + draw.gauss(0, 3) for each in targets],
        "worse": [each + draw.gauss(0, 3) for each in targets],
    }
    (board,) = boards(with_gains(recorded, gains))
    assert {each.policy: each.rank for each in board.standings} == {
        "best": 1,
        "twin": 1,
        "worse": 3,
    }
    assert set(board.told_apart) == {("best", "worse"), ("twin", "worse")}


def test_a_few_targets_cannot_rank_whatever_they_show(recorded):
    gains = {"high": [50.0, 51.0, 52.0], "low": [1.0, 2.0, 4.0]}
    (board,) = boards(with_gains(recorded, gains))
    assert [each.rank for each in board.standings] == [1, 1] and not board.told_apart


def test_controllers_without_common_targets_have_no_rank(recorded):
    one, other = with_gains(recorded, {"one": [9.0]}), with_gains(recorded, {"other": [5.0]})
    (board,) = boards([*one, *({**each, "seed": 7} for each in other)])
    assert [each.rank for each in board.standings] == [None, None] and board.comparisons == 0


@pytest.mark.parametrize("flag", ["unsafe", "unisolated"])
def test_runs_that_could_cheat_are_marked_and_not_ranked(flag, recorded):
    records = with_gains(recorded, {"one": [9.0, 8.0], "other": [5.0, 6.0]})
    records[0]["flags"] = [flag]
    (board,) = boards(records)
    assert standing(board, "one").rank is None
    assert standing(board, "one").flags == ((flag, 1),)
    assert f"{flag} 1/2" in board.to_text()


def test_a_single_target_has_no_interval(recorded):
    (board,) = boards(with_gains(recorded, {"mirror": [9.0], "other": [5.0]}))
    line = standing(board, "other")
    assert line.interval is None and line.against[0].interval is None
    assert "| +5.0 | -4.0, n = 1 |" in board.to_text()


def test_a_run_that_is_there_twice_is_refused(recorded):
    with pytest.raises(ConfigError, match=f"two runs of '{recorded[0]['policy']}' on"):
        boards([*recorded, recorded[0]])


def test_a_run_without_private_score_is_refused(recorded):
    with pytest.raises(ConfigError, match="score_private=true"):
        boards([{**recorded[0], "gain_points": None}])


def test_folders_and_files_go_together(recorded, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    extra = {**recorded[0], "policy": "mine"}
    (tmp_path / "run/result.json").write_text(json.dumps(extra))
    assert main(["leaderboard", str(tmp_path / "run"), "--records", str(RECORDS), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert {"mine", "mirror"} <= {each["policy"] for each in first["standings"]}
    assert main(["leaderboard", "--records", str(RECORDS)]) == 0
    printed = capsys.readouterr().out
    assert "| - | privileged |" in printed and "Holm" in printed


@pytest.mark.parametrize("arguments", [[], ["nowhere"], ["--records", "nowhere.jsonl"]])
def test_what_cannot_be_read_is_an_error_with_a_way_out(arguments, capsys):
    assert main(["leaderboard", *arguments]) == 2
    said = capsys.readouterr().err
    assert "name" in said or "holds no finished run" in said
