"""Experiments go on where they were cut off."""

import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from dataenv.runs.processes import KILLED, in_processes
from dataenv.runs.ray_engine import in_ray
from dataenv.runs.resumable import read_records, run_jobs


def square(number: int) -> list[dict]:
    return [{"number": number, "square": number**2}]


def test_records_are_added_and_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "deep" / "records.jsonl"
    assert read_records(path) == []
    run_jobs(square, [1, 2], path, 1)
    assert len(read_records(path)) == 2
    with path.open("a") as out:
        out.write('{"number": 3, "squ')
    assert len(read_records(path)) == 2
    run_jobs(square, [3], path, 1)
    assert sorted(record["number"] for record in read_records(path)) == [1, 2, 3]


def fussy(number: int) -> list[dict]:
    if number == 2:
        raise ValueError("not two")
    return square(number)


def test_a_job_that_fails_is_named_and_does_not_take_the_others_down(tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    run_jobs(fussy, [1, 2, 3], path, 1)
    assert sorted(record["number"] for record in read_records(path)) == [1, 3]
    said = capsys.readouterr().out
    assert "ValueError: not two" in said and "1 of 3 jobs failed" in said


def square_or_die(job: tuple[int, str]) -> int:
    """Squares a number; 13 dies always, 7 only the first time."""
    number, mark = job
    if number == 13 or (number == 7 and not Path(mark).exists()):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_a_killed_process_takes_no_other_job_down(tmp_path):
    jobs = [(n, str(tmp_path / "mark")) for n in (1, 7, 2, 13, 3)]
    ended = {job[0]: (result, error) for job, result, error in in_processes(square_or_die, jobs, 2)}
    assert ended.pop(13) == (None, KILLED)
    assert ended == {n: (n**2, "") for n in (1, 2, 3, 7)}


def wait_long(port: str) -> None:
    """Says that it is there, and does not end by itself."""
    with socket.create_connection(("127.0.0.1", int(port))) as told:
        told.sendall(b"here")
        time.sleep(3600)


def begin_and_wait(port: int) -> None:
    for _ in in_processes(wait_long, [str(port)], 1):
        pass


def test_workers_end_with_the_process_that_began_them():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        parent = multiprocessing.get_context("spawn").Process(
            target=begin_and_wait, args=(server.getsockname()[1],)
        )
        parent.start()
        told, _ = server.accept()
        with told:
            told.settimeout(120)
            assert told.recv(4) == b"here"
            parent.kill()
            parent.join()
            assert told.recv(4) == b""  # its end is closed, which only its own end does


@pytest.mark.slow
def test_ray_outlives_a_killed_worker(tmp_path):
    jobs = [(n, str(tmp_path / "mark")) for n in (1, 7, 2)]
    ended = {job[0]: (result, error) for job, result, error in in_ray(square_or_die, jobs, 2)}
    assert ended == {n: (n**2, "") for n in (1, 2, 7)}
