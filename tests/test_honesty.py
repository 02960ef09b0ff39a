"""Attacks on public items, each with the defence that stops it; and what luck alone looks like."""

import dataclasses
import json
import random
import re

import numpy as np
import pytest

import dataenv.contamination as contamination
import dataenv.env as env_module
import dataenv.screening as screening
from dataenv.contamination import OverlapIndex, normalised_words
from dataenv.env import DataEnv
from dataenv.hashing import rng_of
from dataenv.laboratory import Cache
from dataenv.registry import env_config
from dataenv.rows import Provenance, Row, WorkingSet
from dataenv.serve import ChatServer, serving
from dataenv.statistics import mean_bootstrap
from dataenv.students.base import Generation, Trained
from dataenv.tasks.folder import load_folder

PUBLIC = [
    ("A bakery sells 14 loaves before noon and twice as many after. How many are sold?", 42),
    ("Ravi reads 12 pages a day for 9 days, then 30 pages more. How many pages does he read?", 138),
    ("A tank of 250 litres loses 8 litres an hour. How many litres are left after 6 hours?", 202),
    ("Three friends split a bill of 96 dollars and each adds a tip of 4. What does each pay?", 36),
    ("A train covers 180 km in 3 hours. How far does it get in 5 hours at that speed?", 300),
    ("Mina has 45 beads, loses 7, and then buys two packs of 20. How many has she now?", 78),
    ("A field is 25 m long and 16 m wide. What is its area in square metres?", 400),
    ("Tickets cost 7 dollars, and 5 for children. What do 4 adults and 6 children pay?", 58),
    ("A printer makes 24 pages a minute. How many minutes does it take for 600 pages?", 25),
    ("Out of 80 seedlings a quarter die and 10 are given away. How many remain?", 50),
    ("How many legs have 9 cats?", 36),
    ("What is seven squared plus one?", 50),
]
PRIVATE = [
    (f"A shop packs {n} boxes of {n + 3} pens and keeps {k} pens. How many pens are there?", 0)
    for n in range(5, 25)
    for k in (2,)
]
PRIVATE = [(text, n * (n + 3) + 2) for (text, _), n in zip(PRIVATE, range(5, 25))]
PARAPHRASED = {
    0: "Before midday fourteen loaves... 14 go over the counter; later double that. Total sales?",
    4: "At constant speed, what distance does a train manage in 5 hours if 3 hours take it 180 km?",
}
CHANGED = "A bakery sells 15 loaves before noon and twice as many after. How many are sold?"


def row(text: str, answer: object, **origin) -> Row:
    return Row(text, "", f"Answer: {answer}", Provenance("draw", **origin))


