"""Agents that write programs: what is read of replies, and whole episodes in the sandbox."""

import json
import re
import signal

import pytest
from dataenv.policies.iterative import Iterative
from dataenv.policies.one_shot import ATTEMPTS, OneShot
from dataenv.policies.programs import CUT_OFF, NO_CODE, read_draft

from dataenv.agent import Reply, fitted, shortened
from dataenv.cli import main
from dataenv.policy import run_episode
from dataenv.runs.folder import RESULT, STEPS
from dataenv.runs.replay import replay
from dataenv.runs.runner import told_by
from dataenv.runs.transcript import read_transcript
from dataenv.serve import serving
from tests.policies.scripted import Scripted, following
from tests.runs.test_resume import ended

# -- reading replies --------------------------------------------------------------------------------

PROGRAM = "import json\nprint(json.dumps({}))\n"


def test_plan_and_program_are_found():
    draft = read_draft(Reply(f"Ask for levers.\n\n```python\n{PROGRAM}```\nThat is all."))
    assert (draft.plan, draft.source, draft.failure) == ("Ask for levers.", PROGRAM, "")


@pytest.mark.parametrize(
    "text",
    [
        f"Plan.\n```py\n{PROGRAM}```",
        f"Plan.\r\n```\r\n{PROGRAM}```\r\n",
        f"Plan.\n  ~~~python\n{PROGRAM}  ~~~",
        f"Plan.\n```json\n{{}}\n```\nthen\n```python\n{PROGRAM}```\nor\n```\nprint(1)\n```",
        f"<think>```python\nno\n</think>Plan.\n````python\n{PROGRAM}````",
        f"Plan.\n```text\na long list of what is wanted, {'longer ' * 30}\n```\n```python\n{PROGRAM}```",
    ],
    ids=["py", "no name, CRLF", "tildes", "several", "thoughts", "longer prose"],
)
def test_blocks_are_read_as_models_write_them(text):
    draft = read_draft(Reply(text))
    assert draft.source.replace("\r", "").strip() == PROGRAM.strip() and not draft.failure
    assert draft.plan.startswith("Plan.")


def test_a_reply_that_is_nothing_but_a_program_is_one():
    assert read_draft(Reply(PROGRAM)).source == PROGRAM


def test_what_is_not_closed_was_cut_off():
    for text in (f"Plan.\n```python\n{PROGRAM}", f"```\nx = 1\n```\nPlan.\n```python\n{PROGRAM}"):
        draft = read_draft(Reply(text))
        assert draft.failure == CUT_OFF and draft.source == PROGRAM.strip()
    assert read_draft(Reply("The plan is", cut=True)).failure == CUT_OFF
    assert not read_draft(Reply(f"```python\n{PROGRAM}```\nThis wo", cut=True)).failure


def test_a_reply_without_a_program_has_none():
    for text in ("I would rather not.", "", "import of goods"):
        draft = read_draft(Reply(text))
        assert draft.failure == NO_CODE
        with pytest.raises(SyntaxError):
            compile(draft.sent, "sent", "exec")


def test_texts_are_fitted_into_what_room_there_is():
    texts = {"short": "a" * 10, "long": "b" * 1000, "longer": "c" * 5000}
    found = fitted(texts, 500)
    assert found["short"] == texts["short"] and sum(map(len, found.values())) <= 500
    assert len(found["long"]) > 200 and "characters left out" in found["longer"]
    assert fitted(texts, 9000) == texts
    for limit in range(200):
        assert len(shortened("x" * 300, limit)) <= limit


# -- episodes ---------------------------------------------------------------------------------------

CRASH = "raise ValueError('boom at {n}')"
FEW = "from workbench import emit, ask, parse\nemit(parse(ask([{prompt!r}])[0]))\n"
WRITES = """
from workbench import ask, calls_left, emit, parse, public

form = "Write one new problem for practice, together with its solution.\\nWhat is wanted: "
topics = sorted({{item["topic"] for item in public()}})[:{topics}]
prompts = [form + f"problems about {{topics[n % len(topics)]}}" for n in range({n})]
for reply in ask(prompts[: calls_left()]):
    row = parse(reply, "output")
    if row:
        emit(row)
"""
PROMPT = "Write one new problem for practice.\nWhat is wanted: problems about levers"


