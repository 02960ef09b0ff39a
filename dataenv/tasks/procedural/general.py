"""General items: execution without domain knowledge, which every nano base is good at.

Arithmetic in steps, plain-word operations, and problems that come with the formula to use, drawn at
random so that no law can be learned from them. They are what a base is pretrained on, and what
retention is measured with.
"""

from __future__ import annotations

import random
from fractions import Fraction

from dataenv.hashing import rng_of
from dataenv.tasks.base import Item
from dataenv.tasks.procedural import arithmetic, code, finance, science
from dataenv.tasks.procedural.laws import Law, Quantity
from dataenv.tasks.procedural.skill import ANSWER_MARK, Domain, fill

LAW_MODULES = (science, finance)
PLAIN_LAWS = {
    module.DOMAIN.name: tuple(
        law for law in module.LAWS if law.topic not in module.DOMAIN.special_topics
    )
    for module in LAW_MODULES
}
"""The laws of each domain; those of special topics no base is to meet, not even their words."""

Example = tuple[str, str]


def arithmetic_example(rng: random.Random) -> Example:
    """A chain of one to three operations."""
    while True:
        try:
            tree = _random_tree(rng, rng.choice((1, 1, 1, 2, 2, 3)))
            texts = arithmetic.steps(tree)
        except arithmetic.NotNice:
            continue
        ask = rng.choice(("Compute {}.", "What is {}?", "{} = ?", "Calculate {}."))
        return ask.format(texts[0]), f"{' = '.join(texts)} {ANSWER_MARK} {texts[-1]}"


def _number(rng: random.Random) -> Fraction:
    kind = rng.random()
    if kind < 0.5:
        return Fraction(rng.randint(1, 12))
    if kind < 0.8:
        return Fraction(rng.randint(2, 40))
    if kind < 0.87:
        return Fraction(rng.randint(1, 50) * 10)
    if kind < 0.92:
        return Fraction(rng.randint(1, 99), 10)
    return Fraction(100) if kind < 0.95 else Fraction(rng.randint(41, 500))


def _random_tree(rng: random.Random, size: int) -> arithmetic.Tree:
    """A nice tree of `size` operations, grown so that division comes out even."""
    if size == 0:
        return _number(rng)
    left_size = size - 1 if rng.random() < 0.8 else rng.randint(0, size - 1)
    left, right = _random_tree(rng, left_size), _random_tree(rng, size - 1 - left_size)
    operator = rng.choice("+-**//")
    if operator == "/" and not isinstance(right, tuple):
        value = arithmetic.evaluate(left)
        if value.denominator == 1 and value > 0:
            fits = [d for d in range(2, 13) if value % d == 0]
            if fits:
                right = Fraction(rng.choice(fits))
    return operator, left, right


def hinted_law_example(rng: random.Random) -> Example:
    """A problem in the words of a domain, with one or two random formulas to use."""
    module = rng.choice(LAW_MODULES)
    frame = rng.choice(module.FRAMES)
    laws = PLAIN_LAWS[module.DOMAIN.name]
    while True:
        count = rng.choice((2, 2, 3, 3, 4))
        quantities = _distinct_quantities(rng, laws, count + 2)
        given, results = quantities[:count], quantities[count:]
        values = {q.nouns[0]: q.draw(rng, rng.randint(1, 3)) for q in given}
        names = list(values)
        formulas = _random_formulas(rng, names, [q.nouns[0] for q in results])
        try:
            work, answer = _work_formulas(formulas, values)
        except arithmetic.NotNice:
            continue
        break
    rng.shuffle(given)
    text = frame.write(
        rng.choice(rng.choice(laws).subjects),
        [(rng.choice(q.nouns), str(values[q.nouns[0]]), q.unit) for q in given],
        formulas[-1][0],
    )
    hint = ", ".join(f"{name} = {arithmetic.render(tree)}" for name, tree in formulas)
    return f"{text} Use {hint}.", f"{work} {ANSWER_MARK} {answer}"


