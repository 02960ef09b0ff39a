"""Agents that speak MCP: whole episodes by the protocol's own client, over stdio and over HTTP."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from dataenv.cli import main
from dataenv.operations import OPERATIONS
from dataenv.registry import env_config
from dataenv.runs.folder import RESULT
from dataenv.world import task_of
from tests.conftest import SMALL

WRITE = ("generate", {"brief": "easy problems", "n": 6})


def command(out, student, *more):
    """The arguments of a server of a small task."""
    changes = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    task = ["--task", "Science-fast-v0", "--student", str(student), "--out", str(out)]
    return ["-m", "dataenv.cli", "serve", "mcp", *task, *changes, *more]


@contextlib.asynccontextmanager
async def at_stdio(arguments):
    parameters = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    async with stdio_client(parameters) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        yield session


@contextlib.asynccontextmanager
async def at_url(url):
    async with streamable_http_client(url) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        yield session


@contextlib.contextmanager
def http_server(out, student):
    """A server in a process of its own, and its address."""
    arguments = command(out, student, "--http", "--port", "0")
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, re.search(r"http\S+/mcp", process.stdout.readline()).group()
        finally:
            process.kill()


class Agent:
    """Calls tools and keeps all that it is told."""

    def __init__(self, session):
        self.session, self.told = session, []

    async def __call__(self, name, arguments=None):
        result = (await self.session.call_tool(name, arguments or {})).model_dump(by_alias=True)
        self.told.append(json.dumps(result))
        return result["content"][0]["text"], result["structuredContent"], result["isError"]


async def whole_episode(session):
    """Plays to the end, with mistakes, and returns what was told and the last figures."""
    agent = Agent(session)
    tools = {tool.name for tool in (await session.list_tools()).tools}
    assert set(OPERATIONS) < tools and {"begin", "briefing", "report"} < tools
    text, figures, wrong = await agent("report")
    assert wrong and "Call begin" in text and figures is None
    text, figures, wrong = await agent("begin", {"seed": 3})
    assert not wrong and "Curate training data" in text and figures["step"] == 0
    text, figures, wrong = await agent(*WRITE)
    assert not wrong and figures["rows"] > 0
    text, figures, wrong = await agent("generate", {"brief": "easy", "n": "many"})
    assert wrong and "generate.n must be a whole number" in text and figures["step"] == 2
    text, figures, wrong = await agent("no_such_tool")
    assert wrong and "there is no tool" in text
    text, figures, wrong = await agent("train")
    assert not wrong and figures["evaluation"] == 1 and figures["outcome"] is None
    assert (await agent("report"))[1] == figures
    assert not any("private score" in told for told in agent.told)
    text, figures, wrong = await agent("submit")
    assert not wrong and figures["done"] and "private score" in text
    text, again, _ = await agent("report")
    assert again == figures
    text, _, wrong = await agent(*WRITE)
    assert wrong and "the episode is over" in text
    return agent.told, figures


def check(told, figures, out):
    """That a result was recorded, and that nothing hidden was told."""
    folder = out / figures["episode"]
    result = json.loads((folder / RESULT).read_text())
    assert (result["policy"], result["channel"], result["seed"]) == ("mcp", "mcp", 3)
    assert result["final"]["private"] == figures["outcome"]["final"][1]
    assert result["budget"]["steps"]["used"] == figures["step"] == 4
    config = env_config("Science-fast-v0", [f"{k}={v}" for k, v in SMALL.items()])
    task = task_of(config, result["target_number"])
    for item in (*task.private, *task.reward):
        assert not any(json.dumps(item.prompt)[1:-1] in text for text in told)
    assert not any(str(out) in text or "run.db" in text for text in told)


def test_a_whole_episode_over_stdio(tiny_path, tmp_path, capsys):
    async def play():
        async with at_stdio(command(tmp_path, tiny_path)) as session:
            return await whole_episode(session)

    told, figures = asyncio.run(play())
    check(told, figures, tmp_path)
    assert main(["leaderboard", str(tmp_path / figures["episode"])]) == 0
    assert "mcp" in capsys.readouterr().out


def test_episodes_over_http_do_not_see_each_other_and_outlive_the_server(tiny_path, tmp_path):
    async def two(url):
        async with at_url(url) as first, at_url(url) as second:
            one, other = Agent(first), Agent(second)
            (told, figures), (_, begun, _) = await asyncio.gather(
                whole_episode(first), other("begin", {"seed": 4})
            )
            check(told, figures, tmp_path)
            assert begun["episode"] != figures["episode"]
            assert (await other("report"))[1]["step"] == 0
            text, _, wrong = await one("report", {"episode": "../" + begun["episode"]})
            assert wrong and "there is no episode" in text
            await other(*WRITE)
            return begun["episode"]

    async def go_on(url, episode):
        async with at_url(url) as session:
            agent = Agent(session)
            assert (await agent("report"))[2]  # a new session has begun nothing
            _, figures, wrong = await agent("report", {"episode": episode})
            assert not wrong and figures["step"] == 1
            return (await agent("submit", {"episode": episode}))[1]

    with http_server(tmp_path, tiny_path) as (process, url):
        episode = asyncio.run(two(url))
        process.send_signal(signal.SIGKILL)
    with http_server(tmp_path, tiny_path) as (_, url):
        assert asyncio.run(go_on(url, episode))["done"]
    assert json.loads((tmp_path / episode / RESULT).read_text())["rows"] > 0


def test_a_training_keeps_nobody_else_waiting(tiny_path, tmp_path):
    async def play(url):
        async with at_url(url) as first, at_url(url) as second:
            busy, quick = Agent(first), Agent(second)
            for agent in (busy, quick):
                await agent("begin")
                await agent(*WRITE)
            training = asyncio.create_task(busy("train"))
            await asyncio.sleep(0.1)
            began = time.monotonic()
            for operation in ("dedup", "filter"):
                assert not (await quick(operation))[2]
            seconds, still = time.monotonic() - began, not training.done()
            return seconds, still, (await training)[1]["evaluation"]

    slow = ["--set", "training.epochs=400"]
    arguments = command(tmp_path, tiny_path, "--http", "--port", "0", *slow)
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        url = re.search(r"http\S+/mcp", process.stdout.readline()).group()
        try:
            seconds, still, evaluations = asyncio.run(play(url))
        finally:
            process.kill()
    assert still and evaluations == 1, seconds


def test_a_server_of_many_tasks_has_a_task_named(tmp_path):
    async def play():
        arguments = ["-m", "dataenv.cli", "serve", "mcp", "--out", str(tmp_path)]
        async with at_stdio(arguments) as session:
            agent = Agent(session)
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            schema = tools["begin"].model_dump(by_alias=True)["inputSchema"]
            assert "dataenv/Code-fast-v0" in schema["properties"]["task"]["enum"]
            for task in (None, "/etc", "dataenv/Sience-v0"):
                text, _, wrong = await agent("begin", {"task": task} if task else {})
                assert wrong and "there is no task" in text
            text, _, wrong = await agent("begin", {"task": "dataenv/Code-fast-v0", "seed": -1})
            assert wrong and "seed must be a whole number" in text

    asyncio.run(play())
    assert not list(tmp_path.iterdir())


def test_a_server_says_at_once_what_is_wrong(tmp_path, capsys):
    serve = ["serve", "mcp", "--task", "Science-fast-v0", "--out", str(tmp_path)]
    assert main([*serve, "--student", "nano-x"]) == 2
    assert "nano-x" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main([*serve, "--http", "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
