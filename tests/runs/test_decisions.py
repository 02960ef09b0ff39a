"""Which decision paid: planted ones are named, and replays meet what the run has met."""

import json

import pytest

from dataenv.cli import main
from dataenv.env import DataEnv
from dataenv.errors import ConfigError
from dataenv.registry import env_config, make_policy
from dataenv.runs.decisions import Replay, read_decisions, write_decisions
from dataenv.runs.folder import DECISIONS
from dataenv.runs.runner import run_to_folder

SMALL = ["public=16", "reward=16", "private=8", "seeds=8", "pool=40", "retention=2", "min_rows=4"]
SMALL += ["max_rows=32", "calls=96", "trainings=3", "steps=16", "training.epochs=1"]
SMALL += ["decoding.max_new_tokens=8"]


class Plan:
    """A controller that does what is written."""

    name = "plan"

    def __init__(self, actions):
        self.actions = actions

    def begin(self, briefing):
        self.queue = list(self.actions)

    def act(self, observation, report):
        return self.queue.pop(0)

    def state_dict(self):
        return {"left": len(self.queue)}

    def load_state_dict(self, state):
        self.queue = self.actions[-state["left"] :]


def played(actions, config):
    """The rows after some actions, which the same actions will have again."""
    env = DataEnv(config=config)
    env.reset(seed=0)
    for action in actions:
        env.step(action)
    return [row.id for row in env.working_set]


def test_a_planted_good_operation_and_a_planted_bad_one_are_both_named(tmp_path):
    sizes = ["public=40", "reward=200", "private=10", "retention=4", "calls=200"]
    config = env_config("Science-fast-v0", sizes, teacher="procedural-exact")
    good = {"op": "generate", "brief": "", "n": 160, "examples": [f"p{n}" for n in range(40)]}
    env = DataEnv(config=config)
    env.reset(seed=0)
    good["examples"] = [item.id for item in env.task.public]
    idle = {"op": "draw", "n": 8}
    rows = played([good], config)
    bad = {"op": "drop", "rows": rows[: 4 * len(rows) // 5]}
    actions = [good, idle, bad, {"op": "train"}, {"op": "submit"}]
    run_to_folder(config, Plan(actions), 0, tmp_path, quiet=True)
    found = write_decisions(tmp_path)
    by_name = {each.action["op"]: each for each in found.found}
    assert list(by_name) == ["generate", "draw", "drop"] and found.hidden and found.items == 200
    assert by_name["generate"].stands and by_name["generate"].interval_points.low > 0
    assert by_name["drop"].stands and by_name["drop"].interval_points.high < 0
    assert by_name["drop"].rows > by_name["generate"].rows
    assert abs(by_name["draw"].effect_points) < by_name["generate"].effect_points
    assert read_decisions(tmp_path) == found
    assert main(["report", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text().split("Which decision paid")[1]
    page = page.split("Rows of the submission")[0]
    assert page.count("paid</td>") == 1 and page.count("did harm</td>") == 1


def test_an_operation_that_is_left_out_moves_nothing_else(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", SMALL, student=str(tiny_path))
    ask = {"op": "generate", "brief": "easy problems", "n": 8}
    actions = [ask, ask, {"op": "verify", "checks": 1}, {"op": "dedup"}, {"op": "train"}]
    actions += [{"op": "generate", "brief": "hard problems", "n": 4}, {"op": "submit"}]
    run_to_folder(config, Plan(actions), 0, tmp_path, quiet=True)
    replay = Replay(tmp_path)
    assert [replay.actions[place]["op"] for place in replay.changed()][:2] == ["generate"] * 2
    assert max(replay.changed()) < 4  # what came after the submitted training is not in it
    kept = {row.id for row in replay.submitted}
    first, second = replay.without(0)[0], replay.without(1)[0]
    assert {row.id for row in first} < kept and {row.id for row in second} < kept
    assert not {row.id for row in first} & {row.id for row in second}
    assert (
        replay.env.broker.used
        == json.loads((tmp_path / "result.json").read_text())["budget"]["calls"]["used"]
    )


def test_a_served_teacher_is_not_asked_again(tiny_path, tmp_path, procedural_server):
    where = ["endpoint.model=any", f"endpoint.base_url={procedural_server.url}"]
    served = {"student": str(tiny_path), "teacher": "openai"}
    config = env_config("Science-fast-v0", [*SMALL, *where], **served)
    run_to_folder(config, make_policy("feedback"), 0, tmp_path, quiet=True)
    asked = procedural_server.completions
    found = write_decisions(tmp_path, seeds=1)
    assert found.found and asked == procedural_server.completions


def test_what_cannot_be_replayed_is_refused(tiny_path, tmp_path):
    config = env_config("Science-fast-v0", SMALL, student=str(tiny_path))
    run_to_folder(config, make_policy("matched_clean"), 0, tmp_path / "clean", quiet=True)
    with pytest.raises(ConfigError, match="rows came in by another way"):
        write_decisions(tmp_path / "clean")
    run_to_folder(config, Plan([{"op": "submit"}]), 0, tmp_path / "nothing", quiet=True)
    with pytest.raises(ConfigError, match="submitted nothing"):
        write_decisions(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="no finished run"):
        write_decisions(tmp_path / "nowhere")
    actions = [{"op": "generate", "brief": "easy problems", "n": 8}, {"op": "train"}]
    run_to_folder(config, Plan([*actions, {"op": "submit"}]), 0, tmp_path / "run", quiet=True)
    with pytest.raises(ConfigError, match="seeds must be at least 1"):
        write_decisions(tmp_path / "run", seeds=0)
    (tmp_path / "run" / DECISIONS).write_text("{")
    assert main(["report", str(tmp_path / "run")]) == 2
