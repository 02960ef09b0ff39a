"""The environment as a server of the Model Context Protocol: operations are tools.

An episode begins with the tool ``begin``, which names it. Newer protocol versions know no sessions, so
every tool takes that name; within a session, or over stdio, it may be left out. Works with versions 1
and 2 of the SDK, whose servers differ in how handlers are handed in.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from dataenv import __version__
from dataenv.operations import OPERATIONS
from dataenv.presets import EnvConfig
from dataenv.runs.hosting import Host, Mistake, told_error
from dataenv.runs.stepping import SteppedRun, Turn

PATH = "/mcp"
AT_ONCE = 256
"""Requests under way at most; the others wait."""
INSTRUCTIONS = (
    "Curate training data so that a student model gets better. Call begin, read the briefing that it "
    "returns, then call operations; every reply is a report. submit ends the episode and tells the "
    "private score. A call that is cut off may have been carried out: look at the report."
)
STDIO = "stdio"
"""The session of the one client at standard input."""
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
EPISODE = {
    "type": "string",
    "description": "The episode, as begin named it; may be left out where only one was begun.",
}


@dataclass(frozen=True)
class Reply:
    """What a tool answers.

    Args:
        text: For a language model.
        data: The same figures for programs.
        wrong: Whether the call was a mistake, or the environment failed.
    """

    text: str
    data: Mapping[str, Any] | None = None
    wrong: bool = False


OWN = {
    "begin": "Begin an episode; returns its name and the briefing.",
    "briefing": "What the task, the budgets and the operations are. Costs nothing.",
    "report": "Where the episode stands, after what is under way. Costs nothing.",
}
"""Tools beside the operations."""


class Desk:
    """Answers calls of tools, whatever the protocol's version.

    Args:
        host: Holds the episodes.
        configure: The configuration of a task's name, or of None if the server has one task.
        tasks: Names to choose from; none if the server has one task.
    """

    def __init__(
        self, host: Host, configure: Callable[[str | None], EnvConfig], tasks: tuple[str, ...] = ()
    ) -> None:
        self.host, self.configure, self.tasks = host, configure, tasks
        self._newest: dict[str, str] = {}

    def tools(self) -> list[dict[str, Any]]:
        """Names, descriptions and schemas of all tools."""
        found = {name: (about, _schema({"episode": EPISODE})) for name, about in OWN.items()}
        found["begin"] = (OWN["begin"], self._begin_schema())
        for entry in OPERATIONS.values():
            schema = entry.schema()
            schema["properties"] |= {"episode": EPISODE}
            found[entry.name] = (entry.description, schema)
        return [
            {"name": name, "description": about, "inputSchema": schema}
            for name, (about, schema) in found.items()
        ]

    def call(self, session: str | None, name: str, arguments: Mapping[str, Any]) -> Reply:
        """Answers one call, after what is under way in its episode.

        Args:
            session: Whose newest episode it is where the call names none; None if there are no
                sessions.
            name: Of the tool.
            arguments: As they came.
        """
        given = dict(arguments)
        known = self._newest.get(session) if session is not None else None
        episode = given.pop("episode", None) or known
        try:
            if name == "begin":
                episode = self._begin(given)
                if session is not None:
                    self._newest[session] = episode
                return self._answer(episode, briefed=True)
            if name not in OWN and name not in OPERATIONS:
                raise Mistake(f"there is no tool {name[:60]!r}; list the tools")
            if episode is None:
                raise Mistake("which episode? Call begin, or name the one that it began")
            if name in OWN:
                return self._answer(episode, briefed=name == "briefing")
            return _reply(episode, self.host.step(episode, {**given, "op": name}))
        except Exception as error:  # whose text the protocol would send
            return Reply(told_error(error, str(episode)), wrong=True)

    def _begin_schema(self) -> dict[str, Any]:
        seed = {"type": "integer", "minimum": 0, "description": "Of the episode; drawn if absent."}
        if not self.tasks:
            return _schema({"seed": seed})
        task = {"type": "string", "enum": list(self.tasks), "description": "What to work on."}
        return _schema({"task": task, "seed": seed}, "task")

    def _begin(self, given: dict[str, Any]) -> str:
        task, seed = given.pop("task", None), given.pop("seed", None)
        if given:
            raise Mistake(f"begin has no argument {next(iter(given))[:60]!r}")
        if (task is not None or self.tasks) and task not in self.tasks:
            known = ", ".join(self.tasks) or "this server has one task, which needs no name"
            raise Mistake(f"there is no task {str(task)[:60]!r}: {known}")
        return self.host.begin(self.configure(task), seed)

    def _answer(self, episode: str, briefed: bool) -> Reply:
        def look(run: SteppedRun) -> tuple[str, Turn]:
            return (run.briefing.to_text() if briefed else ""), run.look()

        briefing, turn = self.host.use(episode, look)
        reply = replace(_reply(episode, turn), wrong=False)  # to look is no mistake
        return replace(reply, text=f"{briefing}\n\n{reply.text}") if briefed else reply


def _schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _reply(episode: str, turn: Turn) -> Reply:
    text = f"episode {episode}, {turn.to_text()}"
    return Reply(text, {"episode": episode, **turn.brief()}, bool(turn.report.error))


# -- the protocol -----------------------------------------------------------------------------------


def server_of(desk: Desk) -> Any:
    """A server that hands calls to a desk, each in a thread: a training does not keep others waiting."""
    at_once = anyio.CapacityLimiter(AT_ONCE)

    async def answer(request: Any, name: str, arguments: Mapping[str, Any] | None) -> Any:
        session = STDIO if request is None else request.headers.get("mcp-session-id")
        work = partial(desk.call, session, name, arguments or {})
        reply = await anyio.to_thread.run_sync(work, limiter=at_once)
        return types.CallToolResult.model_validate(
            {
                "content": [{"type": "text", "text": reply.text}],
                "structuredContent": reply.data,
                "isError": reply.wrong,
            }
        )

    tools = [types.Tool.model_validate(each) for each in desk.tools()]
    about: dict[str, Any] = {"version": __version__, "instructions": INSTRUCTIONS}
    if "on_call_tool" in inspect.signature(Server).parameters:
        return _second_server(answer, tools, about)
    return _first_server(answer, tools, about)


def _second_server(answer: Callable[..., Any], tools: list[Any], about: dict[str, Any]) -> Any:
    """Of version 2 of the SDK, which takes handlers at once."""

    async def on_list_tools(context: Any, params: Any) -> Any:
        return types.ListToolsResult(tools=tools)

    async def on_call_tool(context: Any, params: Any) -> Any:
        return await answer(context.request, params.name, params.arguments)

    handlers: dict[str, Any] = {"on_list_tools": on_list_tools, "on_call_tool": on_call_tool}
    return Server("dataenv", **about, **handlers)


def _first_server(answer: Callable[..., Any], tools: list[Any], about: dict[str, Any]) -> Any:
    """Of version 1 of the SDK, which is told of handlers by decorators."""
    server: Any = Server("dataenv", **about)

    @server.list_tools()
    async def list_tools() -> list[Any]:
        return tools

    # what is wrong with an operation is the environment's to say
    @server.call_tool(validate_input=False)
    async def call_tool(name: str, arguments: Mapping[str, Any]) -> Any:
        return await answer(server.request_context.request, name, arguments)

    return server


def serve_stdio(desk: Desk) -> None:
    """Serves the client at standard input and output, until it leaves."""

    async def serve() -> None:
        server = server_of(desk)
        async with stdio_server() as streams:
            with contextlib.redirect_stdout(sys.stderr):  # what libraries print is no message
                await server.run(*streams, server.create_initialization_options())

    try:
        anyio.run(serve)
    finally:
        desk.host.close()


def http_app(desk: Desk, host: str = "127.0.0.1") -> Any:
    """The same for many clients over streamable HTTP, at `PATH`.

    Args:
        desk: Answers.
        host: Where it will listen. On loopback, requests by other names are refused, so that no web
            page can reach it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    local = [f"{name}:*" for name in LOOPBACK] if host in LOOPBACK else []
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=bool(local),
        allowed_hosts=local,
        allowed_origins=[f"http://{each}" for each in local],
    )
    manager = StreamableHTTPSessionManager(app=server_of(desk), security_settings=security)

    class Endpoint:
        """An ASGI application; a function would be taken for a handler of requests."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await manager.handle_request(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route(PATH, Endpoint())], lifespan=lifespan)
