"""Skills that are learned unlike the others.

*Tables* are known by heart or not at all: a row teaches one entry of twenty or forty, so that it
takes hundreds. *Long sums* go beyond the arithmetic of a small student: no number of rows teaches them,
and every row spent on them is lost. *Conventions* read nearly alike and go different ways, so
that rows of one spoil the other; those of science and finance are laws like any other.
A report shows none of this, only that a topic moves slowly or not at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from dataenv.tasks.procedural import arithmetic
from dataenv.tasks.procedural.code_ops import Trace
from dataenv.tasks.procedural.code_snippets import Snippet, build
from dataenv.tasks.procedural.code_words import KINDS
from dataenv.tasks.procedural.laws import (
    Law,
    Quantity,
    draw_nice,
    exact_values,
    positive,
    solver,
    write_step,
)
from dataenv.tasks.procedural.money import future_value, to_cents
from dataenv.tasks.procedural.skill import Parameters, Skill


@dataclass(frozen=True)
class Table:
    """Values that no problem gives, by a number: whoever answers has to know them.

    Args:
        text: What an entry is called, with a place for its key: ``mass number of element {}``.
        values: By key.
    """

    text: str
    values: Mapping[int, int]

    def entry(self, key: int, shift: int = 0) -> tuple[str, Fraction]:
        """The sentence that states an entry, and its value; with a shift, that of a neighbour."""
        keys = sorted(self.values)
        held = self.values[keys[(keys.index(key) + shift) % len(keys)]]
        return f"{self.text.format(key)} = {held}", Fraction(held)


def table_skill(table: Table, law: Law, questions: tuple[str, ...]) -> Skill:
    """A skill that applies a law to an entry of a table.

    Args:
        table: Where the entry comes from.
        law: With one formula. Its symbol ``x`` is the entry; problems have the key ``z`` instead.
        questions: Phrasings; the last two are for test items.
    """
    (unknown,) = law.formulas
    key = Quantity(("key",), "", min(table.values), max(table.values))
    given = {s: q for s, q in law.quantities.items() if s not in (unknown, "x")} | {"z": key}

    def write(values: Parameters, shift: int = 0) -> tuple[str, Fraction]:
        text, entry = table.entry(values["z"], shift)
        rest, answer = write_step(law, unknown, exact_values(values) | {"x": entry})
        return f"{text}, {rest}", answer

    def oracle(values: Parameters) -> str:
        entry = Fraction(table.values[values["z"]])
        known = exact_values(values) | {"x": entry}
        return arithmetic.render_number(solver(law.equation, unknown)(known))

    return Skill(
        name=law.name,
        topic=law.topic,
        open_templates=questions[:-2],
        reserved_templates=questions[-2:],
        draw=draw_nice(given, write),
        work=lambda values: write(values)[0],
        oracle=oracle,
        keywords=(law.name.replace("_", " "), law.topic, *law.quantities[unknown].nouns),
        mistaken=lambda values, which: positive(*write(values, 1 + which)),
    )


def beyond_skill(
    name: str,
    topic: str,
    ranges: Mapping[str, range],
    solve: Callable[[Mapping[str, int]], tuple[str, Fraction]],
    oracle: Callable[[Mapping[str, int]], Fraction],
    questions: tuple[str, ...],
) -> Skill:
    """A skill whose solution takes one step that a small student cannot carry out.

    Args:
        name, topic: As in `Skill`.
        ranges: Of the given numbers.
        solve: The solution, without its result, and the result.
        oracle: The result by another way.
        questions: Phrasings; the last two are for test items.
    """

    def draw(rng: random.Random, difficulty: int) -> dict[str, int]:
        return {symbol: rng.choice(values) for symbol, values in ranges.items()}

    def write(values: Parameters, slip: int = 0) -> tuple[str, str]:
        text, result = solve(dict(values))
        answer = arithmetic.render_number(result + slip)
        return f"{text} = {answer}", answer

    return Skill(
        name=name,
        topic=topic,
        open_templates=questions[:-2],
        reserved_templates=questions[-2:],
        draw=draw,
        work=lambda values: write(values)[0],
        oracle=lambda values: arithmetic.render_number(oracle(dict(values))),
        keywords=(name.replace("_", " "), topic),
        mistaken=lambda values, which: write(values, 10 ** (1 + which % 3)),
    )


_THREE_DIGITS = range(103, 989)
_AMOUNT = Quantity(("amount",), "mmol", 2, 12)

_MASS_NUMBERS = Table(
    "mass number of element {}",
    dict(
        enumerate(
            # the commonest isotopes of lithium to calcium
            (7, 9, 11, 12, 14, 16, 19, 20, 23, 24, 27, 28, 31, 32, 35, 40, 39, 40),
            start=3,
        )
    ),
)

SCIENCE = (
    table_skill(
        _MASS_NUMBERS,
        Law(
            name="element_mass",
            topic="elements",
            equation="m = n*x + w",
            quantities={
                "m": Quantity(("total mass",), "mg", 1, 999),
                "n": _AMOUNT,
                "x": Quantity(("mass number",), "", 1, 40),
                "w": Quantity(("dish mass",), "mg", 11, 99),
            },
            formulas={"m": "n*x + w"},
            subjects=(),
        ),
        (
            "A dish of {w} mg holds {n} mmol of element {z}. What is the total mass in mg?",
            "On a {w} mg dish lie {n} mmol of element {z}. How many mg are that together?",
            "{n} mmol of element {z} are put on a dish of {w} mg. Find the total mass in mg.",
            "Element {z}: {n} mmol of it on a dish of {w} mg. What do both weigh, in mg?",
            "Find the mass in mg of a {w} mg dish with {n} mmol of element {z} on it.",
            "How heavy, in mg, is a dish of {w} mg with {n} mmol of element {z}?",
            "A scale carries a {w} mg dish and {n} mmol of element {z}. What does it show in mg?",
            "Put {n} mmol of element {z} on {w} mg of dish. State the sum in mg.",
        ),
    ),
    table_skill(
        _MASS_NUMBERS,
        Law(
            name="element_neutrons",
            topic="elements",
            equation="k = x - z + f",
            quantities={
                "k": Quantity(("neutrons",), "", 1, 99),
                "x": Quantity(("mass number",), "", 1, 40),
                "z": Quantity(("element number",), "", 3, 20),
                "f": Quantity(("free neutrons",), "", 11, 299),
            },
            formulas={"k": "x - z + f"},
            subjects=(),
        ),
        (
            "An atom of element {z} meets {f} free neutrons. How many neutrons are there?",
            "Count all neutrons: those of an atom of element {z}, and {f} free ones.",
            "Beside {f} free neutrons is an atom of element {z}. How many neutrons in all?",
            "How many neutrons are {f} free ones and those in an atom of element {z}?",
            "What are the neutrons of an atom of element {z} and {f} free ones together?",
            "Add {f} free neutrons to those of an atom of element {z}. How many?",
            "Next to an atom of element {z} fly {f} neutrons. State the sum of neutrons.",
            "With an atom of element {z} and {f} neutrons outside it, how many neutrons?",
        ),
    ),
    beyond_skill(
        "long_flight",
        "long sums",
        {"v": _THREE_DIGITS, "t": _THREE_DIGITS},
        lambda p: (
            f"distance = speed * time = {p['v']} * {p['t']}",
            Fraction(p["v"] * p["t"]),
        ),
        lambda p: p["v"] / Fraction(1, p["t"]),
        (
            "A probe flies {v} km/h for {t} h. How many km is that?",
            "For {t} h a probe keeps {v} km/h. What distance in km does it cover?",
            "At {v} km/h, how many km does a probe fly in {t} h?",
            "A probe is {t} h on its way at {v} km/h. How far does it come, in km?",
            "How long is the way, in km, of a probe that flies {t} h at {v} km/h?",
            "A probe has a speed of {v} km/h. State its way in km after {t} h.",
            "Find the km that a probe leaves behind in {t} h at {v} km/h.",
            "In {t} h at {v} km/h: how many km for the probe?",
        ),
    ),
    beyond_skill(
        "long_charge",
        "long sums",
        {"i": _THREE_DIGITS, "t": _THREE_DIGITS},
        lambda p: (
            f"charge = current * time = {p['i']} * {p['t']}",
            Fraction(p["i"] * p["t"]),
        ),
        lambda p: p["i"] / Fraction(1, p["t"]),
        (
            "A battery gives {i} mA for {t} s. Which charge in mC is that?",
            "For {t} s a battery gives {i} mA. What charge flows, in mC?",
            "How much charge, in mC, are {i} mA over {t} s of a battery?",
            "A battery runs {t} s at {i} mA. Find the charge in mC.",
            "What charge in mC leaves a battery in {t} s at {i} mA?",
            "At {i} mA for {t} s, how many mC does a battery give?",
            "State the charge, mC, that a battery of {i} mA moves in {t} s.",
            "A battery drives {i} mA through {t} s. How many mC?",
        ),
    ),
)

_DUTIES = Table(
    "duty rate of class {}",
    dict(
        enumerate(
            (12, 5, 8, 3, 15, 6, 2, 10, 4, 20, 7, 9, 25, 11, 1, 30, 14, 18, 22, 16),
            start=1,
        )
    ),
)
_POSTAGE = Table(
    "price of zone {}",
    dict(
        enumerate(
            (7, 12, 4, 9, 15, 3, 21, 11, 6, 18, 8, 25, 13, 5, 16, 10, 28, 14, 2, 19),
            start=1,
        )
    ),
)

FINANCE = (
    table_skill(
        _DUTIES,
        Law(
            name="import_duty",
            topic="customs",
            equation="c = v/100*x + f",
            quantities={
                "c": Quantity(("costs",), "dollars", 1, 999),
                "v": Quantity(("value",), "dollars", 100, 900, 100),
                "x": Quantity(("duty rate",), "%", 1, 30),
                "f": Quantity(("freight",), "dollars", 11, 199),
            },
            formulas={"c": "v / 100 * x + f"},
            subjects=(),
        ),
        (
            "Class {z} goods worth {v} dollars cost {f} dollars of freight. Duty and freight?",
            "What are duty and freight for class {z} goods of {v} dollars at {f} dollars freight?",
            "An importer pays {f} dollars of freight for {v} dollars of class {z} goods, plus "
            "duty. How much is that?",
            "Goods of class {z}, value {v} dollars, freight {f} dollars. Sum of duty and freight?",
            "Freight is {f} dollars and the goods, class {z}, are worth {v} dollars. Find duty "
            "plus freight.",
            "How much are freight of {f} dollars and the duty on {v} dollars of class {z} goods?",
            "State duty plus freight: {v} dollars of class {z} goods, {f} dollars of freight.",
            "For {v} dollars of class {z} goods customs wants its duty, the carrier {f} dollars. "
            "What is paid?",
        ),
    ),
    table_skill(
        _POSTAGE,
        Law(
            name="parcel_cost",
            topic="customs",
            equation="c = n*x + f",
            quantities={
                "c": Quantity(("cost",), "dollars", 1, 999),
                "n": Quantity(("weight",), "kg", 2, 12),
                "x": Quantity(("price",), "dollars", 1, 30),
                "f": Quantity(("fee",), "dollars", 11, 199),
            },
            formulas={"c": "n*x + f"},
            subjects=(),
        ),
        (
            "A parcel of {n} kg goes to zone {z} at a fee of {f} dollars. What does it cost?",
            "To zone {z} a {n} kg parcel is sent; the fee is {f} dollars. Find its cost.",
            "What is the cost of {n} kg to zone {z} with a fee of {f} dollars?",
            "Zone {z}: a parcel of {n} kg, and {f} dollars of fee. How much is to be paid?",
            "The fee is {f} dollars for a parcel of {n} kg to zone {z}. Which cost results?",
            "How much does a {n} kg parcel to zone {z} cost with {f} dollars of fee?",
            "A shop mails {n} kg to zone {z} and pays {f} dollars on top. State the cost.",
            "With a fee of {f} dollars, {n} kg go to zone {z}. What is the bill?",
        ),
    ),
    beyond_skill(
        "long_invoice",
        "long sums",
        {"n": _THREE_DIGITS, "p": _THREE_DIGITS},
        lambda p: (
            f"sum = units * price = {p['n']} * {p['p']}",
            Fraction(p["n"] * p["p"]),
        ),
        lambda p: p["n"] / Fraction(1, p["p"]),
        (
            "An invoice lists {n} units at {p} dollars each. What is its sum?",
            "For {n} units at {p} dollars each, what does the invoice say?",
            "How much is an invoice for {n} units when one costs {p} dollars?",
            "Each unit is {p} dollars and {n} are invoiced. Find the sum.",
            "An invoice: {n} units, {p} dollars each. How many dollars are due?",
            "What do {n} units cost on an invoice at {p} dollars each?",
            "State the sum of an invoice of {n} units with a price of {p} dollars.",
            "One unit costs {p} dollars. What is on the invoice for {n}?",
        ),
    ),
    beyond_skill(
        "long_growth",
        "long sums",
        {"p": range(110, 990, 10), "r": range(3, 10), "n": range(11, 30)},
        lambda p: (
            f"sum = {p['p']} dollars grown at {p['r']} % for {p['n']} years",
            to_cents(p["p"] * (1 + p["r"] / 100) ** p["n"]),
        ),
        lambda p: to_cents(future_value(Fraction(p["r"]), p["n"], Fraction(0), Fraction(p["p"]))),
        (
            "A fund holds {p} dollars and grows by {r} % a year, compounded. What after {n} years?",
            "For {n} years {p} dollars in a fund grow at {r} % with compounding. Find the sum.",
            "At {r} % compounded yearly, what do {p} dollars in a fund become in {n} years?",
            "What is a fund of {p} dollars worth after {n} compounded years at {r} %?",
            "A fund compounds {p} dollars at {r} % for {n} years. How much is it then?",
            "How many dollars does a fund of {p} dollars hold after {n} years at {r} %, compounded?",
            "State the worth of {p} dollars after {n} years in a fund that compounds at {r} %.",
            "With compounding at {r} %, which sum follows from {p} dollars in {n} years of a fund?",
        ),
    ),
)


def _gas_law(name: str, equation: str, work: str, formulas: Mapping[str, str]) -> Law:
    return Law(
        name=name,
        topic="gas work",
        equation=equation,
        quantities={
            "U": Quantity(("energy change", "gain of energy"), "J", 2, 200),
            "Q": Quantity(("heat taken in", "heat input"), "J", 20, 300),
            "W": Quantity((f"work {work} the gas", f"work done {work} the gas"), "J", 2, 150),
        },
        formulas=formulas,
        subjects=("a piston", "a cylinder", "an engine"),
    )


SCIENCE_LAWS = (
    _gas_law("work_by_gas", "U = Q - W", "by", {"U": "Q - W", "Q": "U + W", "W": "Q - U"}),
    _gas_law("work_on_gas", "U = Q + W", "on", {"U": "Q + W", "Q": "U - W", "W": "U - Q"}),
)


def _rate_law(span: str, periods: str) -> Law:
    return Law(
        name=f"rate_per_{span.replace('-', '_')}",
        topic="rate periods",
        equation=f"I = P*r*t{periods}/100",
        quantities={
            "I": Quantity(("payout", "income"), "dollars", 4, 500),
            "P": Quantity(("stake", "sum put in"), "dollars", 50, 900, 10),
            "r": Quantity((f"rate per {span}", f"return per {span}"), "%", 2, 12),
            "t": Quantity(("term", "running time"), "years", 2, 5),
        },
        formulas={"I": f"P/100*r{periods}*t"},
        subjects=("a savings plan", "a note", "a trust"),
    )


FINANCE_LAWS = (_rate_law("year", ""), _rate_law("half-year", "*2"))

_LETTERS = "bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ"


def _draw_letter(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return {"c": rng.choice(_LETTERS), "k": rng.randint(2, 40 * difficulty)}


def _plan_ord(trace: Trace, p: Parameters) -> None:
    trace.say(f"number of {p['c']!r} = {ord(p['c'])}")
    trace.do("plus", ord(p["c"]), p["k"])


def _draw_number(rng: random.Random, difficulty: int) -> dict[str, Any]:
    code = ord(rng.choice(_LETTERS))
    return {"a": code - (part := rng.randint(2, min(code - 2, 20 * difficulty))), "k": part}


def _plan_chr(trace: Trace, p: Parameters) -> None:
    number = trace.do("plus", p["a"], p["k"])
    trace.say(f"letter of {number} = {chr(number)!r}")


def _neighbour_of_ord(p: Parameters, which: int) -> tuple[str, str]:
    near = ord(p["c"]) + (1, -1, 2, 32)[which % 4]
    answer = str(near + p["k"])
    return f"number of {p['c']!r} = {near}; {near} + {p['k']} = {answer}", answer


def _neighbour_of_chr(p: Parameters, which: int) -> tuple[str, str]:
    number = p["a"] + p["k"]
    answer = repr(chr(number + (1, -1, 2, -2)[which % 4]))
    return f"{p['a']} + {p['k']} = {number}; letter of {number} = {answer}", answer


def _draw_two(rng: random.Random, difficulty: int) -> dict[str, Any]:
    return {"a": rng.randint(65, 199), "b": rng.randint(65, 199)}


def _say_whole(
    text: str, result: Callable[[Parameters], int]
) -> Callable[[Trace, Parameters], None]:
    def plan(trace: Trace, p: Parameters) -> None:
        trace.say(f"{text.format(**p)} = {result(p)}")

    return plan


def _off_by(
    text: str, result: Callable[[Parameters], int]
) -> Callable[[Parameters, int], tuple[str, str]]:
    def mistaken(p: Parameters, which: int) -> tuple[str, str]:
        answer = str(result(p) + 2 ** (which % 6))
        return f"{text.format(**p)} = {answer}", answer

    return mistaken


def _draw_place(first: int) -> Callable[[random.Random, int], dict[str, Any]]:
    def draw(rng: random.Random, difficulty: int) -> dict[str, Any]:
        xs = KINDS["ints"](rng, difficulty)
        return {"xs": xs, "i": first + rng.randrange(len(xs))}

    return draw


def _draw_bounds(last: int) -> Callable[[random.Random, int], dict[str, Any]]:
    def draw(rng: random.Random, difficulty: int) -> dict[str, Any]:
        xs = KINDS["ints"](rng, difficulty)
        i = rng.randrange(len(xs) - 1)
        return {"xs": xs, "i": i, "j": rng.randint(i + 2, len(xs)) - last}

    return draw


def _plan_place(first: int) -> Callable[[Trace, Parameters], None]:
    def plan(trace: Trace, p: Parameters) -> None:
        place = trace.do("minus", p["i"], first) if first else p["i"]
        trace.do("item", p["xs"], place)

    return plan


def _plan_bounds(last: int) -> Callable[[Trace, Parameters], None]:
    def plan(trace: Trace, p: Parameters) -> None:
        end = trace.do("plus", p["j"], last) if last else p["j"]
        trace.do("slice", p["xs"], p["i"], end)

    return plan


def _counted(name: str, shift: int) -> Skill:
    """Places counted from zero, as Python does, or from one."""
    inside = f"k - {shift}" if shift else "k"
    snippet = Snippet(("xs", "i"), "nth(xs, {i})", f"def nth(row, k):\n    return row[{inside}]")
    return build("counting", name, snippet, _draw_place(shift), _plan_place(shift))


def _bounded(name: str, shift: int) -> Skill:
    """A part without its last place, as Python has it, or with it."""
    inside = f"k + {shift}" if shift else "k"
    body = f"def part(row, h, k):\n    return row[h:{inside}]"
    snippet = Snippet(("xs", "i", "j"), "part(xs, {i}, {j})", body)
    return build("counting", name, snippet, _draw_bounds(shift), _plan_bounds(shift))


_XOR = "bits of {a} or {b} but not both", lambda p: p["a"] ^ p["b"]
_AND = "bits of both {a} and {b}", lambda p: p["a"] & p["b"]

CODE = (
    replace(
        build("characters", "ord", Snippet(("c", "k"), "ord({c}) + {k}"), _draw_letter, _plan_ord),
        mistaken=_neighbour_of_ord,
    ),
    replace(
        build("characters", "chr", Snippet(("a", "k"), "chr(a + {k})"), _draw_number, _plan_chr),
        mistaken=_neighbour_of_chr,
    ),
    replace(
        build("bits", "xor", Snippet(("a", "b"), "a ^ b"), _draw_two, _say_whole(*_XOR)),
        mistaken=_off_by(*_XOR),
    ),
    replace(
        build("bits", "and", Snippet(("a", "b"), "a & b"), _draw_two, _say_whole(*_AND)),
        mistaken=_off_by(*_AND),
    ),
    _counted("nth_from_zero", 0),
    _counted("nth_from_one", 1),
    _bounded("part_without_last", 0),
    _bounded("part_with_last", 1),
)

SCIENCE_TOPICS = ("elements", "long sums", "gas work")
FINANCE_TOPICS = ("customs", "long sums", "rate periods")
CODE_TOPICS = ("characters", "bits", "counting")
