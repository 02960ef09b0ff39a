"""Laws as data: an equation between named quantities becomes one skill per symbol.

The worked solution comes from a hand-written formula evaluated step by step; the answer comes from
sympy, which solves the equation itself. The two meet only in a test.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, lru_cache

from dataenv.tasks.procedural import arithmetic
from dataenv.tasks.procedural.skill import Parameters, Skill

DRAW_ATTEMPTS = 2000
ANSWER_LIMIT = 999


@dataclass(frozen=True)
class Quantity:
    """A measurable thing: what it is called, its unit, and the values it takes.

    Args:
        nouns: What texts call it; the first is the name used in worked solutions.
        unit: Written after a value; may be empty.
        low, high, step: The values ``low, low + step, ..., high``.
    """

    nouns: tuple[str, ...]
    unit: str
    low: float
    high: float
    step: float = 1

    def draw(self, rng: random.Random, difficulty: int) -> int | float:
        """A value: from the lower third at difficulty 1, from the whole range above."""
        values = values_of(self.low, self.high, self.step)
        count = len(values)
        if difficulty == 1:
            count = min(count, max(3, count // 3))
        return values[rng.randrange(count)]


@lru_cache(maxsize=4096)
def values_of(low: float, high: float, step: float) -> tuple[int | float, ...]:
    """The values ``low, low + step, ..., high``, whole ones as int."""
    exact = [_exact(low) + n * _exact(step) for n in range(round((high - low) / step) + 1)]
    return tuple(int(value) if value.denominator == 1 else float(value) for value in exact)


@dataclass(frozen=True)
class Law:
    """A law.

    Args:
        name: Unique in its domain.
        topic: The visible heading.
        equation: Its two sides in Python syntax, e.g. ``"F = m*a"``; what the oracle solves.
        quantities: By symbol.
        formulas: By the symbol solved for, e.g. ``{"m": "F/a"}``; what worked solutions use.
        subjects: What the problem may be about, e.g. ``("a cart", "a sled")``.
        sentences: By the symbol solved for, phrasings of this law alone, in natural words.
    """

    name: str
    topic: str
    equation: str
    quantities: Mapping[str, Quantity]
    formulas: Mapping[str, str]
    subjects: tuple[str, ...]
    sentences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """A phrasing for any law.

    Args:
        text: With ``{subject}``, ``{Subject}`` (capitalised), ``{givens}`` and ``{unknown}``.
        given: One given quantity, with ``{noun}``, ``{value}`` and ``{unit}``.
        joiner: Stands between the givens.
    """

    text: str
    given: str
    joiner: str = " and "

    def write(self, subject: str, givens: Sequence[tuple[str, str, str]], unknown: str) -> str:
        """Fills the frame; `givens` are (noun, value, unit)."""
        parts = [
            self.given.format(noun=noun, value=value, unit=unit).rstrip()
            for noun, value, unit in givens
        ]
        return self.text.format(
            subject=subject,
            Subject=subject[:1].upper() + subject[1:],
            givens=self.joiner.join(parts),
            unknown=unknown,
        )


@dataclass(frozen=True)
class Composition:
    """Two laws in a row: what `first` yields for `gives` is the quantity `takes` of `second`.

    Args:
        first, gives: Name of the first law and the symbol that it is solved for.
        second, takes, solves: Name of the second law, the symbol that the first result replaces,
            and the symbol asked for.
    """

    first: str
    gives: str
    second: str
    takes: str
    solves: str


def build_skills(
    laws: Sequence[Law],
    compositions: Sequence[Composition],
    frames: Sequence[Frame],
    reserved_frames: Sequence[Frame],
) -> dict[str, Skill]:
    """One skill per law and symbol, and one per composition.

    Raises:
        KeyError: A composition or formula names a law or symbol that does not exist.
    """
    table = {law.name: law for law in laws}
    skills = [
        _law_skill(law, unknown, frames, reserved_frames)
        for law in laws
        for unknown in law.formulas
    ]
    skills += [_composed_skill(table, each, frames, reserved_frames) for each in compositions]
    return {skill.name: skill for skill in skills}


@cache
def solver(equation: str, unknown: str) -> Callable[[Mapping[str, Fraction]], Fraction]:
    """The oracle: solves an equation for a symbol with sympy, once, as an exact function."""
    import sympy

    left, _, right = equation.partition("=")
    names = sorted(_symbols(equation))
    symbols = {name: sympy.Symbol(name, positive=True) for name in names}
    difference = sympy.sympify(left, locals=symbols) - sympy.sympify(right, locals=symbols)
    solutions = sympy.solve(difference, symbols[unknown])
    if len(solutions) != 1:
        raise ValueError(f"{equation!r} has {len(solutions)} solutions for {unknown!r}, not one")
    given = [name for name in names if name != unknown]
    # Both parts have whole coefficients, so that they are exact for exact values; `subs` is slow.
    parts = sympy.fraction(sympy.together(solutions[0]))
    above, below = (
        sympy.lambdify([symbols[name] for name in given], part, "math") for part in parts
    )

    def solve(values: Mapping[str, Fraction]) -> Fraction:
        exact = [values[name] for name in given]
        return Fraction(above(*exact)) / Fraction(below(*exact))

    return solve


def _symbols(equation: str) -> set[str]:
    names: set[str] = set()
    for side in equation.split("="):
        _collect(arithmetic.parse(side.strip()), names)
    return names


def _collect(tree: arithmetic.Tree, names: set[str]) -> None:
    if isinstance(tree, str):
        names.add(tree)
    elif isinstance(tree, tuple):
        _collect(tree[1], names)
        _collect(tree[2], names)


def exact_values(parameters: Parameters) -> dict[str, Fraction]:
    """Parameters as exact numbers."""
    return {name: _exact(value) for name, value in parameters.items()}


@lru_cache(maxsize=1 << 14)
def _exact(value: int | float) -> Fraction:
    return Fraction(str(value))


def write_step(
    law: Law, unknown: str, values: Mapping[str, Fraction], misread: int | None = None
) -> tuple[str, Fraction]:
    """One law applied: ``force = mass * acceleration = 4 * 7 = 28``, and its value.

    With `misread`, one thing in the formula is wrong; the number says which.
    """
    formula = arithmetic.parse(law.formulas[unknown])
    if misread is not None:
        wrong = arithmetic.misreadings(formula)
        formula = wrong[misread % len(wrong)]
    names = {symbol: quantity.nouns[0] for symbol, quantity in law.quantities.items()}
    numeric = arithmetic.substitute(formula, values)
    reduced = arithmetic.steps(numeric, check=misread is None)
    texts = [names[unknown], arithmetic.render(formula, names), *reduced]
    return " = ".join(texts), arithmetic.evaluate(numeric)


def positive(text: str, value: Fraction) -> tuple[str, str]:
    """A mistaken solution with its answer.

    Raises:
        arithmetic.NotNice: The value is not positive, so nobody would write it down.
    """
    if value <= 0:
        raise arithmetic.NotNice(f"{value} is not positive")
    return text, arithmetic.render_number(value)


def draw_nice(
    quantities: Mapping[str, Quantity],
    work: Callable[[Parameters], tuple[str, Fraction]],
) -> Callable[[random.Random, int], dict[str, int | float]]:
    """Draws values until the worked solution stays within nice arithmetic; where hard values hardly
    ever do, easier ones stand in."""

    def draw(rng: random.Random, difficulty: int) -> dict[str, int | float]:
        for attempt in range(3 * DRAW_ATTEMPTS):
            level = max(1, difficulty - attempt // DRAW_ATTEMPTS)
            values = {name: each.draw(rng, level) for name, each in quantities.items()}
            try:
                _, answer = work(values)
            except arithmetic.NotNice:
                continue
            if 0 < answer <= ANSWER_LIMIT:
                return values
        raise arithmetic.NotNice(f"no nice values found for {sorted(quantities)}")

    return draw


def _law_skill(
    law: Law, unknown: str, frames: Sequence[Frame], reserved_frames: Sequence[Frame]
) -> Skill:
    quantities = {s: q for s, q in law.quantities.items() if s != unknown}

    def work(values: Parameters) -> tuple[str, Fraction]:
        return write_step(law, unknown, exact_values(values))

    def oracle(values: Parameters) -> str:
        return arithmetic.render_number(solver(law.equation, unknown)(exact_values(values)))

    nouns = law.quantities[unknown].nouns
    return Skill(
        name=f"{law.name}:{unknown}",
        topic=law.topic,
        open_templates=(
            *_templates(frames, law.subjects, quantities, nouns),
            *law.sentences.get(unknown, ()),
        ),
        reserved_templates=_templates(reserved_frames, law.subjects, quantities, nouns),
        draw=draw_nice(quantities, work),
        work=lambda values: work(values)[0],
        oracle=oracle,
        keywords=_keywords(law, unknown),
        mistaken=lambda values, which: positive(
            *write_step(law, unknown, exact_values(values), which)
        ),
    )


def _composed_skill(
    laws: Mapping[str, Law],
    each: Composition,
    frames: Sequence[Frame],
    reserved_frames: Sequence[Frame],
) -> Skill:
    first, second = laws[each.first], laws[each.second]
    quantities = {f"a_{s}": q for s, q in first.quantities.items() if s != each.gives}
    quantities |= {
        f"b_{s}": q for s, q in second.quantities.items() if s not in (each.takes, each.solves)
    }

    def split(values: Parameters, prefix: str) -> dict[str, Fraction]:
        exact = exact_values(values)
        return {n.removeprefix(prefix): v for n, v in exact.items() if n.startswith(prefix)}

    def work(values: Parameters, misread: int | None = None) -> tuple[str, Fraction]:
        wrong_first = misread if misread is not None and misread % 2 == 0 else None
        wrong_second = misread if misread is not None and misread % 2 else None
        text, value = write_step(first, each.gives, split(values, "a_"), wrong_first)
        if value <= 0:
            raise arithmetic.NotNice(f"{value} is not positive")
        inputs = split(values, "b_") | {each.takes: value}
        rest, answer = write_step(second, each.solves, inputs, wrong_second)
        return f"{text}, {rest}", answer

    def oracle(values: Parameters) -> str:
        value = solver(first.equation, each.gives)(split(values, "a_"))
        inputs = split(values, "b_") | {each.takes: value}
        return arithmetic.render_number(solver(second.equation, each.solves)(inputs))

    nouns = second.quantities[each.solves].nouns
    return Skill(
        name=f"{first.name}:{each.gives}>{second.name}:{each.solves}",
        topic=second.topic,
        open_templates=_templates(frames, first.subjects, quantities, nouns),
        reserved_templates=_templates(reserved_frames, first.subjects, quantities, nouns),
        draw=draw_nice(quantities, work),
        work=lambda values: work(values)[0],
        oracle=oracle,
        keywords=_keywords(first, each.gives) + _keywords(second, each.solves),
        parts=(f"{first.name}:{each.gives}", f"{second.name}:{each.solves}"),
        mistaken=lambda values, which: positive(*work(values, which)),
    )


def _templates(
    frames: Sequence[Frame],
    subjects: Sequence[str],
    quantities: Mapping[str, Quantity],
    unknown_nouns: Sequence[str],
) -> tuple[str, ...]:
    """Every frame twice, with alternating subjects, nouns and orders of the givens."""
    templates = []
    for number, frame in enumerate(list(frames) * 2):
        variant = number // len(frames)
        givens = [
            (quantity.nouns[(number + variant) % len(quantity.nouns)], f"{{{name}}}", quantity.unit)
            for name, quantity in quantities.items()
        ]
        templates.append(
            frame.write(
                subjects[(number + variant) % len(subjects)],
                givens[::-1] if variant else givens,
                unknown_nouns[(number + variant) % len(unknown_nouns)],
            )
        )
    return tuple(dict.fromkeys(templates))


def _keywords(law: Law, unknown: str) -> tuple[str, ...]:
    nouns = [noun for quantity in law.quantities.values() for noun in quantity.nouns]
    return (law.name.replace("_", " "), law.topic, *law.quantities[unknown].nouns, *nouns)
