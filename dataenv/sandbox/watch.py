"""Watching a program: reads what it prints up to a limit, sums up what it holds, and ends it."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial

import psutil

from dataenv.config import ProgramLimits
from dataenv.errors import (
    DiskFull,
    LimitReached,
    MemoryLimit,
    OutputLimit,
    ProcessLimit,
    TimeLimit,
)
from dataenv.sandbox.launch import MB, writable

INTERVAL_S = 0.1
STATUS_BYTES = 10_000
ERRORS_KEPT = 64 << 10
"""Bytes of the end of stderr."""
FILES = 50_000
"""In one of its folders: empty ones take memory too."""
GRACE_S = 2.0
"""For the pipes to be empty when all is over."""


class Watch:
    """Watches a process and all that come of it.

    Args:
        process: With pipes as stdout and stderr.
        status: Descriptor of the pipe on which `start.py` says how compiling went.
        limits: At which it is stopped.
        isolated: Whether it runs in bubblewrap, whose end is the end of all.
    """

    def __init__(
        self, process: subprocess.Popen, status: int, limits: ProgramLimits, isolated: bool
    ) -> None:
        self.process, self.limits, self.isolated = process, limits, isolated
        self._status_pipe = status
        self.stopped: LimitReached | None = None
        self.status, self.output, self.errors = bytearray(), bytearray(), bytearray()
        self._ending, self._ended = threading.Lock(), False
        self._printed = 0
        self._began = time.monotonic()
        self._selector = selectors.DefaultSelector()
        assert process.stdout and process.stderr
        for descriptor, read in (
            (status, self._read_status),
            (process.stdout.fileno(), self._read_output),
            (process.stderr.fileno(), self._read_errors),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, read)
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether the process has ended and all that it printed is read."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Ends the process, if it has not ended, and lets go of its pipes."""
        self.end()
        self._thread.join()
        assert self.process.stdout and self.process.stderr
        self.process.stdout.close()
        self.process.stderr.close()
        os.close(self._status_pipe)

    def _watch(self) -> None:
        looked, ends = self._began, float("inf")
        try:
            while self._selector.get_map() and time.monotonic() < ends:
                for key, _ in self._selector.select(INTERVAL_S / 2):
                    self._read(key)
                now = time.monotonic()
                if now - looked >= INTERVAL_S and not self.stopped:
                    looked = now
                    self._look()
                if ends == float("inf") and self.process.poll() is not None:
                    self.end()
                    ends = time.monotonic() + GRACE_S
        finally:
            self.end()
            self._selector.close()

    def end(self) -> None:
        """Ends the process and all that came of it; once, as numbers of processes are used again."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
        held = self._family()
        with contextlib.suppress(ProcessLookupError):
            if not self.isolated:
                os.killpg(self.process.pid, 9)
        self.process.kill()
        for each in held:
            with contextlib.suppress(psutil.Error):
                each.kill()
        self.process.wait()
        ends = time.monotonic() + GRACE_S
        while any(map(_lives, held[1:])) and time.monotonic() < ends:
            time.sleep(INTERVAL_S / 20)

    def _read(self, key: selectors.SelectorKey) -> None:
        read: Callable[[bytes], None] = key.data
        new = os.read(key.fd, 1 << 18)
        if new:
            read(new)
        else:
            self._selector.unregister(key.fd)

    def _read_status(self, new: bytes) -> None:
        self.status += new
        del self.status[STATUS_BYTES:]

    def _read_output(self, new: bytes) -> None:
        self._count(new)
        self.output += new
        del self.output[self.limits.output_mb * MB :]

    def _read_errors(self, new: bytes) -> None:
        self._count(new)
        self.errors += new
        del self.errors[:-ERRORS_KEPT]

    def _count(self, new: bytes) -> None:
        self._printed += len(new)
        if self._printed > self.limits.output_mb * MB:
            self._stop(OutputLimit(f"it printed more than {self.limits.output_mb} MB"))

    def _stop(self, why: LimitReached) -> None:
        if not self.stopped:
            self.stopped = why
            self.end()

    def _look(self) -> None:
        """Compares what is held with the limits."""
        limits = self.limits
        if time.monotonic() - self._began > limits.seconds:
            self._stop(TimeLimit(f"it ran longer than {limits.seconds:g} s"))
            return
        inside = self._inside()
        tasks = sum(_figure(each.num_threads) for each in inside)
        if tasks > limits.processes:
            self._stop(ProcessLimit(f"it had more than {limits.processes} processes and threads"))
        elif self._memory(inside) > limits.memory_mb * MB:
            self._stop(MemoryLimit(f"its processes held more than {limits.memory_mb} MB"))
        elif self.isolated and inside and (full := self._full(inside[0].pid)):
            self._stop(DiskFull(full))

    def _memory(self, inside: list[psutil.Process]) -> int:
        """Bytes that processes hold together. What they share is told apart if it matters, since that
        takes longer."""
        resident = sum(_figure(partial(_resident, each)) for each in inside)
        if resident <= self.limits.memory_mb * MB:
            return resident
        return sum(_figure(partial(_share, each)) for each in inside)

    def _inside(self) -> list[psutil.Process]:
        """The program's processes, without the two of bubblewrap's."""
        return self._family()[2 if self.isolated else 0 :]

    def _family(self) -> list[psutil.Process]:
        """The process and its descendants, oldest first."""
        try:
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.Error:
            return []

    def _full(self, pid: int) -> str:
        """Which folder has no room left, if one has none."""
        for name, size in writable(self.limits):
            try:
                room = os.statvfs(f"/proc/{pid}/root{name}")
            except OSError:
                return ""  # it has ended, or not begun
            if room.f_blocks * room.f_frsize != size:
                return ""  # not the program's yet
            if room.f_bavail == 0:
                return f"{name} holds more than {size // MB} MB"
            if room.f_files - room.f_ffree > FILES:
                return f"{name} holds more than {FILES} files"
        return ""


def _lives(process: psutil.Process) -> bool:
    """Whether a process is there and does anything."""
    return bool(_figure(lambda: process.status() != psutil.STATUS_ZOMBIE))


def _figure(figure: Callable[[], int]) -> int:
    """A figure of a process; 0 if it is gone."""
    try:
        return figure()
    except psutil.Error:
        return 0


def _resident(process: psutil.Process) -> int:
    return process.memory_info().rss


def _share(process: psutil.Process) -> int:
    return process.memory_full_info().pss