def block(source, plan="A plan."):
    return f"{plan}\n\n```python\n{source}\n```"


def good(n=40, topics=99, plan="A plan."):
    return block(WRITES.format(n=n, topics=topics), plan)


def crash(n):
    return block(CRASH.format(n=n), f"Plan {n}.")


def play(agent, env, lines, **fields):
    """(episode, server, what the policy tells) of an agent whose model says these lines."""
    with following(lines, **fields) as (server, config):
        policy = agent(config)
        episode = run_episode(env, policy, seed=1)
    return episode, server, told_by(policy, episode)


def operations(episode):
    return [step["action"]["op"] for step in episode.steps]


def test_one_shot_takes_the_first_valid_set_and_tells_nothing_of_failures(make_env):
    lines = [crash(1), "No.", good(plan="At last."), good()]
    episode, server, told = play(OneShot, make_env(), lines)
    assert operations(episode) == ["program", "program", "program", "train", "submit"]
    assert told["failures"] == {"runtime_error": 1, NO_CODE: 1} and len(server.bodies) == 3
    assert "boom" not in str(server.questions) and "Public questions" in server.questions[2]
    assert episode.outcome.rows >= 8 and episode.outcome.mats == 3


def test_one_shot_gives_up_after_its_attempts(make_env):
    episode, server, told = play(OneShot, make_env(), [crash(1)])
    assert len(server.bodies) == ATTEMPTS == told["failures"]["runtime_error"]
    assert operations(episode)[-1] == "submit" and "no_submission" in episode.outcome.flags
    assert episode.outcome.mats is None and episode.outcome.attempts == ATTEMPTS


STORY = [
    crash(1),  # draft
    block(FEW.format(prompt=PROMPT), "Few rows."),  # debug
    good(30, 1, "One topic."),  # repair
    good(60, 99, "All topics."),  # improve: better
    good(30, 1, "One topic again."),  # improve: worse
    crash(6),  # improve
    "I am at a loss.",  # debug
    f"Plan 8.\n```python\n{PROGRAM}",  # debug
    crash(9),  # debug
    good(60, 99, "Afresh."),  # draft
]
MOVES = (
    *("draft", "debug", "repair", "improve", "improve", "improve", "debug", "debug", "debug"),
    "draft",
)
SIGNS = {
    "draft": "Write a plan and the program.",
    "debug": "Find the cause",
    "repair": "enough rows are left",
    "improve": "The plan of the best submission",
}


@pytest.fixture(scope="module")
def story():
    """An episode with the nano student that follows `STORY`."""
    from dataenv.env import DataEnv
    from dataenv.presets import EnvConfig

    sizes = {"public": 80, "reward": 40, "private": 80, "seeds": 20, "retention": 5}
    budgets = {"min_rows": 8, "max_rows": 64, "calls": 480, "trainings": 4, "steps": 60}
    env = DataEnv(config=EnvConfig(**sizes, **budgets))
    return play(Iterative, env, STORY)


def test_iterative_drafts_debugs_repairs_and_improves(story):
    _, server, _ = story
    asked = tuple(
        next(move for move, sign in SIGNS.items() if sign in question)
        for question in server.questions
    )
    assert asked == MOVES
    debug, repair = server.questions[1:3]
    assert "ValueError: boom at 1" in debug and "Plan 1." in debug and "raise ValueError" in debug
    assert "runtime_error" in debug and "valid 1, rejected 0" in repair and "Few rows." in repair
    assert "no block with a program" in server.questions[7] and CUT_OFF in server.questions[8]


