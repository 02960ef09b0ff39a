"""Evaluations and tasks that processes share, as files in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from dataenv import __version__
from dataenv.episode import Scores
from dataenv.errors import ConfigError
from dataenv.evaluation import Evaluation
from dataenv.hashing import digest
from dataenv.laboratory import Cache
from dataenv.lock import name_of_worlds
from dataenv.presets import OFFLINE, EnvConfig
from dataenv.tasks.base import Task
from dataenv.tasks.procedural.targets import get_domain, pack_task, unpack_task
from dataenv.world import SIZES

T = TypeVar("T")
KINDS: dict[str, type[Scores] | type[Evaluation]] = {"scores": Scores, "answers": Evaluation}
LOCKS = 256
"""Lock files, shared between the keys: two evaluations rarely wait for each other without need."""
SLACK = 0.9
"""Share of the limit that is left in use when files are removed."""


class SharedCache(Cache):
    """A cache whose evaluations lie in a folder, where other processes find them, and offline tasks, too.

    Each is a file named by a hash of all that decides it, written whole or not at all; a file that cannot
    be read is made anew. Whoever needs what another process is just making waits for it. Weights stay
    in memory. The folder may be removed whenever no process uses it; do so
    when the code of students, training or graders has changed, which the hash does not cover.

    Args:
        folder: On a disk that knows file locks; made if it is not there. Whoever can write to it
            decides what students have scored.
        limit_bytes: What the files may take; those that were not used for longest go first.
        entries: Of the memory, to start with.

    Raises:
        ConfigError: The folder cannot be made.
    """

    def __init__(
        self,
        folder: Path | str,
        limit_bytes: int = 2 << 30,
        entries: OrderedDict[str, Any] | None = None,
    ) -> None:
        super().__init__(entries=entries)
        self.folder, self.limit_bytes = Path(folder), limit_bytes
        self._unchecked = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot share evaluations in {str(folder)!r}: {error}") from error

    def recall(self, key: str, make: Callable[[], T]) -> T:
        """What was made for a key, by this process or another."""
        return self.remember(key, lambda: self._shared(key, make))

    def copy(self) -> Cache:
        """A cache of its own with the same entries and the same folder."""
        return SharedCache(self.folder, self.limit_bytes, OrderedDict(self.entries))

    def task(self, config: EnvConfig, number: int, build: Callable[[], Task]) -> Task:
        """The task of a target; the offline ones lie in the folder, too, as they take seconds to draw."""
        if config.domain not in OFFLINE:
            return super().task(config, number, build)
        domain = get_domain(config.domain)
        key = digest("task", config.domain, number, [getattr(config, name) for name in SIZES])

        def read(packed: Any) -> Task:
            return unpack_task(domain, number, packed)

        return super().task(config, number, lambda: self._found(key, build, pack_task, read))

    def _shared(self, key: str, make: Callable[[], T]) -> Any:
        return self._found(key, make, _pack_scores, _unpack_scores)

    def _found(
        self,
        key: str,
        make: Callable[[], T],
        pack: Callable[[T], Any],
        unpack: Callable[[Any], T],
    ) -> T:
        """What lies in the folder for a key; made, and laid there, if nothing does."""
        name = digest("shared", __version__, name_of_worlds(), key)
        path = self.folder / f"{name}.json.gz"
        found = _read(path, key, unpack)
        if found is not None:
            return found
        with _turn(self.folder / f"{int(name, 16) % LOCKS:02x}.lock"):
            found = _read(path, key, unpack)
            if found is not None:
                return found
            made = make()
            self._write(path, {"key": key, "value": pack(made)})
            return made

    def _write(self, path: Path, entry: dict[str, Any]) -> None:
        content = gzip.compress(json.dumps(entry).encode(), mtime=0)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):  # a full disk costs time, and no result
            temporary.write_bytes(content)
            temporary.replace(path)
        self._unchecked += len(content)
        if self._unchecked > (1 - SLACK) * self.limit_bytes:
            self._unchecked = 0
            _trim(self.folder, self.limit_bytes)


def _pack_scores(made: Any) -> list[Any]:
    kind = next(name for name, cls in KINDS.items() if isinstance(made, cls))
    return [kind, made.to_dict()]


def _unpack_scores(packed: Any) -> Any:
    kind, plain = packed
    return KINDS[kind].from_dict(plain)


def _read(path: Path, key: str, unpack: Callable[[Any], T]) -> T | None:
    """What a file holds; None if it is not there, damaged, or of something else."""
    try:
        entry = json.loads(gzip.decompress(path.read_bytes()))
        if entry["key"] != key:
            return None
        found = unpack(entry["value"])
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return found


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, however it ends."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _trim(folder: Path, limit_bytes: int) -> None:
    """Removes the files that were not used for longest, if all together are too large."""
    held = []
    for path in (*folder.glob("*.json.gz"), *folder.glob("*.tmp")):
        with contextlib.suppress(OSError):  # another process has removed it
            status = path.stat()
            held.append((status.st_mtime, status.st_size, path))
    left = sum(size for _, size, _ in held)
    for _, size, path in sorted(held) if left > limit_bytes else ():
        if left <= SLACK * limit_bytes:
            break
        path.unlink(missing_ok=True)
        left -= size
