"""The store itself: cut, damaged, full, counted."""

import json
import random
import shutil
import sqlite3
import subprocess
import sys

import pytest

from dataenv.errors import StoreFault
from dataenv.runs.ledger import StoreLedger
from dataenv.runs.store import DATABASE, RunStore

WAL = f"{DATABASE}-wal"


def script(code, *arguments, before=()):
    """A process that has a store of its own."""
    head = "import sys; from pathlib import Path; from dataenv.runs.store import RunStore\n"
    command = [*before, sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_events_and_artifacts_are_there_after_the_process_was_killed(tmp_path):
    code = """
import os, signal
store = RunStore(Path(sys.argv[1]))
for n in range(5):
    store.append("step", {"n": n, "rows": store.put([n] * 100)})
store.put("nobody refers to this")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert script(code, tmp_path).returncode == -9
    assert len(list((tmp_path / "blobs").iterdir())) == 6
    with RunStore(tmp_path) as store:
        events = store.events("step")
        assert [(each.seq, each.data["n"]) for each in events] == [(n + 1, n) for n in range(5)]
        assert [store.get(each.data["rows"]) for each in events] == [[n] * 100 for n in range(5)]
    assert len(list((tmp_path / "blobs").iterdir())) == 5  # what no commit took in is gone


def test_every_acknowledged_event_is_one_sync(tmp_path):
    with RunStore(tmp_path / "here") as store, store.reading() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    code = "store = RunStore(Path(sys.argv[1]))\nfor n in range(int(sys.argv[2])): store.append('step', n)"
    assert shutil.which("strace"), "install strace, which counts syncs"
    counts = []
    for events in (10, 110):
        log = tmp_path / f"{events}.log"
        before = ("strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(log))
        assert script(code, tmp_path / str(events), events, before=before).returncode == 0
        counts.append(log.read_text().count("sync("))
    assert counts[1] - counts[0] == 100


def history(folder, writes):
    """(events, calls charged) after each commit of a store that is still open, and the store."""
    store = RunStore(folder)
    ledger = StoreLedger(store, 10**6, 0)
    states = [(0, 0)]
    for n in range(writes):
        if n % 3:
            store.append("step", {"n": n, "text": "x" * (n * 37 % 500)})
            states.append((states[-1][0] + 1, ledger.charged))
        else:
            ledger.reserve([f"call{n}", f"other{n}"], 1 + n % 5)
            states.append((states[-1][0], ledger.charged))
    return store, states


def damage(path, rng):
    """Cuts a file, or writes zeros or noise over a part of it."""
    content = bytearray(path.read_bytes())
    at = rng.randrange(len(content))
    size = rng.randrange(1, 5000)
    kind = rng.choice(("cut", "zeros", "noise"))
    if kind == "cut":
        del content[at:]
    else:
        part = content[at : at + size]
        content[at : at + size] = bytes(len(part)) if kind == "zeros" else rng.randbytes(len(part))
    path.write_bytes(content)


def check_prefixes(folder, trials):
    store, states = history(folder / "whole", 60)
    rng, seen = random.Random(trials), set()
    for trial in range(trials):
        copy = folder / "copy"
        shutil.copytree(folder / "whole", copy)
        damage(copy / WAL, rng)
        try:
            with RunStore(copy) as damaged:
                events = damaged.events("step")
                found = (len(events), StoreLedger(damaged, 10**6, 0).charged)
                assert found in states, trial
                assert [e.data for e in events] == [e.data for e in store.events("step")][
                    : found[0]
                ]
                damaged.append("step", "goes on")
            with RunStore(copy) as again:
                assert again.events("step")[-1].data == "goes on"
            seen.add(found)
        finally:
            shutil.rmtree(copy)
    store.close()
    assert len(seen) > trials // 6


def test_a_damaged_log_gives_an_exact_prefix(tmp_path):
    check_prefixes(tmp_path, 30)


@pytest.mark.slow
def test_logs_damaged_anywhere_give_an_exact_prefix(tmp_path):
    check_prefixes(tmp_path, 300)


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path):
    code = """
import resource
from dataenv.errors import EnvironmentFault
from dataenv.runs.ledger import StoreLedger
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
store = RunStore(Path(sys.argv[1]))
ledger = StoreLedger(store, 10**6, 0)
try:
    for n in range(1000):
        ledger.reserve([f"call{n}"], 1)
        store.append("step", {"n": n, "pad": "x" * 1000})
        print(n, flush=True)
except EnvironmentFault as error:
    print(error, file=sys.stderr)
try:
    store.put("x" * 200_000)
except EnvironmentFault as error:
    print(error, file=sys.stderr)
"""
    done = script(code, tmp_path)
    acknowledged = len(done.stdout.split())
    assert 5 < acknowledged < 1000 and done.stderr.count("what was acknowledged is safe") == 2
    with RunStore(tmp_path) as store:
        assert [e.data["n"] for e in store.events("step")] == list(range(acknowledged))
        assert acknowledged <= StoreLedger(store, 10**6, 0).charged <= acknowledged + 1


ON_A_DISK_OF_ITS_OWN = """
import subprocess
from dataenv.errors import StoreFault
from dataenv.runs.ledger import StoreLedger
folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", folder], check=True)
run, ballast = folder / "run", folder / "ballast"
ballast.write_bytes(bytes(100_000))
done = 0
try:
    with RunStore(run) as store:
        ledger = StoreLedger(store, 10**6, 0)
        while True:
            ledger.reserve([f"call{done}"], 1)
            store.append("step", {"n": done, "rows": store.put([done] * 500)})
            done += 1
except StoreFault as error:
    print(error)
ballast.unlink()
with RunStore(run) as store:
    assert [each.data["n"] for each in store.events("step")] == list(range(done)) and done > 5
    assert done <= StoreLedger(store, 10**6, 0).charged <= done + 1
    assert all(store.get(each.data["rows"])[0] == each.data["n"] for each in store.events("step"))
    store.append("step", {"n": done, "rows": store.put("goes on")})
subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
try:
    RunStore(run)
except StoreFault as error:
    print(error)
subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
with RunStore(run) as store:
    assert len(store.events("step")) == done + 1
"""


def test_a_disk_that_fills_up_and_one_that_may_not_be_written(tmp_path):
    """In a mount namespace, where anybody may mount."""
    before = ("unshare", "--map-root-user", "--mount")
    done = script(ON_A_DISK_OF_ITS_OWN, tmp_path, before=before)
    assert done.returncode == 0, done.stderr
    full, refused = done.stdout.splitlines()
    assert "what was acknowledged is safe" in full
    assert ("full" in full or "No space left" in full) and "Read-only file system" in refused


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path):
    import os

    with RunStore(tmp_path) as store:
        done = script("RunStore(Path(sys.argv[1]))", tmp_path)
        assert f"is being written by process {os.getpid()}" in done.stderr
        store.append("step", 1)
    assert script("RunStore(Path(sys.argv[1])).append('step', 2)", tmp_path).returncode == 0


def test_what_was_changed_by_hand_is_not_trusted(tmp_path):
    with RunStore(tmp_path) as store:
        for n in range(3):
            name = store.put(["rows", n])
            store.append("step", {"reward": n, "rows": name})
    db = sqlite3.connect(tmp_path / DATABASE)
    with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        db.execute("UPDATE event SET json = '9' WHERE seq = 2")
    db.execute("DROP TRIGGER event_stays")
    db.execute("UPDATE event SET json = ? WHERE seq = 2", (json.dumps({"reward": 9}),))
    db.commit()
    db.close()
    with pytest.raises(StoreFault, match="event 2 was changed"):
        RunStore(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)
    with pytest.raises(StoreFault, match="is damaged"):
        RunStore(tmp_path)


def test_a_damaged_artifact_and_another_release_are_named(tmp_path):
    with RunStore(tmp_path) as store:
        name = store.put(["some", "rows"])
        store.append("step", name)
        (tmp_path / "blobs" / name).write_text("[]")
        with pytest.raises(StoreFault, match=f"{name} is damaged"):
            store.get(name)
    db = sqlite3.connect(tmp_path / DATABASE)
    db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(StoreFault, match="has version 7, not 1"):
        RunStore(tmp_path)


def test_a_commit_is_whole_or_absent(tmp_path):
    with RunStore(tmp_path) as store:
        store.announce("act", {"op": "train"})
        with pytest.raises(ZeroDivisionError), store.transaction() as db:
            db.execute("INSERT INTO artifact VALUES ('x', 1)")
            1 / 0  # noqa: B018
        assert not store.events("act") and not store._known("x")
        store.append("evaluation", 1)
        assert [store.last(kind).seq for kind in ("act", "evaluation")] == [1, 2]
        store.append("evaluation", 2)
        assert len(store.events("act")) == 1
