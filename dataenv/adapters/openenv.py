"""The environment as a server of the OpenEnv protocol: one episode a session, many at a time.

The fields of an action are those of an operation, so ``{"op": "generate", "n": 32}`` is an action as it
stands. Nothing is checked before the environment has it: what is wrong with an action is reported, as
everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openenv.core.env_server import create_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State
from pydantic import ConfigDict, Field, create_model

from dataenv import __version__
from dataenv.operations import OPERATIONS
from dataenv.presets import EnvConfig
from dataenv.runs.hosting import Host, told_error
from dataenv.runs.stepping import Turn

NAME = "dataenv"


class CurationObservation(Observation):
    """What a client is told of a step."""

    report: str = Field("", description="The report as text, with the briefing at the beginning.")
    figures: dict[str, Any] = Field(default_factory=dict, description="The report as plain values.")
    truncated: bool = Field(False, description="Whether the episode ended without a submission.")


def _argument(name: str) -> Any:
    """The JSON schema of an argument: of all operations that have one of its name."""
    found = {
        entry.name: entry.schema()["properties"][name]
        for entry in OPERATIONS.values()
        if name in entry.schema()["properties"]
    }
    kinds = {json_type for each in found.values() for json_type in _types(each)}
    said = (f"{operation}: {each['description']}" for operation, each in found.items())
    return {"type": sorted({*kinds, "null"}), "description": " ".join(said)}


def _types(schema: dict[str, Any]) -> list[str]:
    kinds = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def action_class() -> type[Action]:
    """The actions of the protocol, made from the table of operations."""
    names = {name for entry in OPERATIONS.values() for name in entry.schema()["properties"]}
    fields: dict[str, Any] = {
        name: (Any, Field(None, json_schema_extra=_argument(name))) for name in sorted(names)
    }
    about: Any = {"description": "The operation.", "enum": list(OPERATIONS)}
    fields["op"] = (Any, Field(None, json_schema_extra=about))
    return create_model("CurationAction", __base__=(_Open,), **fields)


class _Open(Action):
    """Lets fields through that no operation has; the environment says what is wrong."""

    model_config = ConfigDict(extra="allow")


class CurationServer(Environment):
    """One session.

    Args:
        host: Holds the episodes.
        config: Of the environment.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, host: Host, config: EnvConfig) -> None:
        super().__init__()
        self._host, self._config = host, config
        self._episode = ""
        self._state = State()

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        resume: str | None = None,
        **options: Any,
    ) -> CurationObservation:
        """Begins an episode, or goes on with one.

        Args:
            seed: Of the episode; drawn if absent.
            episode_id: The client's own name for it.
            resume: The name of an episode that was begun before, as ``metadata["episode"]`` has it.
            options: ``split``, ``target`` and ``teacher``, as of `DataEnv.reset`.

        Raises:
            RuntimeError: It cannot begin; the client is told why.
        """
        self.close()

        def begin() -> tuple[str, str, Turn]:
            name = resume or self._host.begin(self._config, seed, options or None)
            return name, *self._host.use(name, lambda run: (run.briefing.to_text(), run.look()))

        self._episode, briefing, turn = self._told(begin)
        self._state = State(episode_id=episode_id or self._episode, step_count=turn.step)
        observation = self._observation(turn)
        observation.report = f"{briefing}\n\n{observation.report}"
        observation.reward = None
        return observation

    def step(
        self, action: Action, timeout_s: float | None = None, **more: Any
    ) -> CurationObservation:
        """Carries out one operation.

        Args:
            action: Of `action_class`.
            timeout_s: Ignored: an operation that is begun is finished.
            more: Ignored.

        Raises:
            RuntimeError: There is no episode, or the environment failed.
        """
        wish = action.model_dump(exclude_unset=True, exclude={"metadata"})
        turn = self._told(lambda: self._host.step(self._episode, wish))
        self._state.step_count = turn.step
        return self._observation(turn)

    @property
    def state(self) -> State:
        """The episode's name and the number of its steps."""
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        """What this is."""
        about = "Curating training data so that a student model gets better."
        return EnvironmentMetadata(name=NAME, description=about, version=__version__)

    def close(self) -> None:
        """Gives the episode's folder back; it can go on by ``resume``."""
        if self._episode:
            self._host.release(self._episode)
        self._episode = ""

    def _told(self, what: Callable[[], Any]) -> Any:
        """The result; errors are told without naming places."""
        try:
            return what()
        except Exception as error:  # whose text the protocol would send
            raise RuntimeError(told_error(error, self._episode)) from None

    def _observation(self, turn: Turn) -> CurationObservation:
        outcome = turn.outcome
        return CurationObservation(
            report=turn.to_text(),
            figures=turn.to_dict(),
            truncated=outcome is not None and outcome.ended != "submitted",
            done=outcome is not None,
            reward=turn.reward,
            metadata={"episode": self._episode},
        )


def app_of(host: Host, config: EnvConfig, sessions: int) -> Any:
    """The server's application.

    Args:
        host: Holds the episodes.
        config: Of all of them.
        sessions: At a time, at most.
    """
    return create_app(
        lambda: CurationServer(host, config),
        action_class(),
        CurationObservation,
        env_name=NAME,
        max_concurrent_envs=sessions,
    )