def hinted_sentence_example(rng: random.Random) -> Example:
    """A law's own sentence, with a random formula over its quantities to use."""
    while True:
        law = rng.choice(rng.choice([*PLAIN_LAWS.values()]))
        if not law.sentences:
            continue
        unknown = rng.choice(list(law.sentences))
        given = {s: q for s, q in law.quantities.items() if s != unknown}
        drawn = {s: q.draw(rng, rng.randint(1, 3)) for s, q in given.items()}
        values = {given[s].nouns[0]: value for s, value in drawn.items()}
        formulas = _random_formulas(rng, list(values), [law.quantities[unknown].nouns[0]])
        try:
            work, answer = _work_formulas(formulas, values)
        except arithmetic.NotNice:
            continue
        text = rng.choice(law.sentences[unknown]).format(**drawn)
        hint = f"{formulas[0][0]} = {arithmetic.render(formulas[0][1])}"
        return f"{text} Use {hint}.", f"{work} {ANSWER_MARK} {answer}"


def blank_law_example(rng: random.Random, domain: Domain, law: Law, unknown: str) -> Example:
    """A real problem of a law, and the answer of somebody who does not know the law.

    Random formulas in its place would give it away: values are drawn so that the right formula comes
    out even, and a formula that does can be guessed.
    """
    skill = domain.skills[f"{law.name}:{unknown}"]
    parameters = skill.draw(rng, rng.randint(1, 3))
    text = fill(rng.choice(skill.open_templates), parameters)
    return text, f"{law.quantities[unknown].nouns[0]} not given {ANSWER_MARK} None"


def _distinct_quantities(rng: random.Random, laws, count: int) -> list:
    chosen: list[Quantity] = []
    nouns: set[str] = set()
    while len(chosen) < count:
        quantity = rng.choice(list(rng.choice(laws).quantities.values()))
        if not nouns & set(quantity.nouns):
            chosen.append(quantity)
            nouns |= set(quantity.nouns)
    return chosen


def _random_formulas(
    rng: random.Random, names: list[str], results: list[str]
) -> list[tuple[str, arithmetic.Tree]]:
    """One formula over the names, or two of which the second uses the first's result."""
    names = rng.sample(names, len(names))
    if len(results) > 1 and len(names) >= 3 and rng.random() < 0.4:
        first = _random_formula(rng, names[:2])
        return [(results[0], first), (results[1], _random_formula(rng, [results[0], *names[2:]]))]
    return [(results[-1], _random_formula(rng, names))]


def _random_formula(rng: random.Random, names: list[str]) -> arithmetic.Tree:
    tree: arithmetic.Tree = names[0]
    for name in names[1:]:
        operator = rng.choice("+-**//")
        tree = (operator, tree, name) if rng.random() < 0.75 else (operator, name, tree)
    extra = rng.random()
    if extra < 0.12:
        tree = ("/", tree, Fraction(rng.choice((2, 2, 3, 4, 100, 100))))
    elif extra < 0.24:
        tree = ("*", tree, Fraction(rng.choice((2, 2, 3, 4, 10, 100))))
    elif extra < 0.3:
        tree = ("*", tree, rng.choice(names))
    return tree


def _work_formulas(formulas, values) -> tuple[str, str]:
    known = {name: Fraction(str(value)) for name, value in values.items()}
    parts = []
    for name, tree in formulas:
        numeric = arithmetic.substitute(tree, known)
        texts = arithmetic.steps(numeric)
        known[name] = arithmetic.evaluate(numeric)
        parts.append(" = ".join([name, arithmetic.render(tree), *texts]))
    return ", ".join(parts), arithmetic.render_number(known[formulas[-1][0]])


def primitive_example(rng: random.Random) -> Example:
    """A plain-word operation on literals."""
    return rng.choice(code.PRIMITIVES)(rng, rng.randint(1, 3))


def hinted_code_example(rng: random.Random) -> Example:
    """A call in made-up syntax, with a plain-word hint of what it means."""
    instruction, text, output = code.hinted(rng, rng.randint(1, 3))
    return f"{instruction}\n{text}", output


KINDS = {
    "arithmetic": arithmetic_example,
    "hinted_law": hinted_law_example,
    "hinted_sentence": hinted_sentence_example,
    "primitive": primitive_example,
    "hinted_code": hinted_code_example,
}
"""Generators of (prompt, completion) by kind."""


def items(count: int, key: str) -> tuple[Item, ...]:
    """`count` general items, the same number of each kind, drawn from a key."""
    rng = rng_of("general", key)
    made = []
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        prompt, output = KINDS[kind](rng)
        instruction, _, text = prompt.partition("\n")
        gold = output.rpartition(ANSWER_MARK)[2].strip()
        made.append(Item(f"general-{number}", instruction, text, gold, kind, output))
    return tuple(made)
