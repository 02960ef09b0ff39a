"""Jobs on a Ray cluster: the same as `dataenv.runs.processes`, on more than one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dataenv.errors import ConfigError
from dataenv.runs.processes import KILLED, Ended, attempt

RETRIES = 3
"""How often a job is tried again whose worker was killed."""


def in_ray(function: Callable[[Any], Any], jobs: Iterable[Any], processes: int) -> Iterator[Ended]:
    """Runs jobs as Ray tasks of one core each, and yields each job as it ends.

    A cluster that ``RAY_ADDRESS`` names is used; without one, `processes` workers of this machine are.

    Args:
        function, jobs, processes: As in `dataenv.runs.processes.in_processes`.

    Raises:
        ConfigError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("ray is not installed; pip install 'dataenv-gym[ray]'") from error
    cores = None if os.environ.get("RAY_ADDRESS") else processes
    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(attempt)
        running = {remote.remote(function, job): job for job in jobs}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            try:
                result, wrong = ray.get(done)
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
                result, wrong = None, KILLED
            yield job, result, wrong
    finally:
        ray.shutdown()
