"""A language model that calls operations: over HTTP, as it should and otherwise."""

import json
import random

import pytest
from dataenv.policies.tool_agent import TRIES, ToolAgent

from dataenv.config import AgentConfig
from dataenv.errors import AgentUnavailable, ConfigError
from dataenv.policy import run_episode
from tests.policies.scripted import following

WRITE = {"op": "generate", "brief": "easy problems", "n": 16}
EPISODE = (WRITE, {"op": "train"}, {"op": "submit"})


def called(action):
    """An operation as a tool call."""
    return {"tool": action["op"], "arguments": {k: v for k, v in action.items() if k != "op"}}


def refuses_tools(body):
    if "tools" in body:
        raise ValueError("tools are not known here")
    return json.dumps(EPISODE[0])


def play(make_env, lines, fields=None, **sizes):
    """(episode, server) of an agent whose model says these lines."""
    with following(lines, **(fields or {})) as (server, config):
        agent = ToolAgent(config)
        episode = run_episode(make_env(**sizes), agent, seed=1)
    return episode, server, agent


def actions(episode):
    return [step["action"] for step in episode.steps]


def test_tool_calls_are_operations(make_env):
    episode, server, agent = play(make_env, [called(each) for each in EPISODE])
    assert actions(episode) == list(EPISODE) and episode.outcome.evaluation == 1
    offered = [{each["function"]["name"] for each in body["tools"]} for body in server.bodies]
    assert "train" not in offered[0] and "submit" not in offered[0] and "filter" not in offered[0]
    assert "train" in offered[1] and "submit" not in offered[1] and "filter" in offered[1]
    assert "submit" in offered[2] and "train" not in offered[2]  # the set has not changed
    usage = {"model": "scripted", "replies": 3, "attempts": 3}
    assert agent.model.usage() == {**usage, "prompt_tokens": 21, "completion_tokens": 15}


def test_a_server_without_tools_is_asked_for_json_that_follows_a_schema(make_env):
    lines = [refuses_tools, *(json.dumps(each) for each in EPISODE)]
    episode, server, _ = play(make_env, lines)
    assert actions(episode) == list(EPISODE)
    assert "tools" in server.bodies[0] and all("tools" not in body for body in server.bodies[1:])
    wanted = server.bodies[1]["response_format"]["json_schema"]["schema"]["anyOf"]
    schemas = {each["properties"]["op"]["enum"][0]: each["properties"] for each in wanted}
    assert "train" not in schemas
    ids, topics = schemas["generate"]["examples"]["items"], schemas["draw"]["topic"]
    assert all(each in server.questions[1] for each in [*ids["enum"], *topics["enum"]])


def test_a_server_without_either_is_asked_for_json_in_its_text(make_env):
    def refuses(body):
        raise ValueError("not here")

    said = [f"Let me think. {json.dumps(each)} That should help." for each in EPISODE]
    episode, server, _ = play(make_env, [refuses, refuses, *said])
    assert actions(episode) == list(EPISODE)
    assert "response_format" not in server.bodies[2] and "generate(" in str(server.bodies[2])


@pytest.mark.parametrize(
    "said",
    [
        '```json\n{"op": "train"}\n```',
        '{"name": "train", "arguments": {}}',
        'I could {"op": 1, but: {"op": "train"}',
    ],
)
def test_json_is_found_where_models_put_it(said, make_env):
    lines = [json.dumps(WRITE), said, '{"op": "submit"}']
    episode, _, _ = play(make_env, lines, {"answers": "text"})
    assert [each["op"] for each in actions(episode)] == ["generate", "train", "submit"]


def test_what_is_no_operation_comes_back_as_text_and_costs_no_step(make_env):
    garbage = ["I would rather not.", '{"op": "trian"}', {"text": '{"op": "gen', "cut": True}]
    lines = [*garbage, *(json.dumps(each) for each in EPISODE)]
    episode, server, _ = play(make_env, lines, {"answers": "text"})
    assert actions(episode) == list(EPISODE)
    told = ("holds no JSON object", "no operation 'trian' now; choose: generate", "it was cut off")
    for question, words in zip(server.questions[1:4], told, strict=True):
        assert "could not be used" in question and words in question
    assert "could not be used" not in server.questions[4]


def test_arguments_of_a_tool_call_that_are_no_object_come_back_too(make_env):
    lines = [
        *({"tool": "generate", "arguments": each} for each in ('{"n":', "[1]")),
        *(called(each) for each in EPISODE),
    ]
    episode, server, _ = play(make_env, lines)
    assert actions(episode) == list(EPISODE)
    assert "are no JSON" in server.questions[1] and "must be an object" in server.questions[2]


