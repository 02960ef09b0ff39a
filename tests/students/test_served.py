"""A student that answers behind an endpoint: a real server that loads adapters while it runs."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

import pytest

from dataenv.config import DecodingConfig, EndpointConfig, TrainingConfig
from dataenv.env import DataEnv
from dataenv.errors import ConfigError, StudentUnavailable
from dataenv.policy import run_episode
from dataenv.presets import EnvConfig
from dataenv.registry import make_policy
from dataenv.rows import Row, WorkingSet
from dataenv.serve import serving
from dataenv.students.base import BASE, Trained
from dataenv.students.local import LocalStudent
from dataenv.students.served import ServedStudent
from tests.conftest import NANO, TINY

LORA = TrainingConfig(epochs=2, lora_rank=4, learning_rate=5e-3)
ROWS = WorkingSet(tuple(Row(f"What is {n} + 1?", "", f"Answer: {n + 1}") for n in range(24)))
PROMPTS = [row.prompt for row in ROWS]
SHORT = DecodingConfig(max_new_tokens=6)


class LoraServer(ThreadingHTTPServer):
    """Serves a base, and whatever adapters it is told to load, as vLLM does.

    Args:
        student: The base.
        failing: Status codes with which the next completions are refused, in turn.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, student: LocalStudent, failing: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.student, self.failing = student, list(failing)
        self.adapters: dict[str, Trained] = {"base": BASE}
        self.calls: list[str] = []
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def reply(self, path: str, body: dict) -> tuple[int, dict | str]:
        self.calls.append(path)
        if path == "/v1/load_lora_adapter":
            folder = Path(body["lora_path"])
            if not (folder / "adapter_config.json").exists():
                return 404, {"error": {"message": "no adapter there"}}
            self.adapters[body["lora_name"]] = Trained(self.student.read(folder))
            return 200, f"Success: LoRA adapter '{body['lora_name']}' added successfully."
        if path == "/v1/unload_lora_adapter":
            del self.adapters[body["lora_name"]]
            return 200, "Success"
        if self.failing:
            return self.failing.pop(0), {"error": {"message": "busy"}}
        trained = self.adapters[body["model"]]
        assert body["temperature"] == 0
        prompt = self.student.format.decode(body["prompt"])  # of a template without a system part
        (answer,) = self.student.answer(trained, [prompt], DecodingConfig(body["max_tokens"]))
        reason = "length" if answer.truncated else "stop"
        choice = {"index": 0, "text": " " + answer.text, "finish_reason": reason}
        return 200, {"object": "text_completion", "choices": [choice], "model": body["model"]}


class _Handler(BaseHTTPRequestHandler):
    server: LoraServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            status, content = self.server.reply(self.path, body)
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def cached(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def served(student: LocalStudent, server: LoraServer, **fields) -> ServedStudent:
    where = EndpointConfig(model="base", base_url=server.url, **fields)
    return ServedStudent(student, where)


def test_it_answers_as_the_same_student_does_here(cached):
    local = LocalStudent(NANO)
    with serving(LoraServer(LocalStudent(NANO))) as server:
        student = served(local, server)
        trained = student.train(ROWS, LORA, "k")
        for each in (BASE, trained):
            assert student.answer(each, PROMPTS, SHORT) == local.answer(each, PROMPTS, SHORT)
        assert local.answer(BASE, PROMPTS, SHORT) != local.answer(trained, PROMPTS, SHORT)
        assert list(server.adapters) == ["base"], "adapters are unloaded after use"
    assert not list((cached / "adapters").iterdir())


def test_a_busy_server_is_asked_again_and_a_dead_one_is_a_fault(tiny_path, cached):
    local = LocalStudent(tiny_path)
    with serving(LoraServer(LocalStudent(tiny_path), failing=(429, 500, 503))) as server:
        assert served(local, server).answer(BASE, PROMPTS, SHORT) == local.answer(
            BASE, PROMPTS, SHORT
        )
        server.failing = [404]
        with pytest.raises(StudentUnavailable, match=r"left 1 of 24 .* HTTP 404"):
            served(local, server).answer(BASE, PROMPTS, SHORT)
        trained = local.train(ROWS, LORA, "k")
        server.failing = [500] * 1000
        with pytest.raises(StudentUnavailable):
            served(local, server, attempts=2).answer(trained, PROMPTS, SHORT)
        assert list(server.adapters) == ["base"], "unloaded all the same"
    with pytest.raises(StudentUnavailable, match="connection failed"):
        served(local, server, attempts=1).answer(trained, PROMPTS, SHORT)


def test_only_adapters_can_be_loaded(tiny_path):
    with serving(LoraServer(LocalStudent(tiny_path))) as server:
        student = served(LocalStudent(tiny_path), server)
    with pytest.raises(ConfigError, match="lora_rank"):
        student.train(ROWS, TrainingConfig(), "k")


def test_an_episode_is_the_same_with_answers_from_the_server(tiny_path, cached):
    fields = {**TINY, "student": str(tiny_path), "training": LORA}
    here = run_episode(DataEnv(config=EnvConfig(**fields)), make_policy("mirror"), 0)
    with serving(LoraServer(LocalStudent(tiny_path))) as server:
        where = EndpointConfig(model="base", base_url=server.url)
        env = DataEnv(config=EnvConfig(**fields, student_endpoint=where))
        there = run_episode(env, make_policy("mirror"), 0)
        assert server.calls.count("/v1/load_lora_adapter") >= 2
    assert there.total_reward == here.total_reward
    assert there.outcome == here.outcome
