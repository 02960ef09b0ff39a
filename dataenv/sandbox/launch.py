"""The command that runs a program in bubblewrap: what it sees, and as whom it runs.

Every defence is a function or a constant of its own, so that a test can take it away and see the
attack get through.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataenv.config import ProgramLimits

MB = 1 << 20
NOBODY = 65534
"""Whom root becomes; root itself is above the limit on processes."""
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32")
"""Where libraries lie. Nothing else of the system is shown, no shell either."""
LINKS = ("/lib", "/lib32", "/lib64", "/libx32")
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
"""No /dev/zero, of which shared memory can be mapped that no limit sees."""
SHM_MB = 16
DEV_BYTES = 64 << 10
LAUNCH_ENVIRONMENT: dict[str, str] = {}
"""Of bubblewrap itself, which stays inside as process 1 with all that it was started with."""


@dataclass(frozen=True)
class Scratch:
    """A folder on the host for one run.

    Args:
        path: The folder; what is shown to the program lies in ``in``.
        uid: Whose it is, and as whom the program runs; None: the user's own.
    """

    path: Path
    uid: int | None = None

    @property
    def shown(self) -> Path:
        """What the program sees as ``/in``."""
        return self.path / "in"

    @property
    def interpreter(self) -> Path:
        """Where an interpreter is mounted that the program's user could not reach."""
        return self.path / "python"


def user() -> int | None:
    """As whom a program runs: nobody if we are root; None: as ourselves, who have no more rights.

    Root of a container that knows no other users stays what it is: an ordinary user outside.
    """
    if os.geteuid() != 0:
        return None
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, outside, count = map(int, line.split())
        if inside <= NOBODY < inside + count:
            return NOBODY
        if inside == 0 and outside == 0:
            return NOBODY
    return None


def command(
    bwrap: str, scratch: Scratch, limits: ProgramLimits, seccomp: int, start: Sequence[str]
) -> list[str]:
    """The whole command.

    Args:
        bwrap: The path of bubblewrap.
        scratch: Of this run.
        limits: Of this program.
        seccomp: Descriptor of the filter.
        start: What is run inside, as of the interpreter.
    """
    hidden = scratch.uid is not None and not _reachable(Path(sys.base_prefix))
    return [
        *(_mounting(scratch) if hidden else ()),
        *_as_user(scratch.uid),
        bwrap,
        *namespaces(),
        *environment(),
        *system(),
        *interpreter(scratch.interpreter if hidden else Path(sys.base_prefix)),
        *devices(),
        *folders(limits),
        *("--ro-bind", str(scratch.shown), "/in"),
        *read_only(),
        *("--chdir", "/ws"),
        *filtered(seccomp),
        "--",
        *start,
    ]


def namespaces() -> list[str]:
    """No network, no other processes, no way to be root of a namespace of one's own; all ends with us."""
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--new-session"),
        *("--die-with-parent", "--cap-drop", "ALL", "--hostname", "sandbox"),
    ]


def environment() -> list[str]:
    """The variables that a program has."""
    pairs = program_variables("/ws", "/tmp").items()
    return ["--clearenv", *(each for name, value in pairs for each in ("--setenv", name, value))]


