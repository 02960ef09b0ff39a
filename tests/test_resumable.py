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
