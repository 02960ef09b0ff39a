"""Experiments go on where they were cut off."""

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