def program_variables(home: str, temporary: str) -> dict[str, str]:
    """Names and values. Hashes are fixed, so that sets and dicts keep their order."""
    return {
        **{"HOME": home, "TMPDIR": temporary, "PATH": "/usr/bin", "LANG": "C.UTF-8"},
        **{"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        "MALLOC_ARENA_MAX": "2",  # else every thread takes 64 MB of addresses
    }


def system() -> list[str]:
    """Libraries, without what was installed beside them."""
    shown = [word for folder in SYSTEM for word in ("--ro-bind-try", folder, folder)]
    for link in map(Path, LINKS):
        if link.is_symlink():
            shown += ["--symlink", os.readlink(link), str(link)]
        else:
            shown += ["--ro-bind-try", str(link), str(link)]
    return shown + [word for folder in map(Path, SYSTEM) for word in _masked(folder, folder)]


def interpreter(prefix: Path) -> list[str]:
    """The interpreter in use and its standard library, in the place where it expects to be.

    Args:
        prefix: Where it can be reached.
    """
    own = Path(sys.base_prefix)
    parts = [executable(), own / "lib", Path(sysconfig.get_path("platstdlib"))]
    shown: list[str] = []
    for part in parts:
        if str(part).startswith(SYSTEM):
            continue
        there = prefix / part.relative_to(own) if part.is_relative_to(own) else part
        shown += ["--ro-bind", str(there), str(part)]
        if part.is_dir():
            shown += _masked(part, part)
    return shown


def executable() -> Path:
    """The interpreter itself, not a virtual environment's link to it."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def _masked(folder: Path, shown: Path) -> Iterator[str]:
    """Empty folders over those of installed packages, which may hold anything."""
    for place in sorted((*folder.glob("python3*/*-packages"), *folder.glob("*-packages"))):
        where = str(shown / place.relative_to(folder))
        yield from ("--size", "4096", "--tmpfs", where, "--remount-ro", where)


def devices() -> list[str]:
    """The few that are of use."""
    shown = ["--proc", "/proc", "--size", str(DEV_BYTES), "--tmpfs", "/dev"]
    for device in DEVICES:
        shown += ["--dev-bind", device, device]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        shown += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    return shown


def folders(limits: ProgramLimits) -> list[str]:
    """Where a program may write: in memory, up to a size."""
    return [word for name, size in writable(limits) for word in (*sized(size), "--tmpfs", name)]


def sized(size: int) -> tuple[str, ...]:
    """Bounds the file system that follows."""
    return "--size", str(size)


def writable(limits: ProgramLimits) -> tuple[tuple[str, int], ...]:
    """Folders that a program may write to, with their sizes."""
    return (
        ("/ws", limits.workspace_mb * MB),
        ("/tmp", limits.workspace_mb * MB // 2),
        ("/dev/shm", SHM_MB * MB),
    )


def read_only() -> list[str]:
    """Bubblewrap leaves its own root and /dev open for writing."""
    return ["--remount-ro", "/dev", "--remount-ro", "/"]


def filtered(seccomp: int) -> list[str]:
    """The filter of system calls."""
    return ["--seccomp", str(seccomp)]


def rlimits(limits: ProgramLimits, isolated: bool) -> dict[str, int]:
    """Limits of every process, behind those that are watched for all of them together.

    Without isolation there is none on processes: the kernel would count all of the user's.
    """
    held = {
        "RLIMIT_AS": 2 * limits.memory_mb * MB,
        "RLIMIT_FSIZE": limits.workspace_mb * MB,
        "RLIMIT_CPU": int(limits.seconds) + 60,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    return {**held, "RLIMIT_NPROC": limits.processes + 8} if isolated else held


def start_command(
    folder: str, limits: ProgramLimits, seed: int, status: int, isolated: bool
) -> list[str]:
    """Starts the program in a folder."""
    settings = {"rlimits": rlimits(limits, isolated), "seed": seed, "status": status}
    flags = ["-s", "-S", "-P", "-B"]
    return [str(executable()), *flags, f"{folder}/start.py", json.dumps(settings)]


def _reachable(folder: Path) -> bool:
    """Whether anybody can reach a folder."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _mounting(scratch: Scratch) -> list[str]:
    """Mounts the interpreter where nobody reaches it, in a mount namespace that is ours alone."""
    scratch.interpreter.mkdir(exist_ok=True)
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    paths = [sys.base_prefix, str(scratch.interpreter)]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *paths]


def _as_user(uid: int | None) -> list[str]:
    if uid is None:
        return []
    drop = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--no-new-privs"]
    return ["setpriv", *drop, "--inh-caps=-all", "--bounding-set=-all"]
