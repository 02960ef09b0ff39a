"""A real language model from a GGUF file behind an endpoint on loopback."""

import json
import signal
import socket
import sys
import urllib.error
import urllib.request

import pytest

from dataenv.cli import main
from dataenv.config import EndpointConfig
from dataenv.errors import TeacherUnavailable
from dataenv.serve import ChatServer, serving
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import Broker
from dataenv.teachers.gguf import GGUFModel
from dataenv.teachers.openai import OpenAITeacher
from tests.conftest import teacher_command

TINY = """public=10 reward=0 private=10 seeds=8 pool=8 retention=2 calls=24 min_rows=1 max_rows=16
    trainings=2 steps=12 training.epochs=1 decoding.max_new_tokens=8"""


@pytest.fixture(scope="module")
def model(smollm2_gguf):
    return GGUFModel(smollm2_gguf, context=1024)


@pytest.fixture
def server(model):
    with serving(ChatServer(model.name, model.reply)) as server:
        yield server


def asked(server, requests, **fields):
    """(replies, broker) of requests to a server."""
    fields = {"max_tokens": 24, "concurrency": 8, **fields}
    endpoint = EndpointConfig(model=server.name, base_url=server.url, **fields)
    broker = Broker(OpenAITeacher(endpoint), 100, "e")
    return broker.complete(requests), broker


def question(number, text="Write one short problem about trains."):
    return ChatRequest((("user", text),), sample_index=number)


def test_a_language_model_answers_many_at_once_and_each_is_counted(server):
    replies, broker = asked(server, [question(n) for n in range(10)])
    assert all(isinstance(reply, Completion) for reply in replies)
    assert len({reply.text for reply in replies}) > 5  # their seeds differ
    assert 0 < broker.tokens <= 240 and replies[0].prompt_tokens > 10
    assert broker.used == server.completions == 10
    with urllib.request.urlopen(server.url.replace("/v1", "/health")) as reply:
        assert json.load(reply)["completions"] == 10


def test_its_sampling_is_what_the_body_says(server):
    fields = {"temperature": 0.0, "extra": {"stop": [" "]}}
    replies, _ = asked(server, [question(n) for n in range(3)], **fields)
    assert len({reply.text for reply in replies}) == 1 and " " not in replies[0].text.strip()


def test_what_it_refuses_is_free_and_spoils_no_other(server):
    (long, short), broker = asked(server, [question(0, "word " * 2000), question(1)])
    assert isinstance(long, CallError) and "exceeds the available context" in long.message
    assert isinstance(short, Completion) and broker.used == server.completions == 1


@pytest.mark.parametrize("extra", [{"stream": True}, {"n": 2}])
def test_replies_that_could_not_be_counted_are_refused(server, extra):
    with pytest.raises(TeacherUnavailable, match="leave out stream and n"):
        asked(server, [question(0)], extra=extra)
    assert server.completions == 0


def test_its_own_port_is_closed_to_those_who_would_go_uncounted(model):
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
    url = model._server.listening_address + "/v1/chat/completions"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(url, data=body))


def test_a_whole_episode_with_a_real_teacher_counts_what_the_server_counts(
    server, tiny_path, tmp_path
):
    settings = [
        *TINY.split(),
        f"endpoint.model={server.name}",
        f"endpoint.base_url={server.url}",
        "endpoint.max_tokens=48",
        "endpoint.timeout_s=600",
    ]
    chosen = ["--policy", "mirror", "--teacher", "openai", "--student", str(tiny_path)]
    command = ["run", "--task", "Science-fast-v0", *chosen, "--out", str(tmp_path)]
    assert main([*command, *(part for each in settings for part in ("--set", each))]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["teacher"] == "SmolLM2-135M-Instruct.Q4_1" and result["ended"] == "submitted"
    assert result["budget"]["calls"]["used"] == server.completions > 0


def test_the_command_serves_a_file_and_may_be_interrupted_in_the_middle(smollm2_gguf):
    with teacher_command("--gguf", str(smollm2_gguf)) as (process, url):
        where = {"model": "any", "base_url": url}
        (reply,) = OpenAITeacher(EndpointConfig(**where, max_tokens=8)).complete([question(0)])
        endless = EndpointConfig(**where, timeout_s=1.0, extra={"ignore_eos": True})
        (late,) = OpenAITeacher(endless).complete([question(1)])
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert isinstance(reply, Completion) and late.kind == "timeout" and late.charged
    assert "2 completions" in rest and process.returncode == 0


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot read the model"),
        (b"PK\x03\x04", "is no GGUF file: it begins with b'PK"),
        (b"GGUF\x03", "llama.cpp cannot load"),
    ],
    ids=["missing", "something else", "cut off"],
)
def test_a_file_that_cannot_be_served_is_named(content, message, tmp_path, capsys):
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    assert main(["serve", "teacher", "--gguf", str(path), "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert message in error and str(path) in error


def test_numbers_below_one_are_refused(smollm2_gguf, capsys):
    assert main(["serve", "teacher", "--gguf", str(smollm2_gguf), "--ctx", "0"]) == 2
    assert "ctx must be at least 1" in capsys.readouterr().err


def test_without_llama_cpp_the_message_says_what_to_install(smollm2_gguf, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert main(["serve", "teacher", "--gguf", str(smollm2_gguf)]) == 2
    assert "pip install 'dataenv-gym[gguf]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "teacher", "--procedural", "code", "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
