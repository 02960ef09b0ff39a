"""Runs of controllers that ask a language model: their records, resume, replay and configuration."""

import json
import os
import signal
import sys

import pytest

from dataenv.agent import Reply
from dataenv.cli import main
from dataenv.config import AgentConfig
from dataenv.errors import CacheMiss, ConfigError, ReplayFault
from dataenv.registry import make_policy
from dataenv.runs.folder import RESULT, TRANSCRIPT
from dataenv.runs.replay import replay
from dataenv.runs.store import RunStore
from dataenv.runs.transcript import read_transcript
from dataenv.serve import serving
from tests.conftest import SMALL
from tests.policies.scripted import Scripted, following
from tests.runs.test_resume import ended, records

WRITE = {"op": "generate", "brief": "easy problems", "n": 12}
EPISODE = (
    *({**WRITE, "notes": "begin"}, {"op": "verify"}, {"op": "train"}, WRITE),
    *("hm", {"op": "train"}, {"op": "submit"}),
)
LINES = [each if isinstance(each, str) else json.dumps(each) for each in EPISODE]
KEY = "sk-of-nobody-4711"


def command(out, student, server, *more):
    """The arguments of a small run of a tool-calling model."""
    settings = {**SMALL, "steps": 16, "trainings": 3}
    changes = [part for k, v in settings.items() for part in ("--set", f"{k}={v}")]
    fields = {"model": "scripted", "base_url": server.url, "answers": "text", "attempts": 2}
    agent = [part for k, v in fields.items() for part in ("--agent", f"{k}={v}")]
    run = ["run", "--task", "Science-fast-v0", "--policy", "tool_agent", "--student", str(student)]
    return [*run, "--out", str(out), *changes, *agent, *more]


def in_turn(body):
    """The line that follows from what was done so far: a model whose memory is the question."""
    question = body["messages"][-1]["content"]
    done = question.split("# What you did last")[1].split("# Report")[0].count(" -> ")
    return LINES[done + (done > 4 or "could not be used" in question)]


