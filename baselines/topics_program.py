"""A curation program of the common kind, run by the operation ``program``, never imported: prompts for
every topic, parsing, a check of every answer, and a top-up until there are enough rows."""

import random

from workbench import answer_of, ask, calls_left, emit, parse, pool, public, task

TASK = task()
WANTED = TASK["budgets"]["max_rows"]
KINDS = ("easy problems", "typical problems", "problems of every kind")
ROUNDS = 6
WRITE = """Write one new problem for practice, together with its solution.

Field: {description}
What is wanted: {kind} about {topic}
More like this one:
<example>
{example}
</example>
The solution shows its steps.
{answer_format}

Reply with one JSON object: {{"instruction": "...", "input": "...", "output": "..."}}"""
SOLVE = """Solve this problem.

<problem>
{problem}
</problem>

The solution shows its steps.
{answer_format}

Reply with one JSON object: {{"output": "..."}}"""


def question(row):
    return "\n".join(part for part in (row["instruction"], row["input"]) if part)


def write_prompt(item):
    return WRITE.format(
        description=TASK["description"],
        kind=random.choice(KINDS),
        topic=item["topic"],
        example=question(item),
        answer_format=TASK["answer_format"],
    )


def solve_prompt(row):
    return SOLVE.format(problem=question(row), answer_format=TASK["answer_format"])


def row_of(reply):
    """The row of a reply; None if it is in no shape to be used."""
    found = parse(reply)
    names = ("instruction", "input", "output")
    if not found or not all(isinstance(found.get(name, ""), str) for name in names):
        return None
    row = {name: found.get(name, "").strip() for name in names}
    return row if row["instruction"] and answer_of(row["output"]) else None


def solution(reply):
    output = (parse(reply, "output") or {}).get("output")
    return output if isinstance(output, str) and answer_of(output) else ""


def drafts(n):
    """Rows that the teacher writes like public items, in their proportions."""
    items = [random.choice(public()) for _ in range(n)]
    return [row for row in map(row_of, ask([write_prompt(item) for item in items])) if row]


def confirmed(rows):
    """Rows whose answer the teacher gives again."""
    again = [solution(reply) for reply in ask([solve_prompt(row) for row in rows])]
    return [row for row, new in zip(rows, again) if answer_of(new) == answer_of(row["output"])]


def collect():
    """Rounds of writing and checking, until there are enough."""
    found = {}
    for _ in range(ROUNDS):
        missing = WANTED - len(found)
        n = min(missing + missing // 4, calls_left() // 2)
        if missing <= 0 or n <= 0:
            break
        found.update((question(row), row) for row in confirmed(drafts(n)))
        print(f"{len(found)} rows, {calls_left()} calls left")
    return list(found.values())[:WANTED]


def improve(rows):
    """What is left buys solutions of the dear second teacher."""
    price = TASK["prices"].get("second")
    chosen = rows[: calls_left() // price] if price else []
    for row, reply in zip(chosen, ask([solve_prompt(row) for row in chosen], by="second")):
        row["output"] = solution(reply) or row["output"]


rows = collect()
improve(rows)
if not rows and not TASK["budgets"]["calls"]:  # no teacher: what lies around
    rows = random.sample(pool(), min(WANTED, len(pool())))
for row in rows:
    emit(row)
