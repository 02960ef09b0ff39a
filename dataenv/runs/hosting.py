"""Many episodes in one process, each in a folder and a thread of its own, stepped by name."""

from __future__ import annotations

import re
import secrets
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from dataenv.env import DataEnv
from dataenv.errors import ConfigError, DataEnvError
from dataenv.presets import EnvConfig
from dataenv.runs.stepping import SteppedRun, Turn
from dataenv.runs.store import DATABASE
from dataenv.students import student_of
from dataenv.students.late import LateStudent

T = TypeVar("T")
OPEN = 16
"""Episodes that are held open; the others are read from their folders when they go on."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class Mistake(ConfigError):
    """Something that a client asked for and cannot have; it may be told all of it."""


class Host:
    """Holds episodes in folders below a root. Safe to use from many threads.

    What is done to one episode is done in turn, in one thread; others do not wait for it. Only who
    knows an episode's name can reach it, and names are not to be guessed. An episode outlives the
    host: another one with the same root goes on with it.

    Args:
        root: Gets a folder for every episode.
        channel: Through which they are stepped; for records.
        by: Who steps them, for records; the channel, if empty.
    """

    def __init__(self, root: Path, channel: str, by: str = "") -> None:
        self.root, self.channel, self.by = root, channel, by
        self._open: OrderedDict[str, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def begin(
        self, config: EnvConfig, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> str:
        """Begins an episode and returns its name.

        Args:
            config: Of the environment.
            seed: Of the episode; drawn if absent.
            options: Passed to `DataEnv.reset`.

        Raises:
            Mistake: The seed is none, or there are no such options.
            DataEnvError: It cannot begin.
        """
        seed = secrets.randbelow(2**31) if seed is None else seed
        if type(seed) is not int or seed < 0:
            raise Mistake(f"seed must be a whole number from 0 on, got {str(seed)[:60]!r}")
        if options:
            _check_options(config, options)
        kind = re.sub(r"[^a-z0-9]+", "-", Path(config.domain).name.lower()).strip("-")
        name = f"{kind or 'task'}-{secrets.token_hex(8)}"

        def begin() -> SteppedRun:
            return SteppedRun.begin(
                self.root / name,
                config,
                seed,
                channel=self.channel,
                by=self.by,
                options=options,
            )

        self._do(name, begin, lambda run: None)
        return name

    def use(self, name: str, what: Callable[[SteppedRun], T]) -> T:
        """Does something with an episode, after what is under way with it.

        Raises:
            Mistake: There is none of that name.
            DataEnvError: What was done has failed.
        """
        known = isinstance(name, str) and NAME.fullmatch(name)
        if not known or not (self.root / name / DATABASE).exists():
            raise Mistake(f"there is no episode {str(name)[:60]!r}; begin one")
        return self._do(name, lambda: SteppedRun.resume(self.root / name), what)

    def step(self, name: str, action: Any) -> Turn:
        """Carries out one operation on an episode; see `SteppedRun.step`.

        Raises:
            Mistake: There is no such episode, or it is over.
            DataEnvError: The environment failed.
        """

        def play(run: SteppedRun) -> Turn:
            if run.is_over:
                raise Mistake("the episode is over; its report says how it ended. Begin another")
            return run.step(action)

        return self.use(name, play)

    def release(self, name: str) -> None:
        """Gives an episode's folder back, when what is under way is done; it can still go on."""
        with self._lock:
            slot = self._open.get(name)
        if slot:
            slot.rest()

    def close(self) -> None:
        """Gives all folders back."""
        for name in list(self._open):
            self.release(name)

    def _do(self, name: str, make: Callable[[], SteppedRun], what: Callable[[SteppedRun], T]) -> T:
        with self._lock:
            slot = self._open.setdefault(name, _Slot())
            self._open.move_to_end(name)
            slot.users += 1
        try:
            return slot.do(make, what)
        finally:
            with self._lock:
                slot.users -= 1
                self._close_surplus()

    def _close_surplus(self) -> None:
        """Closes the episodes that have rested longest; they do so at once, as nothing is under way."""
        idle = [name for name, each in self._open.items() if not each.users]
        for name in idle[: max(0, len(self._open) - OPEN)]:
            self._open.pop(name).end()


class _Slot:
    """An episode and its thread."""

    def __init__(self) -> None:
        self.users = 0
        self._run: SteppedRun | None = None
        self._thread = ThreadPoolExecutor(1, "episode")

    def do(self, make: Callable[[], SteppedRun], what: Callable[[SteppedRun], T]) -> T:
        def work() -> T:
            if self._run is None:
                self._run = make()
            try:
                done = what(self._run)
            except BaseException:
                self._forget()  # a failed step has closed it
                raise
            if self._run.is_over:
                self._forget()
            return done

        return self._thread.submit(work).result()

    def rest(self) -> None:
        self._thread.submit(self._forget).result()

    def end(self) -> None:
        self.rest()
        self._thread.shutdown()

    def _forget(self) -> None:
        if self._run is not None:
            self._run.close()
        self._run = None


def _check_options(config: EnvConfig, options: dict[str, Any]) -> None:
    """Tells a client what is wrong with its options; the configuration was found to be right."""
    try:
        DataEnv(config=config, student=LateStudent(lambda: student_of(config))).check(options)
    except ConfigError as error:
        raise Mistake(str(error)) from error


def told_error(error: Exception, name: str = "") -> str:
    """What a client is told of an error: of its own mistakes all, of ours nothing, as their texts may
    name places or hold what is hidden. Those go to stderr.
    """
    if isinstance(error, Mistake):
        return str(error)
    shown = str(error) if isinstance(error, DataEnvError) else traceback.format_exc()
    sys.stderr.write(f"dataenv: {name}: {type(error).__name__}: {shown}\n")
    return (
        f"the environment failed ({type(error).__name__}); whoever runs it is told why. What was "
        "acknowledged is safe: look at the report, and go on"
    )