def test_wrong_arguments_go_to_the_environment_which_says_what_is_wrong(make_env):
    wrong = {"op": "generate", "brief": "x", "n": 9999}
    episode, server, _ = play(make_env, [called(each) for each in (wrong, *EPISODE)])
    assert len(episode.steps) == 4 and episode.steps[0]["reward"] < 0
    assert "generate.n is 9999" in server.questions[1]


def test_a_model_that_says_nothing_of_use_ends_with_what_there_is(make_env):
    episode, server, _ = play(make_env, ["no"], {"answers": "text"})
    assert actions(episode) == [{"op": "submit"}] and len(server.bodies) == TRIES
    episode, _, _ = play(make_env, [json.dumps(WRITE), "no"], {"answers": "text"})
    assert [each["op"] for each in actions(episode)] == ["generate", "train", "submit"]


def test_used_up_budgets_end_the_episode_with_an_evaluation(make_env):
    look = called({"op": "inspect", "what": "public"})
    episode, server, _ = play(make_env, [called(WRITE), look], steps=5)
    done = [each["op"] for each in actions(episode)]
    assert done == ["generate", "inspect", "inspect", "train", "submit"]
    assert len(server.bodies) == 3 and episode.outcome.evaluation == 1
    episode, server, _ = play(make_env, [called(each) for each in EPISODE[:2]], trainings=1)
    assert [each["op"] for each in actions(episode)] == ["generate", "train", "submit"]
    assert len(server.bodies) == 2
    episode, server, _ = play(make_env, [called(WRITE), look], calls=16, steps=4)
    offered = {each["function"]["name"] for each in server.bodies[1]["tools"]}
    assert not offered & {"generate", "verify"} and offered >= {"draw", "dedup", "train"}


def test_only_the_operations_wanted_are_offered(make_env):
    fields = {"operations": ("generate", "dedup")}
    _, server, _ = play(make_env, [called(each) for each in EPISODE], fields)
    offered = [{each["function"]["name"] for each in body["tools"]} for body in server.bodies]
    assert offered == [
        {"generate"},
        {"generate", "dedup", "train"},
        {"generate", "dedup", "submit"},
    ]
    with pytest.raises(ConfigError, match="Did you mean 'dedup'"):
        ToolAgent(AgentConfig(model="m", operations=("dedupe",)))


def test_notes_are_kept_and_replaced(make_env):
    lines = [
        called({**WRITE, "notes": "levers first"}),
        called({"op": "train"}),
        called({"op": "inspect", "notes": "levers are done"}),
        called({"op": "submit"}),
    ]
    episode, server, _ = play(make_env, lines)
    assert all("notes" not in each for each in actions(episode))
    assert ["levers first" in each for each in server.questions] == [False, True, True, False]
    assert "levers are done" in server.questions[3]


def test_what_was_looked_at_is_shown(make_env):
    env = make_env()
    env.reset(seed=1)
    like = {item.prompt[:40] for item in env.task.public}
    lines = [called({"op": "inspect", "what": "public", "n": 4}), "no"]
    _, server, _ = play(make_env, lines, {"answers": "auto"})
    assert sum(each in server.questions[1] for each in like) >= 3


def test_questions_stay_bounded_however_long_the_episode(make_env):
    rng = random.Random(0)

    def rambling(body):
        words = "".join(rng.choice("abc ") for _ in range(5000))
        looks = {"op": "inspect", "what": rng.choice(("public", "seeds")), "n": 50}
        return called({**looks, "notes": words})

    for answers in ("tools", "text"):
        fields = {"context_chars": 12_000, "answers": answers}
        _, server, _ = play(make_env, [rambling], fields, steps=40)
        sizes = [server.size(body) for body in server.bodies]
        assert len(sizes) == 39 and 11_000 < max(sizes) <= 12_000
        assert "characters left out" in server.questions[-1]


def test_prompts_may_be_replaced(make_env, tmp_path):
    (tmp_path / "tool_turn.txt").write_text("Short and plain: $report")
    lines = [called(each) for each in EPISODE]
    _, server, _ = play(make_env, lines, {"prompts": str(tmp_path)})
    assert all(each.startswith("Short and plain: evaluation") for each in server.questions)


def test_a_model_that_is_down_is_a_fault_and_no_reward(make_env):
    config = AgentConfig(model="m", base_url="http://127.0.0.1:9/v1", attempts=1)
    with pytest.raises(AgentUnavailable, match="the agent's model 'm': connection failed"):
        run_episode(make_env(), ToolAgent(config), seed=1)


def test_a_refusal_of_more_than_the_form_is_a_fault(make_env):
    def refuses(body):
        raise ValueError("no such words")

    with pytest.raises(AgentUnavailable, match="no such words"):
        play(make_env, [refuses])
