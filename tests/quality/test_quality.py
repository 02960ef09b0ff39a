"""Figures of sets: what is worse in one way shows there, and nowhere else."""

import dataclasses
import json
import random
import re
import time

import numpy as np
import pytest

from dataenv.cli import main
from dataenv.config import EndpointConfig
from dataenv.errors import ConfigError, TeacherUnavailable, UnknownNameError
from dataenv.quality import Instruments, measure, vendi
from dataenv.quality.embeddings import encoder_vectors, get_embedding
from dataenv.quality.form import question_problem, response_problem
from dataenv.quality.judge import Judge, judged
from dataenv.rows import Provenance, Row
from dataenv.serve import TeacherServer, serving
from dataenv.students import load_student, student_folder
from dataenv.students.base import BASE
from dataenv.tasks.graders import get_grader
from dataenv.tasks.procedural.targets import DOMAINS, oracle_of, to_row
from dataenv.teachers.base import Completion

N = 64
DOMAIN = DOMAINS["science"]


def problems(skills, seed=0):
    rng = random.Random(seed)
    made = [DOMAIN.sample(skills[i % len(skills)], 1 + i % 3, rng) for i in range(N)]
    return [to_row(problem, Provenance("test")) for problem in made]


def figures_of(rows, **fields):
    science = Instruments(load_student("nano-a"), get_grader(DOMAIN.grader), oracle_of("science"))
    return measure(rows, dataclasses.replace(science, **fields)).figures


@pytest.fixture(scope="module")
def rows():
    return {
        "broad": problems(sorted(DOMAIN.skills)),
        "narrow": problems(sorted(DOMAIN.skills)[:1]),
    }


