"""Whether the sandbox holds, found out by attacking it; once in a process.

Whoever cannot have it is told what is missing. Nothing is run without it, unless it is asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import dataenv
from dataenv.config import ProgramLimits
from dataenv.errors import ProcessLimit, SandboxUnavailable
from dataenv.sandbox import INSTALL, launch, run
from dataenv.sandbox.seccomp import ARCHITECTURES

OLDEST = (0, 8)
"""Version of bubblewrap; the first with --disable-userns."""
LIMITS = ProgramLimits(seconds=20, memory_mb=512, workspace_mb=2, processes=16)
REFUSED = ("ptrace", "io_uring_setup", "process_vm_readv", "mount", "keyctl", "bpf")
"""System calls that are tried."""
WAYS_OUT = {
    "uid map": (
        "This system lets no ordinary user make namespaces: give bwrap an AppArmor profile that "
        "allows userns, or set kernel.apparmor_restrict_unprivileged_userns=0."
    ),
    "namespace": (
        "This system, or the container around us, allows no user namespaces: set "
        "user.max_user_namespaces and kernel.unprivileged_userns_clone, or start the container so "
        "that it allows them."
    ),
    "mount proc": "The container around us hides /proc: start it with --security-opt systempaths=unconfined.",
    "setpriv": "Root must be able to become nobody (uid 65534): start the container with that user.",
}
"""What to do, by what the failure speaks of."""


@cache
def sandbox_problem() -> SandboxUnavailable | None:
    """Why programs cannot be isolated here, with what to do about it as the hint; None: they can."""
    try:
        _have_parts()
        open_ways = _attack()
    except SandboxUnavailable as error:
        return error
    except OSError as error:
        return SandboxUnavailable(f"it could not be tried: {error}.")
    if open_ways:
        return SandboxUnavailable(
            f"it does not hold: a program {'; '.join(open_ways)}.",
            "Update bubblewrap and the kernel.",
        )
    return None


def require_sandbox() -> None:
    """Raises `SandboxUnavailable` if programs cannot be isolated."""
    if problem := sandbox_problem():
        raise SandboxUnavailable(
            f"programs cannot be isolated here: {problem.message}",
            f"{problem.hint} Other operations go on.",
        )


def _have_parts() -> None:
    if not sys.platform.startswith("linux"):
        raise SandboxUnavailable(f"it needs Linux, this is {sys.platform}.", "Use a Linux machine.")
    if platform.machine() not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise SandboxUnavailable(f"no filter for {platform.machine()!r}.", f"There is for {known}.")
    bwrap = shutil.which("bwrap")
    if not bwrap:
        raise SandboxUnavailable("bubblewrap is missing.", f"{INSTALL[0].upper()}{INSTALL[1:]}.")
    said = subprocess.run([bwrap, "--version"], capture_output=True, text=True, env={}).stdout
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise SandboxUnavailable(f"{said.strip()} is too old.", f"Install {oldest} or newer.")


def _attack() -> list[str]:
    """The ways that are open."""
    source = files("dataenv.sandbox.inside").joinpath("attacks.py").read_text("utf-8")
    with _decoy() as decoy:
        try:
            done = run(source, {"decoy.json": json.dumps(decoy)}, LIMITS, dict)
        except SandboxUnavailable as error:
            said = str(error)
            way = next((fix for word, fix in WAYS_OUT.items() if word in said), "")
            raise SandboxUnavailable(error.message, way) from error
    lines = done.output.decode("utf-8", "replace").splitlines()
    finished = lines[-1:] == ["done"] or isinstance(done.stopped, ProcessLimit)
    if not finished:
        said = str(done.stopped or done.errors.strip()[-300:] or f"exit code {done.code}")
        raise SandboxUnavailable(f"its test was cut off: {said}.")
    return [line for line in lines if line != "done"]


@contextlib.contextmanager
def _decoy() -> Iterator[dict[str, Any]]:
    """Things of the host that a program must not reach."""
    calls = ARCHITECTURES[platform.machine()].calls
    with tempfile.TemporaryDirectory(prefix="dataenv-") as folder, contextlib.ExitStack() as stack:
        Path(folder).chmod(0o755)
        canary = Path(folder, "canary")
        canary.write_text("canary")
        listening: dict[str, tuple[int, Any]] = {
            "port": (socket.AF_INET, ("127.0.0.1", 0)),
            "socket": (socket.AF_UNIX, f"{folder}/socket"),
            "abstract": (socket.AF_UNIX, f"\0{canary}"),
        }
        opened = {
            name: stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            for name, (family, _) in listening.items()
        }
        for name, (_, address) in listening.items():
            opened[name].bind(address)
            opened[name].listen()
        Path(folder, "socket").chmod(0o666)
        home = [each for each in Path.home().glob("*") if each.is_file()]
        paths = (canary, Path(dataenv.__file__), Path("/etc/passwd"), *home[:8])
        yield {
            "paths": [str(path) for path in paths],
            "port": opened["port"].getsockname()[1],
            "socket": f"{folder}/socket",
            "abstract": str(canary),
            "process": os.getpid(),
            "unshare": calls["unshare"],
            "calls": {name: calls[name] for name in REFUSED},
            "folders": dict(launch.writable(LIMITS)),
            "processes": LIMITS.processes + 16,
        }
