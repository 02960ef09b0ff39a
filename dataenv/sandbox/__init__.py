"""Running programs that nobody has read: isolated, within limits, and never in this process.

`run` is all that others need; `require` says whether it can be had. What is promised and what is not
stands in ``docs/PROGRAMS.md``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from dataenv.config import ProgramLimits
from dataenv.errors import LimitReached, SandboxUnavailable
from dataenv.sandbox import launch
from dataenv.sandbox.door import Answer, Door
from dataenv.sandbox.launch import Scratch
from dataenv.sandbox.seccomp import ARCHITECTURES, seccomp_filter
from dataenv.sandbox.watch import Watch

__all__ = ["Finished", "LimitReached", "run"]

INSIDE = ("start.py", "workbench.py")
COMPILED = b"compiled"
TICK_S = 0.02
INSTALL = "install bubblewrap, e.g. `apt-get install bubblewrap`"


@dataclass(frozen=True)
class Finished:
    """What came of a program.

    Args:
        refused: Why it does not compile; empty: it does.
        code: Its exit code; 128 and more: a signal.
        output: What it printed.
        errors: The end of what it wrote to stderr.
        stopped: The limit that ended it, if one did.
        seconds: How long it took.
    """

    refused: str
    code: int
    output: bytes
    errors: str
    stopped: LimitReached | None
    seconds: float


def run(
    source: str,
    material: Mapping[str, str],
    limits: ProgramLimits,
    answer: Answer,
    seed: int = 0,
    isolated: bool = True,
) -> Finished:
    """Runs a program to its end, or to a limit.

    Args:
        source: Python.
        material: Files that it finds in ``/in``, by name.
        limits: At which it is stopped.
        answer: Answers its messages, in this thread. What it raises ends the program and is raised.
        seed: Of the program's `random`.
        isolated: Whether in bubblewrap; otherwise it may do all that we may.

    Raises:
        SandboxUnavailable: It could not be started.
    """
    with _scratch(isolated) as scratch:
        _lay_out(scratch.shown, {**material, "program.py": source})
        began = time.monotonic()
        with Door(scratch.shown / "broker.sock", answer) as door, _seccomp() as seccomp:
            watch = _start(scratch, limits, seed, seccomp, isolated)
            try:
                while not watch.over:
                    door.serve(TICK_S)
            finally:
                watch.close()
        return _finished(watch, time.monotonic() - began)


def _lay_out(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes what a program finds in ``/in``.

    Raises:
        SandboxUnavailable: It cannot be written.
    """
    own = files("dataenv.sandbox.inside")
    inside = {name: own.joinpath(name).read_text("utf-8") for name in INSIDE}
    try:
        for name, text in {**inside, **texts}.items():
            (folder / name).write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise SandboxUnavailable(
            f"the program's folder cannot be written: {error}.", "Make room there, or set TMPDIR."
        ) from error


def _finished(watch: Watch, seconds: float) -> Finished:
    status, errors = bytes(watch.status), watch.errors.decode("utf-8", "replace")
    if not status and not watch.stopped:
        raise SandboxUnavailable(
            f"the program could not be started: {errors.strip()[-400:] or 'it said nothing'}.",
            "Ask `dataenv doctor`.",
        )
    refused = "" if status == COMPILED else status.decode("utf-8", "replace")
    code = watch.process.returncode
    code = 128 - code if code < 0 else code
    return Finished(refused, code, bytes(watch.output), errors, watch.stopped, seconds)


@contextlib.contextmanager
def _scratch(isolated: bool) -> Iterator[Scratch]:
    """A folder for one run, which nobody but the program's user can enter."""
    scratch = Scratch(
        Path(tempfile.mkdtemp(prefix="dataenv-")), launch.user() if isolated else None
    )
    try:
        scratch.shown.mkdir()
        if scratch.uid is not None:
            os.chown(scratch.path, scratch.uid, scratch.uid)
        yield scratch
    finally:
        shutil.rmtree(scratch.path, ignore_errors=True)


@contextlib.contextmanager
def _seccomp() -> Iterator[int]:
    """A descriptor from which the filter can be read."""
    machine = platform.machine()
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "wb") as out:
            out.write(seccomp_filter(machine) if machine in ARCHITECTURES else b"")
        yield reading
    finally:
        os.close(reading)


def _start(
    scratch: Scratch, limits: ProgramLimits, seed: int, seccomp: int, isolated: bool
) -> Watch:
    reading, writing = os.pipe()
    folder = "/in" if isolated else str(scratch.shown)
    start = launch.start_command(folder, limits, seed, writing, isolated)
    if isolated:
        bwrap = shutil.which("bwrap")
        if not bwrap:
            raise SandboxUnavailable("bubblewrap is not here.", f"{INSTALL}.")
        start = launch.command(bwrap, scratch, limits, seccomp, start)
    try:
        process = subprocess.Popen(
            start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(writing, seccomp),
            env=launch.LAUNCH_ENVIRONMENT if isolated else launch.program_variables(folder, folder),
            cwd="/" if isolated else scratch.path,
            start_new_session=True,
        )
    finally:
        os.close(writing)
    return Watch(process, reading, limits, isolated)