@pytest.fixture(scope="module")
def sets(rows):
    """Figures of a broad set, of one skill, of answers in disorder, of a quarter four times."""
    broad = rows["broad"]
    outputs = [row.output for row in broad]
    random.Random(0).shuffle(outputs)
    pairs = zip(broad, outputs, strict=True)
    shuffled = [dataclasses.replace(row, output=output) for row, output in pairs]
    made = {**rows, "shuffled": shuffled, "repeated": broad[: N // 4] * 4}
    return {name: figures_of(each) for name, each in made.items()}


def test_a_broad_set_of_right_answers_has_no_fault(sets):
    broad = sets["broad"]
    for name in ("instruction_quality", "response_quality", "response_form", "valid"):
        assert broad[name].value == 1 and broad[name].n == N and broad[name].interval.low < 1
    assert broad["distinct_rows"].value == 1


def test_answers_in_disorder_show_in_what_links_them_to_questions(sets):
    broad, shuffled = sets["broad"], sets["shuffled"]
    assert shuffled["response_quality"].value < 0.2
    assert dict(shuffled["response_quality"].against)["wrong"] > 0.8 * N
    assert shuffled["instruction_difficulty"].interval.low > 0.8
    assert broad["instruction_difficulty"].interval.high < 0.5
    low = shuffled["response_perplexity"].interval.low
    assert low > 5 * broad["response_perplexity"].interval.high
    for name in ("instruction_diversity", "response_diversity", "distinct_questions", "valid"):
        assert shuffled[name].value == pytest.approx(broad[name].value)


def test_repeats_show_as_repeats_and_in_both_diversities(sets):
    repeated = sets["repeated"]
    for name in ("distinct_rows", "distinct_questions", "distinct_nearly"):
        assert repeated[name].value == 0.25 and dict(repeated[name].against) == {"repeated": 48}
    for name in ("instruction_diversity", "response_diversity"):
        assert repeated[name].value < 0.6 * sets["broad"][name].value
        assert repeated[name].value <= N // 4 + 1e-6
    assert repeated["response_quality"].value == 1


@pytest.mark.parametrize("embedding", ["ngrams", "wordllama"])
def test_a_narrow_set_is_less_diverse_by_every_embedding(rows, embedding):
    broad, narrow = (figures_of(rows[name], embedding=embedding) for name in ("broad", "narrow"))
    for name in ("instruction_diversity", "response_diversity"):
        assert narrow[name].value < 0.6 * broad[name].value
        assert narrow[name].by == f"Vendi score, {embedding}" and narrow[name].interval is None


def test_a_narrow_set_is_as_right_as_a_broad_one(sets):
    assert sets["narrow"]["response_quality"].value == 1
    assert (
        sets["narrow"]["instruction_diversity"].value < sets["broad"]["instruction_diversity"].value
    )


def test_perplexity_is_that_of_the_base(rows, sets):
    student, chosen = load_student("nano-a"), rows["broad"]
    losses = [
        -x for x in student.log_likelihood(BASE, *zip(*[(r.prompt, r.output) for r in chosen]))
    ]
    figure = sets["broad"]["response_perplexity"]
    assert figure.value == pytest.approx(np.exp(np.mean(losses)))
    assert figure.quartiles == pytest.approx(np.exp(np.quantile(losses, [0.25, 0.5, 0.75])))
    assert figure.quartiles[0] < figure.value < figure.interval.high


def test_without_a_task_nothing_is_said_about_right_and_wrong(rows, tiny_student):
    found = measure(rows["broad"], Instruments(tiny_student))
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["rows"] == N and plain["response_quality"]["value"] is None
    assert plain["response_quality"]["n"] == 0 and plain["valid"]["value"] == 1
    assert "response quality        -" in found.to_text()


def test_the_student_is_asked_about_a_part_only_and_n_says_so(rows, tiny_student):
    found = measure(rows["broad"], Instruments(tiny_student, asked=10)).figures
    assert found["instruction_difficulty"].n == found["response_perplexity"].n == 10
    assert found["response_diversity"].n == N


def test_what_is_cut_off_or_unreadable_is_counted(rows, tiny_student):
    broken = [
        dataclasses.replace(r, output=r.output.replace("Answer:", "so")) for r in rows["broad"]
    ]
    long = [dataclasses.replace(r, output="1 + " * 3000 + r.output) for r in broken[:2]]
    grader = get_grader("numeric")
    found = measure([*broken, *long], Instruments(tiny_student, grader)).figures
    assert dict(found["valid"].against) == {"no readable answer": N + 2}
    assert dict(measure(long, Instruments(tiny_student)).figures["valid"].against) == {
        "too long": 2
    }
    assert dict(found["response_form"].against) == {"repeats itself": 2}


def test_the_figures_of_a_nano_set_are_cheap(rows):
    figures_of(rows["broad"])
    began = time.process_time()
    figures_of(rows["broad"])
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "vectors, score",
    [(np.eye(5), 5), (np.ones((7, 1)), 1), (np.repeat(np.eye(3), 4, 0), 3)],
)
def test_vendi_counts_different_vectors(vectors, score):
    assert vendi(vectors) == pytest.approx(score)


def test_vendi_is_the_same_from_either_product():
    vectors = np.random.default_rng(0).normal(size=(30, 30))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wide = np.hstack([vectors, np.zeros((30, 5))])
    twice = np.vstack([vectors, vectors])
    assert vendi(wide) == pytest.approx(vendi(vectors)) == pytest.approx(vendi(twice))


@pytest.mark.parametrize(
    "question, response, wrong",
    [
        ("Why?", "Because.", ("too short", "")),
        ("What is 3 + 4, in all?", "7 Answer: 7", ("", "")),
        (
            "Say: the mass is 12 kg Answer: 12",
            "the mass is 12 kg Answer: 12",
            ("holds its own response", ""),
        ),
        ("<problem> What is 2 + 2? </problem>", "4", ("words about the task", "")),
        ("What is 2 + 2?", "Sure! It is 4", ("", "words about the task")),
        ("What is 2 \ufffd 2?", "4\x00", ("unreadable characters", "unreadable characters")),
        ("What is 2 + 2?", "so 4 and " * 12, ("", "repeats itself")),
    ],
)
def test_form_is_judged_by_what_can_be_seen(question, response, wrong):
    row = Row(question, "", response)
    assert (question_problem(row), response_problem(row)) == wrong


def test_an_encoder_folder_serves_as_an_embedding(tmp_path):
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(student_folder("nano-a"))
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), num_hidden_layers=1, **size)
    BertModel(config).save_pretrained(tmp_path)
    texts = ["a train of 3 wagons", "heat", "a train of 3 wagons, and then some more", "heat"]
    vectors = get_embedding(str(tmp_path))(texts)
    assert vectors.shape == (4, 16) and np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors[1], vectors[3], atol=1e-6)  # padding changes nothing
    assert not np.allclose(vectors[0], vectors[2], atol=1e-3)
    with pytest.raises(ConfigError, match="cannot load the encoder"):
        encoder_vectors(tmp_path / "none", texts)


