"""Teachers over HTTP: against real servers on loopback, well-behaved ones and others."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import dataenv
from dataenv.config import EndpointConfig
from dataenv.errors import CacheMiss, ConfigError, TeacherUnavailable
from dataenv.policy import run_episode
from dataenv.registry import make_policy
from dataenv.serve import serving
from dataenv.teachers.base import CallError, ChatRequest, Completion
from dataenv.teachers.broker import Broker, Patience
from dataenv.teachers.openai import OpenAITeacher
from dataenv.teachers.tape import Tape
from tests.conftest import teacher_command

HASTE = Patience(attempts=5, deadline_s=30, first_s=0.01, longest_s=0.05)


class Scripted(ThreadingHTTPServer):
    """Echoes the last message, but for the hits that a script names.

    Args:
        script: ``script(hit, text)`` gives None for an echo; (status, headers, body); ``cut``, a
            body that stops half-way; or seconds to sleep before the echo.
    """

    daemon_threads = True
    request_queue_size = 128  # five, the default, refuses connections of a busy client

    def __init__(self, script=lambda hit, text: None):
        super().__init__(("127.0.0.1", 0), Echo)
        self.script, self.hits, self.written = script, 0, 0
        self.running = self.most = 0
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]
        server, text = self.server, text["content"]
        with server.lock:
            server.hits += 1
            server.running += 1
            server.most = max(server.most, server.running)
            hit = server.hits
        try:
            self.reply(server.script(hit, text), text)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone
        finally:
            with server.lock:
                server.running -= 1

    def reply(self, what, text):
        if isinstance(what, float):
            self.server.written += 1
            time.sleep(what)
            what = None
        elif what != "cut" and what is not None and what[0] in (429, 400):
            return self.send(*what)
        elif what is not None:
            self.server.written += 1
            return self.send(200, {}, chat(text), cut=True) if what == "cut" else self.send(*what)
        else:
            self.server.written += 1
        return self.send(200, {}, chat(text))

    def send(self, status, headers, body, cut=False):
        body = body.encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *args):
        pass


def chat(text, **more):
    message = {"role": "assistant", "content": f"echo {text}"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "usage": usage}
    return json.dumps({**body, "choices": [choice], **more})


def requests_of(count):
    return [ChatRequest((("user", f"question {n}"),)) for n in range(count)]


def ask(script, count=32, patience=HASTE, limit=1000, **fields):
    """(replies, broker, server) of so many requests to a scripted server."""
    with serving(Scripted(script)) as server:
        endpoint = EndpointConfig(model="m", base_url=server.url, **{"timeout_s": 5.0, **fields})
        broker = Broker(OpenAITeacher(endpoint), limit, "e", patience=patience)
        try:
            replies = broker.complete(requests_of(count))
        except TeacherUnavailable as error:
            replies = error
        time.sleep(0.05)  # what was cut off or timed out may still be counting
        return replies, broker, server


def texts(replies):
    return [reply.text for reply in replies]


EXPECTED = [f"echo question {n}" for n in range(32)]


def test_replies_stand_where_their_requests_stood_and_never_too_many_at_once():
    replies, broker, server = ask(lambda hit, text: 0.02 * (hit % 3), concurrency=5)
    assert texts(replies) == EXPECTED and server.most <= 5
    assert broker.used == server.hits == 32 and broker.tokens == 64


def test_too_many_requests_are_asked_again_when_the_server_wants_it_and_cost_nothing():
    began = time.monotonic()
    refusal = (429, {"retry-after": "1"}, '{"error": {"message": "slow down"}}')
    replies, broker, server = ask(lambda hit, text: refusal if hit in (2, 3, 9) else None)
    assert texts(replies) == EXPECTED and time.monotonic() - began >= 1
    assert server.hits == 35 and broker.used == server.written == 32


def test_a_storm_of_failures_ends_soon_and_every_attempt_is_charged():
    storm = (500, {}, '{"error": {"message": "boom"}}')
    error, broker, server = ask(lambda hit, text: storm, concurrency=4)
    assert isinstance(error, TeacherUnavailable) and "boom" in str(error)
    assert broker.used == server.hits < 5 * 32


def test_some_failures_are_made_good():
    storm = (503, {}, '{"error": {"message": "busy"}}')
    replies, broker, server = ask(lambda hit, text: storm if hit % 4 == 0 else None)
    assert texts(replies) == EXPECTED and broker.used == server.hits > 32


@pytest.mark.parametrize(
    "trouble",
    ["cut", (200, {}, '{"choices": [{"mess'), (200, {}, chat("", choices=[])), (200, {}, "[]")],
    ids=["cut in mid-body", "broken JSON", "no choices", "no object"],
)
def test_replies_that_cannot_be_read_are_charged_and_asked_for_again(trouble):
    replies, broker, server = ask(lambda hit, text: trouble if hit in (1, 5, 6) else None)
    assert texts(replies) == EXPECTED
    assert broker.used == server.hits == server.written == 35


def test_a_time_out_after_the_reply_was_written_stays_charged():
    replies, broker, server = ask(lambda hit, text: 3.0 if hit == 4 else None, timeout_s=1.0)
    assert texts(replies) == EXPECTED and broker.used == server.hits == 33


def test_one_bad_request_spoils_no_other():
    refused = (400, {}, '{"error": {"message": "no such words"}}')
    replies, broker, server = ask(lambda hit, text: refused if text == "question 7" else None)
    assert isinstance(replies[7], CallError) and "no such words" in replies[7].message
    kept = [reply.text for reply in replies if isinstance(reply, Completion)]
    assert kept == EXPECTED[:7] + EXPECTED[8:]
    assert server.hits == 32 and broker.used == server.written == 31  # and not asked again


def test_a_strangers_request_that_is_wrong_is_no_failure_of_the_server():
    for status, silent in ((400, False), (413, False), (401, True)):
        refusal = (status, {}, '{"error": {"message": "too long"}}')
        with serving(Scripted(lambda hit, text, refusal=refusal: refusal)) as server:
            endpoint = EndpointConfig(model="m", base_url=server.url)
            broker = Broker(OpenAITeacher(endpoint), 9, "e", patience=HASTE)
            with pytest.raises(TeacherUnavailable):
                broker.complete(requests_of(2))
            if silent:
                with pytest.raises(TeacherUnavailable):
                    broker.complete(requests_of(2), strangers=True)
            else:
                assert len(broker.complete(requests_of(2), strangers=True)) == 2
            assert broker.used == 0


def test_a_cap_holds_for_a_while_and_for_attempts_too():
    storm = (500, {}, "{}")
    with serving(Scripted(lambda hit, text: storm if hit % 2 else None)) as server:
        endpoint = EndpointConfig(model="m", base_url=server.url)
        broker = Broker(OpenAITeacher(endpoint), 100, "e", patience=HASTE)
        with broker.capped(6):
            assert broker.left == 6
            broker.complete(requests_of(5))
            assert broker.used <= 6
        assert broker.left == 100 - broker.used >= 94


def test_the_budget_bounds_the_attempts_too():
    storm = (500, {}, "{}")
    replies, broker, server = ask(lambda hit, text: storm if hit % 2 else None, limit=40)
    assert server.hits <= broker.used <= 40
    assert all(isinstance(r, CallError) or r.text == EXPECTED[n] for n, r in enumerate(replies))


def test_nobody_at_the_other_end_costs_nothing_and_says_so():
    endpoint = EndpointConfig(model="m", base_url="http://127.0.0.1:9/v1")
    broker = Broker(OpenAITeacher(endpoint), 100, "e", patience=Patience(2, 5, 0.01))
    with pytest.raises(TeacherUnavailable, match="connection failed"):
        broker.complete(requests_of(4))
    assert broker.used == 0


def test_without_a_key_the_message_says_what_to_set(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="no key in"):
        OpenAITeacher(EndpointConfig(model="m"))
    with pytest.raises(ConfigError, match=r"set endpoint\.model"):
        OpenAITeacher(EndpointConfig())


# -- tapes ------------------------------------------------------------------------------------------


class Counting:
    """Numbers its replies; the third request of a batch fails."""

    name = "counting"

    def __init__(self):
        self.asked = 0

    def complete(self, requests):
        self.asked += len(requests)
        return [
            CallError("server", "no", True) if n == 2 else Completion(f"reply {self.asked}-{n}")
            for n in range(len(requests))
        ]


def test_a_cache_asks_once_and_never_keeps_an_error_for_a_reply(tmp_path):
    teacher = Counting()
    first = Tape(teacher, tmp_path / "tape", "cache").complete(requests_of(4))
    again = Tape(teacher, tmp_path / "tape", "cache").complete(requests_of(4))
    assert teacher.asked == 5 and again[2].text == "reply 5-0"
    assert [again[n] for n in (0, 1, 3)] == [first[n] for n in (0, 1, 3)]


def test_a_line_that_a_kill_has_cut_is_asked_for_again(tmp_path):
    path = tmp_path / "tape"
    Tape(Counting(), path, "cache").complete(requests_of(2))
    path.write_bytes(path.read_bytes()[:-5])
    teacher = Counting()
    Tape(teacher, path, "cache").complete(requests_of(2))
    assert teacher.asked == 1 and len(path.read_text().splitlines()) == 2


def test_a_replay_gives_what_was_recorded_errors_in_their_order(tmp_path):
    path = tmp_path / "deep" / "tape"
    record = Tape(Counting(), path, "record")
    first, second = record.complete(requests_of(3)), record.complete(requests_of(3)[2:])
    replay = Tape(Counting(), path, "replay")
    assert replay.complete(requests_of(3)) == first
    assert replay.complete(requests_of(3)[2:]) == second
    assert replay.teacher.asked == 0


def test_a_replay_names_the_request_that_it_does_not_have(tmp_path):
    path = tmp_path / "tape"
    Tape(Counting(), path, "record", {"temperature": 0.7}).complete(requests_of(1))
    other = [ChatRequest((("user", "question 0"),), sample_index=3)]
    with pytest.raises(CacheMiss, match="sample 3 of the request 'question 0'"):
        Tape(Counting(), path, "replay", {"temperature": 0.7}).complete(other)
    with pytest.raises(CacheMiss):
        Tape(Counting(), path, "replay", {"temperature": 0.8}).complete(requests_of(1))
    with pytest.raises(ConfigError, match="record one first"):
        Tape(Counting(), tmp_path / "nothing", "replay")
    path.write_text('{"key": 1}\n')
    with pytest.raises(ConfigError, match="tape:1: not a line of a tape"):
        Tape(Counting(), path, "replay")


# -- episodes ---------------------------------------------------------------------------------------


def served(make_env, url, **fields):
    endpoint = EndpointConfig(model="procedural-science", base_url=url)
    return make_env(teacher="openai", endpoint=endpoint, **fields)


def test_an_episode_over_http_counts_what_the_server_counts(make_env, procedural_server):
    env = served(make_env, procedural_server.url)
    outcome = run_episode(env, make_policy("mirror"), seed=1).outcome
    assert outcome.rows > 8 and not outcome.flags
    assert env.broker.used == procedural_server.completions > 20
    assert len({row.prompt for row in env.submission()}) > 0.7 * outcome.rows


def test_a_recorded_episode_is_replayed_without_a_server(make_env, procedural_server, tmp_path):
    tape = str(tmp_path / "tape.jsonl")
    env = served(make_env, procedural_server.url, tape=tape, tape_mode="record")
    live = run_episode(env, make_policy("feedback"), seed=1)
    procedural_server.shutdown()
    env = served(make_env, procedural_server.url, tape=tape, tape_mode="replay")
    again = run_episode(env, make_policy("feedback"), seed=1)
    assert again.total_reward == live.total_reward
    assert [step["action"] for step in again.steps] == [step["action"] for step in live.steps]
    assert again.outcome.submission == live.outcome.submission
    with pytest.raises(CacheMiss):
        run_episode(env, make_policy("feedback"), seed=2)


def test_a_served_teacher_has_no_error_rates(make_env, procedural_server):
    env = served(make_env, procedural_server.url)
    with pytest.raises(ConfigError, match="has no error rates"):
        env.reset(seed=0, options={"teacher": {"accuracy": 1.0}})


def test_a_folder_may_have_a_served_teacher(tmp_path, tiny_path, procedural_server):
    from dataenv.tasks.scaffold import write_scaffold

    write_scaffold(tmp_path / "mine", "numeric")
    endpoint = EndpointConfig(model="m", base_url=procedural_server.url)
    fields = {"teacher": "openai", "endpoint": endpoint, "calls": 12, "student": str(tiny_path)}
    env = dataenv.DataEnv(config=dataenv.env_config(str(tmp_path / "mine"), **fields))
    env.reset(seed=0)
    report = env.step({"op": "generate", "brief": "easy problems", "n": 6})[4]["report"]
    assert report.error == "" and env.broker.used == procedural_server.completions == 6


def test_the_command_serves_until_it_is_interrupted():
    with teacher_command("--procedural", "code") as (process, url):
        teacher = OpenAITeacher(EndpointConfig(model="procedural-code", base_url=url))
        request = ChatRequest((("user", "Write one new problem about loops."),))
        (reply,) = teacher.complete([request])
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    assert "output" in reply.text and "1 completions" in rest and process.returncode == 0


def test_the_server_refuses_what_is_no_request(procedural_server):
    import urllib.error
    import urllib.request

    statuses = Counter()
    for path, body in (
        ("chat/completions", b"{"),
        ("chat/completions", b"[]"),
        ("chat/completions", b'{"messages": []}'),
        ("chat/completions", b'{"messages": [{"role": "user", "content": [1]}]}'),
        ("elsewhere", b"{}"),
    ):
        call = urllib.request.Request(f"{procedural_server.url}/{path}", data=body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(call)
        statuses[caught.value.code] += 1
    assert statuses == {400: 4, 404: 1} and procedural_server.completions == 0
    with urllib.request.urlopen(f"{procedural_server.url}/models") as reply:
        assert json.load(reply)["data"][0]["id"] == "procedural-science"
