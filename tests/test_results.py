"""What the records of the experiment are made to say."""

import json

import numpy as np
import pytest
import reproduce_results
import results_tables as tables

from dataenv.env import DataEnv
from dataenv.lock import name_of_worlds
from dataenv.policy import run_episode
from dataenv.registry import env_config, make_policy

CLASSES = {
    "cem": ["cem-0", "cem-1"],
    "open_loop": ["open_loop-0", "open_loop-1"],
    "bandit": ["bandit"],
}


def record(policy, domain, number, private, base=0.2, **fields):
    budget = {axis: {"used": 5, "limit": 10} for axis in ("calls", "trainings", "steps")}
    return {
        **{
            "policy": policy,
            "domain": domain,
            "target_number": number,
            "target": f"{domain}-{number}",
        },
        **{"seed": number, "task": domain.lower(), "worlds": name_of_worlds()},
        **{"base": {"private": base, "public": base}, "final": {"private": private}},
        **{"gain_points": 100 * (private - base), "attempts": 3, "successful": 2, "budget": budget},
        **{"training_tokens": 1000, "seconds": {"all": 9.0}, "retention": {"final": 0.9}},
        "rounds": [
            {"generate": [2, 10, 9], "train": [1, 0, 0], "public": 0.4},
            {"submit": [1, 0, 0]},
        ],
        **fields,
    }


def play(levels, targets=8, spread=0.02):
    """Everybody on the same targets: a target's own level, a controller's, and some luck."""
    rng = np.random.default_rng(0)
    own = rng.normal(0, 0.1, (3, targets))
    return [
        record(who, domain, n, 0.45 + own[d, n] + level + rng.normal(0, spread))
        for who, level in levels.items()
        for d, domain in enumerate(tables.DOMAINS)
        for n in range(targets)
    ]


LEVELS = {
    **{"cem-0": 0.08, "cem-1": 0.06, "open_loop-0": 0.0, "open_loop-1": 0.03, "bandit": 0.05},
    **{"feedback": 0.02, "mirror": -0.02, "random": -0.2, "rds": -0.05, "skill_tree": 0.01},
}


def test_the_best_class_and_the_best_opponent_are_chosen_by_their_means():
    choice = tables.choose(play(LEVELS), CLASSES)
    assert choice.learned == "cem" and choice.members == ("cem-0", "cem-1")
    assert choice.opponent == "open_loop-1" == choice.opponents["open_loop"]
    assert 1 < choice.spread < 6
    assert choice.means["cem"] == pytest.approx(
        np.mean(
            [
                tables.choose(play(LEVELS), {**CLASSES, "cem": [m]}).means["cem"]
                for m in CLASSES["cem"]
            ]
        )
    )
    with pytest.raises(ValueError, match=r"no validation records of \['cem-2'\]"):
        tables.choose(play(LEVELS), {**CLASSES, "cem": ["cem-2"]})


def test_a_choice_waits_for_all_targets():
    records = [r for r in play(LEVELS) if not (r["policy"] == "mirror" and r["target_number"] == 3)]
    with pytest.raises(ValueError, match=r"'mirror'\] have not played all targets"):
        tables.choose(records, CLASSES)


def test_what_a_control_takes_away_is_paired_by_policy_and_target():
    test, control = play({"cem-0": 0.1, "cem-1": 0.05}), play({"cem-0": 0.04, "cem-1": -0.01}, 5)
    found = tables.lost(play({"cem-0": 0.1}, 5, 0.0), play({"cem-0": 0.04}, 5, 0.0), ["cem-0"], "x")
    assert found["difference_points"] == pytest.approx(6.0) and found["targets"] == 15
    assert tables.lost(test, control, ["cem-0", "cem-1"], "x")["targets"] == 15
    assert tables.lost(test, [], ["cem-0"], "x") is None


def test_the_claim_is_paired_and_corrected():
    records = play(LEVELS, targets=20)
    found = tables.claim(records, ("cem-0", "cem-1"), "feedback")
    assert found["targets"] == 60 and found["difference_points"] == pytest.approx(5.0, abs=1.0)
    low, high = found["interval_points"]
    assert 0 < low < 5 < high and high - low < 8  # the spread of targets is taken out
    assert all(each["stands"] for each in found["domains"].values())
    none = tables.claim(play({"a": 0.0, "b": 0.0, "c": 0.0}), ("a", "b"), "c")
    assert none["interval_points"][0] < 0 < none["interval_points"][1]
    assert not any(each["stands"] for each in none["domains"].values())
    assert tables.claim(records, ("cem-0",), "nobody") is None


def test_targets_that_not_all_have_played_are_left_out_of_a_comparison():
    records = [r for r in play(LEVELS) if not (r["policy"] == "cem-1" and r["target_number"] == 3)]
    found = tables.differences(records, ("cem-0", "cem-1"), "mirror")
    assert {name: each.shape for name, each in found.items()} == dict.fromkeys(
        tables.DOMAINS, (2, 7)
    )


def test_members_of_a_class_are_one_line_and_the_best_comes_first():
    text = tables.controllers_table(play(LEVELS), {"cem": CLASSES["cem"]})
    names = [line.split("|")[1].strip() for line in text.splitlines()[2:]]
    assert names[0] == "cem" and names[-1] == "random" and "cem-0" not in names
    assert "| 1.50 | 5 | 5.0 | 1000 | 9 | 0.90 |" in text