@pytest.fixture(scope="module")
def whole(tiny_path, tmp_path_factory):
    """(folder, server) of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    os.environ["OPENAI_API_KEY"] = KEY
    try:
        with serving(Scripted([in_turn])) as server:
            assert main(command(out, tiny_path, server)) == 0
    finally:
        del os.environ["OPENAI_API_KEY"]
    return out, server


def test_a_run_records_what_was_said_and_what_it_took(whole):
    out, server = whole
    result, transcript = json.loads((out / RESULT).read_text()), read_transcript(out)
    assert result["policy"] == "tool_agent(scripted)" and result["failures"] == {}
    usage = {"model": "scripted", "replies": 7, "attempts": 7}
    assert result["agent"] == {**usage, "prompt_tokens": 49, "completion_tokens": 35}
    assert len(server.bodies) == 7 and result["budget"]["calls"]["used"] < 64
    said = [reply.text for _, (_, reply) in sorted(transcript.exchanges.items())]
    assert said == LINES and [step["action"]["op"] for step in transcript.steps][-1] == "submit"
    calls = [line for line in transcript.calls.values() if line["reply"]["kind"] == "reply"]
    assert sum(line["cost"] for line in calls) == result["budget"]["calls"]["used"]
    lines = [json.loads(line) for line in (out / TRANSCRIPT).read_text().splitlines()]
    exchanges = [line for line in lines if line["kind"] == "exchange"]
    questions = [body["messages"][-1]["content"] for body in server.bodies]
    assert [line["messages"][-1][1] for line in exchanges] == questions
    assert max(line["shared"] for line in exchanges) == 1  # the system's message is not repeated


def test_the_key_is_nowhere(whole):
    out, _ = whole
    for path in out.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    assert b"OPENAI_API_KEY" in (out / "run.db").read_bytes()  # its name is


def test_a_replay_asks_nobody_and_ends_the_same(whole, tmp_path, capsys, monkeypatch):
    out, server = whole
    asked = len(server.bodies)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["run", "--replay", str(out)]) == 0
    said = capsys.readouterr().out
    assert "tool_agent(scripted) on" in said and "as it was recorded: 6 steps" in said
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes((out / TRANSCRIPT).read_bytes())
    result = replay(read_transcript(alone))
    recorded = json.loads((out / RESULT).read_text())
    for name in ("final", "submission", "return", "agent", "budget", "mats"):
        assert result[name] == recorded[name]
    assert len(server.bodies) == asked


def edited(whole, tmp_path, change):
    """A transcript with its lines changed."""
    lines = [json.loads(line) for line in (whole[0] / TRANSCRIPT).read_text().splitlines()]
    path = tmp_path / "edited.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in change(lines)))
    return read_transcript(path)


def test_a_replay_names_what_it_lacks(whole, tmp_path):
    def without(kind, number):
        return lambda lines: [
            line for line in lines if (line["kind"], line.get("number")) != (kind, number)
        ]

    with pytest.raises(CacheMiss, match=r"no reply to question 3, .# Task.*no question of that"):
        replay(edited(whole, tmp_path, without("exchange", 2)))
    with pytest.raises(
        CacheMiss, match=r"no reply of procedural.* to sample 0 of the request 'Write"
    ):
        replay(edited(whole, tmp_path, without("call", None)))

    def another(lines):
        for line in lines:
            if line["kind"] == "exchange" and line["number"] == 0:
                line["reply"]["text"] = json.dumps({**WRITE, "n": 8})
        return lines

    with pytest.raises((ReplayFault, CacheMiss)):
        replay(edited(whole, tmp_path, another))


def test_files_that_are_no_transcript_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no transcript to replay"):
        read_transcript(tmp_path)
    path = tmp_path / "t.jsonl"
    path.write_text('{"kind": "song"}\n')
    with pytest.raises(ConfigError, match=r"t.jsonl:1: not a line of a transcript: unknown kind"):
        read_transcript(path)
    path.write_text("")
    with pytest.raises(ConfigError, match="is not whole"):
        read_transcript(path)


POINTS = ("after_exchange:1", "after_choice:1", "after_exchange:2", "in_commit:2", "after_step:1")


def test_a_killed_run_goes_on_and_pays_for_no_reply_twice(whole, tiny_path, tmp_path):
    with serving(Scripted([in_turn])) as server:
        arguments = command(tmp_path, tiny_path, server)
        for point in POINTS:
            assert ended(arguments, point) == -signal.SIGKILL, point
            arguments = ["run", "--resume", str(tmp_path)]
        assert ended(arguments) == 0
        assert len(server.bodies) == 7
    now, before = records(tmp_path), records(whole[0])
    assert now[1:] == before[1:] and now[0] == before[0]
    replay(read_transcript(tmp_path))


def test_a_run_goes_on_when_its_model_is_back(tiny_path, tmp_path, capsys):
    with Scripted([]) as gone:
        port = gone.server_address[1]
        arguments = command(tmp_path, tiny_path, gone)
    assert main(arguments) == 2
    assert f"go on with `dataenv run --resume {tmp_path}`" in capsys.readouterr().err
    with RunStore(tmp_path) as store:
        assert store.last("fault").data["kind"] == "AgentUnavailable"
        assert not store.events("step")
    with serving(Scripted([in_turn], port)):
        assert main(["run", "--resume", str(tmp_path)]) == 0


def test_a_run_goes_on_with_the_same_model_only(tiny_path, tmp_path, capsys):
    with serving(Scripted([in_turn])) as server:
        arguments = command(tmp_path, tiny_path, server)
        assert ended(arguments, "after_step:1") == -signal.SIGKILL
        assert main(["run", "--resume", str(tmp_path), "--agent", "model=other"]) == 2
        assert "/settings/agent/model: 'scripted' -> 'other'" in capsys.readouterr().err
        prompts = tmp_path / "prompts"
        prompts.mkdir()
        (prompts / "tool_form_json.txt").write_text("Only JSON.")
        assert main(["run", "--resume", str(tmp_path), "--agent", f"prompts={prompts}"]) == 2
        assert "/settings/prompts:" in capsys.readouterr().err
        assert main(["run", "--resume", str(tmp_path)]) == 0


def test_a_tape_answers_for_the_server(tiny_path, tmp_path):
    tape = ["--agent", f"tape={tmp_path / 'tape.jsonl'}"]
    with serving(Scripted([in_turn])) as server:
        for out in ("first", "second"):
            assert main(command(tmp_path / out, tiny_path, server, *tape)) == 0
        assert len(server.bodies) == 7
    again = command(tmp_path / "third", tiny_path, server, *tape, "--agent", "tape_mode=replay")
    assert main(again) == 0
    found = [json.loads((tmp_path / out / RESULT).read_text()) for out in ("first", "third")]
    assert found[0]["submission"] == found[1]["submission"]
    assert main([*again, "--seed", "5"]) == 2  # what was never recorded


def test_a_yaml_file_names_a_policy_and_its_model(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("policy: tool_agent\nmodel: m\nbase_url: http://127.0.0.1:9/v1\nomit: [seed]\n")
    with pytest.raises(ConfigError, match=r"agent.omit must be max_tokens or temperature"):
        make_policy(str(path))
    path.write_text("policy: tool_agent\nmodel: m\ntemperature: 0\nomit: [max_tokens]\n")
    policy = make_policy(str(path), ["max_tokens=99"])
    wanted = AgentConfig(model="m", temperature=0.0, omit=("max_tokens",), max_tokens=99)
    assert policy.config == wanted and policy.name == "tool_agent(m)"
    path.write_text("policy: tool_agent\nmodle: m\n")
    with pytest.raises(ConfigError, match="Did you mean 'model'"):
        make_policy(str(path))
    path.write_text("model: m\n")
    with pytest.raises(ConfigError, match="must be a mapping with a policy"):
        make_policy(str(path))
    with pytest.raises(ConfigError, match="'mirror' asks no language model"):
        make_policy("mirror", ["model=m"])
    with pytest.raises(ConfigError, match="--agent needs key=value"):
        make_policy("tool_agent", ["model"])


def test_a_sweep_takes_the_file_for_a_controller(tiny_path, tmp_path):
    from dataenv.runs.sweep import RECORDS, read_sweep, run_sweep

    with serving(Scripted([in_turn])) as server:
        (tmp_path / "mine.yaml").write_text(
            f"policy: tool_agent\nmodel: scripted\nbase_url: {server.url}\nanswers: text\n"
        )
        settings = {**SMALL, "steps": 16, "student": str(tiny_path)}
        nested = {"training": {"epochs": 1}, "decoding": {"max_new_tokens": 8}}
        flat = {key: value for key, value in settings.items() if "." not in key}
        (tmp_path / "sweep.yaml").write_text(
            json.dumps(
                {
                    "controllers": [str(tmp_path / "mine.yaml")],
                    "tasks": ["Science-fast-v0"],
                    "seeds": 2,
                    "set": {**flat, **nested},
                    "out": str(tmp_path / "out"),
                }
            )
        )
        said, failed = run_sweep(read_sweep(tmp_path / "sweep.yaml"), 1)
    assert not failed, said
    found = [json.loads(line) for line in (tmp_path / "out" / RECORDS).read_text().splitlines()]
    assert [each["policy"] for each in found] == ["tool_agent(scripted)"] * 2


def test_an_agent_of_ones_own_joins(tiny_path, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataenv import Agent\n"
        "class Mine(Agent):\n"
        "    name = 'mine'\n"
        "    remembered = ()\n"
        "    def act(self, observation, report):\n"
        "        said = self.model.ask([('user', 'Which operation?')]).text\n"
        "        return {'op': said}\n"
    )
    with following(["train", "submit"]) as (server, _):
        arguments = command(tmp_path / "out", tiny_path, server)
        arguments[arguments.index("tool_agent")] = f"{tmp_path}/mine.py:Mine"
        assert main(arguments) == 0
    replay(read_transcript(tmp_path / "out"))


def test_without_a_model_or_a_key_the_message_says_what_to_set(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    run = ["run", "--task", "Science-fast-v0", "--policy", "tool_agent", "--out", str(tmp_path)]
    assert main(run) == 2 and "set agent.model" in capsys.readouterr().err
    assert main([*run, "--agent", "model=gpt"]) == 2
    assert "no key in $OPENAI_API_KEY" in capsys.readouterr().err
    assert not (tmp_path / "run.db").exists()


def test_prompts_that_replace_nothing_are_refused(tmp_path):
    for name, text, message in (
        ("tool_trun", "x", "Did you mean 'tool_turn.txt'"),
        ("tool_turn", "$reprot", r"no gap \$reprot. Did you mean 'report'"),
        ("tool_turn", "costs $ 5", "a [$] stands alone"),
    ):
        path = tmp_path / f"{name}.txt"
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            make_policy("tool_agent", ["model=m", f"prompts={tmp_path}"])
        path.unlink()
    with pytest.raises(ConfigError, match="there is no folder of prompts"):
        make_policy("tool_agent", ["model=m", "prompts=/nowhere"])


def test_a_body_leaves_out_what_a_server_refuses():
    with following(["yes"], omit=("max_tokens", "temperature"), seeded=False) as (server, config):
        agent = make_policy("tool_agent", agent=config)
        assert agent.model.ask([("user", "So?")]) == Reply(
            "yes", prompt_tokens=7, completion_tokens=5
        )
    assert set(server.bodies[0]) == {"model", "messages"} and "openai" in sys.modules
