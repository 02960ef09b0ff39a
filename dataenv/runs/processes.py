"""Jobs in processes of their own, of which one may die without the others."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

Ended = tuple[Any, Any, str]
"""A job, its result, and what went wrong, which is empty if nothing did."""

KILLED = "its process was killed, twice: out of memory, perhaps"


def in_processes(
    function: Callable[[Any], Any], jobs: Iterable[Any], processes: int
) -> Iterator[Ended]:
    """Runs jobs in spawned processes, one thread each, and yields each job as it ends.

    When a process is killed, nothing tells whose it was: the jobs under way go to the end, and are
    tried again there one at a time.

    Args:
        function: What is run; must be importable.
        jobs: Its arguments.
        processes: How many at a time.
    """
    waiting, struck = deque(jobs), deque[Any]()
    while waiting:
        yield from _until_broken(function, waiting, processes, struck)
    while struck:
        alone, again = deque([struck.popleft()]), deque[Any]()
        while alone:  # a pool that breaks before it starts has not tried
            yield from _until_broken(function, alone, 1, again)
        yield from ((job, None, KILLED) for job in again)


def in_turn(function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Ended]:
    """The same in this process, which keeps what it has loaded from job to job, and dies with one."""
    for job in jobs:
        yield (job, *attempt(function, job))


def _until_broken(
    function: Callable[[Any], Any], waiting: deque[Any], processes: int, struck: deque[Any]
) -> Iterator[Ended]:
    """Runs waiting jobs until all have ended or a process is killed; moves those it held to `struck`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin_worker) as pool:
        running: dict[Future, Any] = {}
        broken = False
        while running or (waiting and not broken):
            while waiting and not broken and len(running) < processes:
                try:
                    future = pool.submit(attempt, function, waiting[0])
                except BrokenProcessPool:
                    broken = True
                else:
                    running[future] = waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                try:
                    result, error = future.result()
                except BrokenProcessPool:
                    broken = True
                    struck.append(job)
                else:
                    yield job, result, error


def attempt(function: Callable[[Any], Any], job: Any) -> tuple[Any, str]:
    """The result of a job, or the traceback of its error."""
    try:
        return function(job), ""
    except Exception:
        return None, traceback.format_exc()


def _begin_worker() -> None:
    """One thread for the mathematics, and one that ends the process with the one that began it: a job
    may take an hour, and nobody waits for it any more."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, which mostly is later
    if "torch" in sys.modules:  # a script that imports it is imported before this is called
        sys.modules["torch"].set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