def test_the_best_submission_is_what_is_improved(story):
    episode, server, _ = story
    first, second, third = server.questions[3:6]
    assert "One topic." in first and "All topics." in second
    assert "All topics." in third and "One topic again." not in third  # a worse round is not kept
    assert "not better than the best" in third and third.count("the best so far") == 2
    assert re.search(r'"asked": ".+', second) and "the student:" in second
    scores = [s["report"]["score"] for s in episode.steps if s["action"]["op"] == "train"]
    assert scores[0] < scores[1] > scores[2] and episode.outcome.evaluation in (2, 4)


def test_attempts_and_failures_are_counted(story):
    episode, _, told = story
    assert told["failures"] == {
        "runtime_error": 3,
        "insufficient_valid_samples": 1,
        NO_CODE: 1,
        CUT_OFF: 1,
    }
    programs, trainings = (operations(episode).count(op) for op in ("program", "train"))
    outcome = episode.outcome
    assert (programs, trainings) == (10, 4) and outcome.ended == "submitted"
    assert (outcome.attempts, outcome.successful, outcome.mats) == (10, 4, 2.5)
    assert told["agent"]["replies"] == 10


def test_budgets_are_shown_every_time(story):
    _, server, _ = story
    for number, question in enumerate(server.questions, 1):
        assert f"iteration {number} of 30" in question
        assert re.search(r"calls: \d+ of 480 left", question)
        assert re.search(r"calls for this program: \d+\n", question)
        assert "trainings: " in question and "steps: " in question


def test_questions_stay_bounded_whatever_programs_print(make_env):
    loud = "print('x' * 100000)\nraise ValueError('y' * 100000)\n" + "# filler\n" * 2000
    for agent in (OneShot, Iterative):
        _, server, _ = play(agent, make_env(), [block(loud, "z" * 50_000)], context_chars=9000)
        assert len(server.bodies) >= ATTEMPTS
        assert max(server.size(body) for body in server.bodies) <= 9000


def test_thirty_programs_are_the_most(make_env):
    episode, server, _ = play(Iterative, make_env(steps=60), [crash(0)])
    assert len(server.bodies) == 30 and operations(episode)[-1] == "submit"
    drafts = [n for n, question in enumerate(server.questions) if SIGNS["draft"] in question]
    assert drafts == list(range(0, 30, 4))


def story_by(body):
    """The line of the iteration that the question names."""
    question = body["messages"][-1]["content"]
    return STORY[int(re.search(r"iteration (\d+) of", question)[1]) - 1]


def test_a_run_is_replayed_and_goes_on_after_kills(tiny_path, tmp_path):
    sizes = {
        **{"public": 8, "reward": 8, "private": 8, "seeds": 8, "pool": 8, "retention": 2},
        **{"min_rows": 8, "max_rows": 32, "calls": 400, "trainings": 3, "steps": 40},
        **{"training.epochs": 1, "decoding.max_new_tokens": 8},
    }
    changes = [part for k, v in sizes.items() for part in ("--set", f"{k}={v}")]
    found = []
    with serving(Scripted([story_by])) as server:
        agent = ["--agent", "model=scripted", "--agent", f"base_url={server.url}"]
        run = ["run", "--task", "Science-fast-v0", "--policy", "iterative", *changes, *agent]
        for name in ("whole", "killed"):
            out = tmp_path / name
            arguments = [*run, "--student", str(tiny_path), "--out", str(out)]
            for point in ("after_exchange:2", "after_settle:1") if name == "killed" else ():
                assert ended(arguments, point) == -signal.SIGKILL
                arguments = ["run", "--resume", str(out)]
            assert ended(arguments) == 0
            found.append(json.loads((out / RESULT).read_text()))
            assert main(["run", "--replay", str(out)]) == 0
        assert len(server.bodies) == 2 * found[1]["agent"]["replies"]  # none is asked for twice
    for name in ("submission", "failures", "attempts", "agent", "budget", "return"):
        assert found[0][name] == found[1][name], name
    assert (tmp_path / "whole" / STEPS).read_text() == (tmp_path / "killed" / STEPS).read_text()
    assert replay(read_transcript(tmp_path / "whole"))["failures"] == found[0]["failures"]