def write_task(folder, pool):
    """A task folder of natural text."""
    folder.mkdir()
    (folder / "task.yaml").write_text("name: words\ndescription: word problems\ngrader: numeric\n")
    for name, items in (("public", PUBLIC), ("private", PRIVATE)):
        lines = [{"instruction": text, "answer": str(answer)} for text, answer in items]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = [{"instruction": each.instruction, "output": each.output} for each in pool]
    (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture
def make_index(tmp_path):
    """The index of the task's public items, made after a defence was patched out."""
    task = load_folder(write_task(tmp_path / "words", [row("What is 1 + 1?", 2)]))
    return lambda: OverlapIndex(task, task.public)


def hidden(text: str) -> str:
    return "\u200b".join(text)


def wide(text: str) -> str:
    """Letters in their full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalpha() else c for c in text)


ATTACKS = {
    "verbatim": (PUBLIC[0][0], "CONTAINMENT question_key"),
    "zero-width": (hidden(PUBLIC[1][0]), "visible"),
    "fillers": ("\ufe0f".join(PUBLIC[1][0]), "without_markup"),
    "case": (PUBLIC[2][0].upper(), "folded"),
    "full width": (wide(PUBLIC[2][0]), "folded"),
    "markup": ("<b>" + "</b> <b>".join(PUBLIC[3][0].split()) + "</b>", "without_markup"),
    "entities": ("".join(f"&#{ord(c)};" for c in PUBLIC[3][0]), "without_markup"),
    "six words": (PUBLIC[10][0], "question_key"),
    "six words, labelled": (f"Question 3: {PUBLIC[10][0]}", "without_markup"),
    "within a story": (f"Listen well. {PUBLIC[5][0]} Think twice.", "CONTAINMENT"),
    "a number changed": (CHANGED, "CONTAINMENT"),
}
OFF = {
    "visible": lambda text: text,
    "folded": lambda text: text,
    "without_markup": lambda text: text,
    "CONTAINMENT": 2.0,
    "question_key": lambda text: (str(id(text)), text, str(random.random())),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_caught_and_named_and_gets_through_without_its_defence(
    name, make_index, monkeypatch
):
    text, defences = ATTACKS[name]
    stolen = row(text, 1)
    item = make_index().find(stolen)
    assert item and item.startswith("public-")
    found = screening.screen(WorkingSet((stolen, row("How old is Bo?", 3))), make_index())
    assert found.dropped == ((stolen.id, f"repeats public item {item}"),) and found.repeats == 1
    for defence in defences.split():
        monkeypatch.setattr(contamination, defence, OFF[defence])
    assert make_index().find(stolen) is None


def test_an_item_in_a_rows_solution_is_caught_too(make_index):
    smuggled = Row("Say what I say.", "", f"{PUBLIC[5][0]} Answer: 78")
    assert make_index().find(smuggled) == "public-6"


def test_what_text_alone_does_not_show(make_index):
    for place, text in PARAPHRASED.items():
        assert make_index().find(row(text, PUBLIC[place][1])) is None
    assert make_index().find(row("Wie viele Beine haben 9 Katzen?", 36)) is None
    homoglyphs = PUBLIC[6][0].replace("e", "\u0435").replace("a", "\u0430")
    assert make_index().find(row(homoglyphs, 400)) is None


def test_thirteen_words_in_common_are_a_suspicion_and_no_more(make_index, monkeypatch):
    long_item = PUBLIC[1][0]
    words = normalised_words(long_item)
    text = " ".join([*words[:13], "and then he stops for good because the book is dull"])
    monkeypatch.setattr(contamination, "CONTAINMENT", 0.9)
    found = screening.screen(WorkingSet((row(text, 1),)), make_index())
    assert not found.dropped and found.suspects == ((found.kept.rows[0].id, "public-2"),)


def test_the_wording_that_all_items_share_is_not_an_overlap(tmp_path):
    task = load_folder(write_task(tmp_path / "words", [row("What is 1 + 1?", 2)]))
    wording = "Read the question with care, think it through, and end with the bare answer."
    items = [dataclasses.replace(i, instruction=wording, input=i.instruction) for i in task.public]
    index = OverlapIndex(task, items)
    assert index.find(Row(wording, "What is 3 + 4?", "Answer: 7")) is None
    assert index.find(Row(wording, PUBLIC[10][0], "Answer: 36")) == "public-11"


def test_a_paraphrase_by_a_teacher_that_was_told_the_item_is_known(make_index):
    index = make_index()
    told, again = f"problems like this\n{PUBLIC[4][0]}", row(PARAPHRASED[4], 300)
    assert index.returned(told, again) == "public-5"
    assert index.returned("problems about trains", again) is None
    assert index.returned(told, row(PARAPHRASED[4].replace("180", "240"), 400)) is None
    marked = row(PARAPHRASED[4], 300, repeats="public-5")
    assert index.find(marked) == "public-5"


def reorder(body):
    """A completion that gives back the problem of a request, or the example, in another order."""
    asked = body["messages"][-1]["content"]
    (text,) = re.findall(r"<(?:problem|example)>\n(.*)\n</", asked)
    answer = dict(PUBLIC)[text]
    reply = {"instruction": shuffled(text), "output": f"Answer: {answer}"}
    message = {"role": "assistant", "content": json.dumps(reply)}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}


def test_items_that_go_through_a_served_teacher_stay_items(tmp_path, monkeypatch):
    stolen, like = row(*PUBLIC[0]), ["public-5"]
    with serving(ChatServer("reorder", reorder)) as server:
        endpoint = {"model": "reorder", "base_url": server.url}
        fields = {"teacher": "openai", "calls": 8, "endpoint": endpoint}
        for folder, dropped in (("caught", 2), ("free", 0)):
            env = words_env(tmp_path / folder, [stolen], Parrot(), **fields)
            env.step({"op": "rewrite", "to": "rephrase"})
            env.step({"op": "generate", "brief": "", "n": 1, "examples": like})
            assert [each.instruction for each in env.working_set] == [
                shuffled(PUBLIC[place][0]) for place in (0, 4)
            ]
            effect = dict(env.step({"op": "decontaminate"})[4]["report"].effect)
            assert effect["dropped"] == dropped
            monkeypatch.setattr(OverlapIndex, "carried", lambda self, text: [])
    assert server.completions == 4


def test_one_call_accounts_for_few_rows(make_index, monkeypatch):
    rows = [row(f"How tall is tower {n}?", n, calls=("c1",)) for n in range(20)]
    other = row("How tall is the mast?", 3, calls=("c2",))
    found = screening.screen(WorkingSet((*rows, other)), make_index())
    assert found.kept.rows == (*rows[: screening.ROWS_PER_CALL], other) and not found.repeats
    assert found.dropped[0][1] == "teacher call c1 accounts for 8 rows already"
    monkeypatch.setattr(screening, "ROWS_PER_CALL", 10**9)
    assert len(screening.screen(WorkingSet((*rows, other)), make_index()).kept) == 21


class Parrot:
    """Gives the answer of the row whose words are nearest: learns by heart, and nothing else."""

    name = placement = fingerprint = "parrot"

    def train(self, rows, config, key):
        return Trained(weights=tuple(rows))

    def answer(self, trained, prompts, config):
        return [Generation(self._nearest(trained.weights or (), each), False) for each in prompts]

    def _nearest(self, rows, prompt):
        words = set(normalised_words(prompt))
        shares = [(len(words & set(normalised_words(r.prompt))), r.output) for r in rows]
        return max(shares, key=lambda each: each[0])[1] if shares else "Answer: 0"

    def log_likelihood(self, trained, prompts, completions):
        return [-1.0] * len(prompts)

    def count_tokens(self, text):
        return len(text.split())


class Coin(Parrot):
    """Is right on each item by the toss of a coin, whatever it was trained on: its gain is 0.

    Args:
        golds: Answers by prompt.
        number: Tells coins apart.
    """

    name = placement = "coin"

    def __init__(self, golds: dict[str, str], number: int) -> None:
        self.golds, self.fingerprint = golds, f"coin-{number}"

    def train(self, rows, config, key):
        return Trained(weights=(key, rows.digest))

    def answer(self, trained, prompts, config):
        return [Generation(self._toss(trained, each), False) for each in prompts]

    def _toss(self, trained, prompt):
        right = rng_of(self.fingerprint, trained.weights, prompt).random() < 0.4
        return f"Answer: {self.golds[prompt] if right else '-999'}"


def words_env(folder, pool, student, **fields):
    """An environment of the task folder with all of these rows in its set."""
    path = str(write_task(folder, pool))
    config = env_config(path, trainings=2, max_rows=64, **fields)
    env = DataEnv(config=config, student=student)
    env.reset(seed=0)
    env._state.rows = WorkingSet(tuple(pool))
    return env


def shuffled(text: str) -> str:
    """The same words in another order: no run of words is left."""
    return " ".join(sorted(text.split()))


def test_rows_without_a_run_of_an_items_words_pass_and_the_gap_gives_them_away(
    tmp_path, monkeypatch
):
    stolen = [row(shuffled(text), answer) for text, answer in PUBLIC]
    for folder, level in (("caught", env_module.PUBLIC_GAP_LEVEL), ("free", 0.0)):
        monkeypatch.setattr(env_module, "PUBLIC_GAP_LEVEL", level)
        env = words_env(tmp_path / folder, stolen, Parrot())
        report = env.step({"op": "train"})[4]["report"]
        assert report.score == 1.0 and not dict(report.set)["dropped_in_training"]
        outcome = env.step({"op": "submit"})[4]["outcome"]
        assert outcome.public_gap_points == 100 and outcome.public_gap_p < 1e-6
        assert ("public_gap" in outcome.flags) is (level > 0)


def test_dropped_rows_are_named_in_the_report_and_counted_in_the_outcome(tmp_path):
    clean = [row(f"How many are {n} and {n + 1} sheep?", 2 * n + 1) for n in range(4)]
    env = words_env(tmp_path / "words", [*clean, row(hidden(PUBLIC[0][0]), 42)], Parrot())
    found = dict(env.step({"op": "train"})[4]["report"].set)
    assert found["contaminated_in_training"] == 1
    assert found["dropped_in_training"][0][1] == "repeats public item public-1"
    outcome = env.step({"op": "submit"})[4]["outcome"]
    assert (outcome.contaminated, outcome.private_overlap) == (1, 0)
    assert DataEnv.restore(env, env.snapshot())[1]["outcome"] == outcome


def replies(env):
    """What a controller sees of decontaminating and training, but for the set's hash."""
    seen = []
    for action in ({"op": "decontaminate"}, {"op": "train"}):
        observation, reward, _, _, info = env.step(action)
        report = info["report"].to_dict()
        assert report["set"].pop("hash")
        seen.append(({k: v.tolist() for k, v in observation.items()}, reward, report))
    return seen


def test_private_items_in_a_set_are_answered_as_clean_rows_are(tmp_path, monkeypatch):
    private = [row(text, answer) for text, answer in PRIVATE]
    clean = [row(shuffled(text), answer) for text, answer in PRIVATE]
    both = [words_env(tmp_path / str(n), rows, Parrot()) for n, rows in enumerate((private, clean))]
    assert replies(both[0]) == replies(both[1])
    ends = [env.step({"op": "submit"})[4]["outcome"].private_overlap for env in both]
    assert ends == [len(PRIVATE), 0]
    leaky = [
        words_env(tmp_path / f"l{n}", rows, Parrot()) for n, rows in enumerate((private, clean))
    ]
    for env in leaky:
        env._overlap = OverlapIndex(env.task, (*env.task.public, *env.task.private))
    assert replies(leaky[0]) != replies(leaky[1])


class Luck:
    """Episodes of a student that cannot learn, on one target, with a controller that trains on set
    after set and submits the one that looks best."""

    def __init__(self, trainings: int) -> None:
        sizes = {"public": 60, "reward": 60, "private": 150, "seeds": 2, "pool": 40, "retention": 2}
        self.config = env_config(
            "Science-fast-v0", **sizes, min_rows=1, max_rows=4, calls=1, trainings=trainings
        )
        self.trainings, self.cache = trainings, Cache()

    def episode(self, number: int):
        """The outcome and the return of an episode."""
        env = DataEnv(config=self.config, student=Coin({}, number), cache=self.cache)
        env._student.golds = _Golds(lambda: env.task)
        env.reset(seed=number, options={"target": 5})
        total, rows = 0.0, env.task.pool
        for k in range(self.trainings):
            env._state.rows = WorkingSet((rows[k],))
            total += env.step({"op": "train"})[1]
        _, reward, _, _, info = env.step({"op": "submit"})
        return info["outcome"], total + reward


class _Golds:
    """Answers by prompt, of a task that is not there yet."""

    def __init__(self, task) -> None:
        self._task, self._golds = task, {}

    def __getitem__(self, prompt: str) -> str:
        if not self._golds:
            task = self._task()
            parts = (*task.public, *task.reward, *task.private, *task.retention)
            self._golds = {item.prompt: item.gold for item in parts}
        return self._golds[prompt]


@pytest.mark.parametrize("episodes", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_interval_of_a_gain_that_is_none_covers_none(episodes):
    luck = Luck(1)
    spans = [luck.episode(n)[0].gain_interval_points for n in range(episodes)]
    covered = np.mean([low <= 0 <= high for low, high in spans])
    assert 0.91 <= covered <= 0.99


@pytest.mark.parametrize("episodes", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_rolling_until_it_looks_good_gains_nothing_and_shows(episodes):
    luck = Luck(10)
    ends = [luck.episode(10_000 + n) for n in range(episodes)]
    for gains in ([end.gain_points for end, _ in ends], [total for _, total in ends]):
        spread = mean_bootstrap(gains, level=0.99)
        assert spread.low <= 0 <= spread.high
    gaps = [end.public_gap_points for end, _ in ends]
    assert mean_bootstrap(gaps).low > 5  # the best of ten looks about ten points too good
    chance = np.mean(["public_gap" in end.flags for end, _ in ends])
    blind = np.mean([end.public_gap_p / 10 < env_module.PUBLIC_GAP_LEVEL for end, _ in ends])
    assert chance <= 0.03 < blind  # a test that knew nothing of the choice would cry wolf