def test_all_controllers_are_compared_on_the_targets_that_most_have_played():
    records = play({**LEVELS, "privileged": 0.2}, targets=5)
    few = {"privileged": 2, **dict.fromkeys(("mirror", "random", "rds", "bandit", "skill_tree"), 3)}
    records = [r for r in records if r["target_number"] < few.get(r["policy"], 5)]
    kept = tables.of_shared_targets(records)
    assert {r["target_number"] for r in kept if r["policy"] == "cem-0"} == {0, 1, 2}
    assert {r["target_number"] for r in kept if r["policy"] == "privileged"} == {0, 1}
    assert tables.of_shared_targets([]) == []


def test_the_share_of_the_headroom_counts_shared_targets_only():
    records = play({**LEVELS, "privileged": 0.2}, spread=0.0)
    records = [r for r in records if r["policy"] != "privileged" or r["target_number"] < 3]
    lines = tables.headroom_table(records, {}).splitlines()
    shares = {line.split("|")[1].strip(): float(line.split("|")[2]) for line in lines[2:]}
    assert shares["cem-0"] > shares["mirror"] > 0 and all("| 9 |" in line for line in lines[2:])
    chosen = [
        r for r in records if r["policy"] in ("mirror", "privileged") and r["target_number"] < 3
    ]
    ratio = [
        sum(r["gain_points"] for r in chosen if r["policy"] == who)
        for who in ("mirror", "privileged")
    ]
    assert shares["mirror"] == pytest.approx(ratio[0] / ratio[1], abs=0.005)


def test_a_policy_is_tested_in_the_domain_that_it_was_not_learned_on():
    records = [
        record(f"cem-without-{d}", domain, 0, 0.5)
        for d in ("science", "code")
        for domain in ("Science", "Code")
    ]
    kept = tables.without_its_domain(records)
    assert [(r["policy"], r["domain"]) for r in kept] == [("cem", "Science"), ("cem", "Code")]


def test_rounds_are_told_by_operation():
    text = tables.rounds_table(play({"cem-0": 0.0}, targets=2), ("cem-0",))
    assert "generate 2.0 (10 calls, +9 rows); train 1.0" in text and "| 2 | 6 | submit 1.0" in text


def test_curves_follow_the_set_that_would_be_submitted():
    def one(public, private):
        names = ("instruction_difficulty", "instruction_diversity", "response_diversity")
        names += ("response_quality", "response_perplexity")
        quality = {name: {"value": private} for name in names}
        return {"public": public, "reward": 0.1, "private": private, "rows": 50, "quality": quality}

    sets = [[one(0.3, 0.25), one(0.2, 0.9), one(0.4, 0.35)], [one(0.5, 0.45)]]
    text = tables.curves_table([{"policy": "cem-0", "sets": each} for each in sets])
    second, third = text.splitlines()[3:5]
    assert "| 0.400 | 0.100 | 0.350 | 50 | 0.35 |" in second  # the worse round is not kept
    assert "| 0.450 | 0.100 | 0.400 |" in third


def test_the_page_and_the_claim_come_from_the_records_alone(tmp_path, monkeypatch, capsys):
    records, policies = tmp_path / "records" / "results", tmp_path / "records" / "learned"
    records.mkdir(parents=True)
    policies.mkdir()
    members = [
        m
        for n, count in reproduce_results.SEEDS.items()
        for m in (f"{n}-{s}" for s in range(count))
    ]
    levels = {**dict.fromkeys(members, 0.0), **LEVELS}
    for column in ("validation", "test", "half_calls"):
        text = "".join(json.dumps(r) + "\n" for r in play(levels))
        (records / f"{column}.jsonl").write_text(text)
    rounds = [
        {"round": n, "episodes": 9 * n, "trainings": 20 * n, "ahead": n / 100} for n in range(8)
    ]
    (policies / "cem-0.rounds.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rounds))
    monkeypatch.setattr(reproduce_results, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce_results, "RECORDS", records)
    monkeypatch.setattr(reproduce_results, "POLICIES", policies)
    (tmp_path / "docs").mkdir()
    target = tmp_path / "claim.json"
    monkeypatch.setattr("sys.argv", ["x", "--from-records", "--json", str(target)])
    reproduce_results.main()
    claim, page = json.loads(target.read_text()), (tmp_path / "docs" / "RESULTS.md").read_text()
    low, high = claim["interval_points"]
    assert low < claim["difference_points"] < high and claim["members"] == ["bandit"]
    assert (
        claim["difference_points"] == pytest.approx(2.0, abs=1.5)
        and claim["other"] == "open_loop-1"
    )
    assert {"test against mirror", "half_calls against mirror"} <= set(claim["columns"])
    assert f"{claim['difference_points']:+.1f}" in page and "| cem-0 | 63 | 140 | +0.5" in page
    assert "bandit" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mirror", "feedback", "bandit", "skill_tree"])
def test_raw_questions_change_nothing_for_those_who_do_not_ask_for_them(name):
    def played(seeds):
        config = env_config("Code-surrogate-v0", seeds=seeds, score_private=False)
        env = DataEnv(config=config)
        episode = run_episode(env, make_policy(name), 3, {"target": 3})
        return episode.total_reward, [step["action"] for step in episode.steps]

    assert played(0) == played(40)
