"""The store of a run: what is acknowledged survives a kill at any moment.

``run.db``    SQLite: events in a chain of hashes, the ledger of teacher calls, names of artifacts
``blobs/``    artifacts, by their sha256
``run.lock``  held by the one process that writes, whose id it names
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataenv.errors import StoreFault
from dataenv.runs.files import claim, reach, sync_folder, write_whole

DATABASE, BLOBS, LOCK = "run.db", "blobs", "run.lock"
SCHEMA_VERSION = 1
TABLES = ("event", "call", "artifact")
SCHEMA = (
    """CREATE TABLE event (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, json TEXT NOT NULL,
       prev_hash TEXT NOT NULL, hash TEXT NOT NULL)""",
    """CREATE TRIGGER event_stays BEFORE UPDATE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END""",
    """CREATE TRIGGER event_remains BEFORE DELETE ON event
       BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END""",
    """CREATE TABLE call (key TEXT PRIMARY KEY, step INTEGER NOT NULL, state TEXT NOT NULL,
       price INTEGER NOT NULL, cost INTEGER NOT NULL, attempts INTEGER NOT NULL, reply TEXT)""",
    "CREATE TABLE artifact (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


@dataclass(frozen=True)
class Event:
    """One entry of the log. `seq` counts from 1; `data` is plain values."""

    seq: int
    kind: str
    data: Any


class RunStore:
    """The store of one run folder, for one process at a time; its threads take turns.

    Args:
        folder: Made if it is not there.

    Raises:
        StoreFault: Another process writes to it, it is damaged, or of another release.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / DATABASE
        self._announced: tuple[str, Any] | None = None
        self._new: dict[str, int] = {}
        self._turn = threading.RLock()
        with self._faults():
            (folder / BLOBS).mkdir(parents=True, exist_ok=True)
            self._lock = claim(folder / LOCK)
            try:
                self._db = self._open()
                self._sweep()
            except BaseException:
                self._lock.close()
                raise

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the folder back."""
        self._db.close()
        self._lock.close()

    # -- events ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block is durable when it is left, or nothing of it ever was.

        Raises:
            StoreFault: It could not be written.
        """
        with self._turn, self._faults():
            if self._new:
                sync_folder(self.folder / BLOBS)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if self._announced:
                    self._insert(*self._announced)
                self._db.executemany(
                    "INSERT OR IGNORE INTO artifact VALUES (?, ?)", self._new.items()
                )
                yield self._db
                reach("in_commit")
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back itself
                    self._db.execute("ROLLBACK")
                raise
            self._announced, self._new = None, {}

    def append(self, kind: str, data: Any) -> None:
        """Adds an event, which is durable on return."""
        with self.transaction():
            self._insert(kind, data)
        reach(f"after_{kind}")

    def announce(self, kind: str, data: Any) -> None:
        """Has an event written by the next commit; `forget_announced` calls it off."""
        self._announced = (kind, data)

    def forget_announced(self) -> None:
        """Calls off what was announced and is not written yet."""
        self._announced = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for queries.

        Raises:
            StoreFault: It could not be read.
        """
        with self._turn, self._faults():
            yield self._db

    def events(self, kind: str, after: int = 0) -> list[Event]:
        """The events of a kind, oldest first, from behind a place in the log."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT seq, kind, json FROM event WHERE kind = ? AND seq > ? ORDER BY seq",
                (kind, after),
            ).fetchall()
        return [Event(seq, kind, json.loads(text)) for seq, kind, text in rows]

    def last(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        return next(iter(self.events(kind)[::-1]), None)

    def restart(self, kind: str, data: Any) -> None:
        """Empties the store and adds a first event, in one commit."""
        with self.transaction() as db:
            for table in TABLES:
                db.execute(f"DROP TABLE {table}")
            for statement in SCHEMA:
                db.execute(statement)
            self._insert(kind, data)
        with self._faults():
            self._sweep()
        reach(f"after_{kind}")

    # -- artifacts ------------------------------------------------------------------------------

    def put(self, value: Any) -> str:
        """Keeps plain values as a file, and returns its sha256; the next commit takes it in.

        Raises:
            StoreFault: It could not be written.
        """
        content = json.dumps(value).encode()
        name = hashlib.sha256(content).hexdigest()
        if name in self._new or self._known(name):
            return name
        with self._faults():
            write_whole(self.folder / BLOBS / name, content)
        self._new[name] = len(content)
        reach("after_artifact")
        return name

    def get(self, name: str) -> Any:
        """The values that were put.

        Raises:
            StoreFault: The file is gone, or another than it was.
        """
        path = self.folder / BLOBS / name
        with self._faults():
            content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != name:
            raise StoreFault(f"{path} is damaged; copy it back, or start the run anew")
        return json.loads(content)

    # -- inside ---------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                db.execute("BEGIN IMMEDIATE")
                for statement in SCHEMA:
                    db.execute(statement)
                db.execute("COMMIT")
            elif version != SCHEMA_VERSION:
                raise StoreFault(
                    f"{self.path} has version {version}, not {SCHEMA_VERSION}: it was written by "
                    "another release"
                )
            _check_chain(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    def _insert(self, kind: str, data: Any) -> None:
        last = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1"
        seq, before = self._db.execute(last).fetchone() or (0, "")
        text = json.dumps(data)
        entry = (seq + 1, kind, text, before, _chained(before, seq + 1, kind, text))
        self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", entry)

    def _known(self, name: str) -> bool:
        found = self._db.execute("SELECT 1 FROM artifact WHERE sha256 = ?", (name,))
        return found.fetchone() is not None

    def _sweep(self) -> None:
        """Removes files that no commit has taken in."""
        for path in (self.folder / BLOBS).iterdir():
            if not self._known(path.name):
                path.unlink()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns errors of SQLite and of the file system into ours."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise StoreFault(
                f"{self.folder} cannot be used ({error}); what was acknowledged is safe: make room, or "
                "mend what it names, and go on"
            ) from error
        except sqlite3.ProgrammingError:
            raise  # a misuse of ours, e.g. after `close`; nothing is wrong with the file
        except sqlite3.DatabaseError as error:
            raise StoreFault(f"{self.path} is damaged ({error}); start the run anew") from error


def _chained(before: str, seq: int, kind: str, text: str) -> str:
    return hashlib.sha256(json.dumps([before, seq, kind, text]).encode()).hexdigest()


def _check_chain(db: sqlite3.Connection, path: Path) -> None:
    """Raises `StoreFault` at the first event that does not follow from the one before it."""
    before = ""
    log = db.execute("SELECT seq, kind, json, prev_hash, hash FROM event ORDER BY seq")
    for place, (seq, kind, text, previous, own) in enumerate(log, 1):
        if (seq, previous, own) != (place, before, _chained(before, seq, kind, text)):
            raise StoreFault(f"{path}: event {seq} was changed; the run cannot be trusted")
        before = own