def test_unknown_embeddings_are_refused_by_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'wordllama'"):
        get_embedding("wordlama")


class Examiner:
    """Marks science problems by the oracle, behind a real endpoint: questions by their length."""

    name = "examiner"

    def complete(self, requests):
        return [Completion(self.reply(request.messages[0][1])) for request in requests]

    def reply(self, text):
        problem = re.search(r"<problem>\n(.*?)\n</problem>", text, re.DOTALL)[1]
        solution = re.search(r"<solution>\n(.*?)\n</solution>", text, re.DOTALL)
        if solution:
            gold = oracle_of("science")(problem)
            right = get_grader(DOMAIN.grader).grade(solution[1], gold).correct
            return json.dumps({"quality": 5 if right else 1})
        if "What is" in problem:
            return "I would rather not."
        return f"Here you are: {json.dumps({'difficulty': 1 + len(problem) % 5, 'quality': 7})}"


def test_a_served_judge_gives_marks_and_what_is_no_mark_is_left_out(rows):
    half = rows["broad"][: N // 2]
    wrong = [dataclasses.replace(row, output="Answer: -7") for row in rows["broad"][N // 2 :]]
    asked = [*half, *wrong]
    with serving(TeacherServer(Examiner())) as server:
        endpoint = EndpointConfig(model="examiner", base_url=server.url)
        found = judged(asked, Judge(endpoint, "science"))
        assert server.completions >= 2 * N
    expected = [1 + len(r.prompt) % 5 for r in asked if "What is" not in r.prompt]
    difficulty = found["instruction_difficulty"]
    assert difficulty.n == len(expected) < N and difficulty.value == pytest.approx(
        np.mean(expected)
    )
    assert found["instruction_quality"].n == 0 and found["instruction_quality"].value is None
    assert found["response_quality"].value == pytest.approx(3.0)
    assert found["response_quality"].by == "examiner, 1 to 5"


def test_a_judge_that_is_not_there_is_an_error(rows, tiny_student):
    endpoint = EndpointConfig(model="nobody", base_url="http://127.0.0.1:9/v1", attempts=1)
    with pytest.raises(TeacherUnavailable, match="nobody"):
        measure(rows["broad"][:2], Instruments(tiny_student, judge=Judge(endpoint)))


def test_the_verb_asks_a_judge_about_some_rows(rows, tmp_path, tiny_path, capsys):
    path = tmp_path / "submission.json"
    path.write_text(json.dumps([row.to_entry() for row in rows["broad"]]))
    verb = ["quality", str(path), "--task", "Science-fast-v0", "--student", str(tiny_path)]
    with serving(TeacherServer(Examiner())) as server:
        judge = ["--judge", "model=examiner", "--judge", f"base_url={server.url}"]
        assert main([*verb, *judge, "--asked", "9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["judged"]["response_quality"]["n"] == found["response_perplexity"]["n"] == 9
    assert found["judged"]["response_quality"]["value"] == 5
    assert main([*verb, "--judge", "modell=examiner"]) == 2
    assert "Did you mean 'model'" in capsys.readouterr().err
