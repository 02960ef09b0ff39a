r"""Graders that give the verdicts of the benchmarks' own, without running what a model wrote.

Where a benchmark's grader calls Python's ``eval`` or runs a program, these parse: a literal, or a
little arithmetic with bounded sizes. Each also reads the ``Answer:`` of our own prompts where the
benchmark's rule finds nothing, and those for numbers a bare answer, which is what the benchmarks'
own graders are given. ``scripts/check_graders.py`` compares them with published verdicts.

``scibench``: the last ``\boxed{...}``, from its last ``=`` on, without commas; right if all of it
or its first word is a number within 5% of gold, as ``math.isclose`` reckons (so the larger of the
two counts: for 1, 1.0526 is right and 0.9499 wrong). A box that does not close, or any later word
with ``oxed``, hides all boxes. ``a \times 10^{n}`` and ``a * 10^n`` are read too. Gold holds the
power of ten that the benchmark writes into a unit: 1.05e-6 for 1.05 in units of 10^{-6} m. Against
such a gold only the product counts, as there, where a comma in it is an error; against a plain
gold the first factor alone does as well, and only that does there. Behind our own mark, where the
benchmark has no rule, two numbers are no answer.

``financereasoning-strict``: right within 0.2% of gold, yes and no being 1 and 0. Its quirks:

- A comma makes a tuple, whose first element counts: ``1,234.5`` is 1 and so wrong, ``10,20`` is 10.
  Only what Python cannot read so is cleaned of commas: ``1,050`` (as 050 is no number) is right.
- ``5 or 6`` is 5, and a comment is ignored.
- ``%``, currencies and words such as million are dropped, nothing being multiplied or divided.
- ``true`` anywhere is yes, so "not true" is. ``10^6`` is an exclusive or, or unreadable.

Calls, comparisons, logic, shifts and repeated tuples are not evaluated, nor is what outgrows
`MAX_BITS`: these are wrong.

``financereasoning``: the same, but commas of thousands are read as such, ``^`` is a power, and what
holds two answers (a tuple, ``or``, a comment, true next to false) is never right. On the 3,080
published rows with an answer the two agree on every one, so no row differs: a model had rewritten
each of those answers as one bare number, True or False, and that is where the two do not differ.

``livecodebench`` (test output prediction): the last line that starts with ``assert``, else the
first ```` ```python ```` block, else the first block; of an assertion, what is right of its first
``==``. Gold is JSON. Its quirks:

- Values are compared by ``==``: 1, 1.0 and True are the same; a tuple is no list.
- Of a block of several lines, the first with ``assert`` counts, unless it starts with ``#``.
- The assertion must stand on one line; any text with ``assert`` in it must be one.
- A message, a comment, a second comparison and a second statement are ignored.
- An unclosed ```` ```python ```` hides other blocks.

Ours reads literals only: ``2 + 3``, ``sorted([2, 1])`` and ``float('inf')`` would count there.

``cruxeval`` (output prediction): a literal equal to gold by ``==``. All of a text may be the
literal or an assertion with it, as in the published generations; or it stands in ``[ANSWER]``
tags, or behind our mark. The benchmark refuses an answer that holds the call itself; a literal
cannot, unless quoted in a string, and none of its 800 outputs does, so gold need not hold the
input. It cuts at the first ``==`` of a text, ours at that of the assertion; no input or output
holds one. Refused here only: expressions, comments, joined strings, and a second answer as the
assertion's message.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

from dataenv.errors import ConfigError

MAX_CHARS = 10_000
"""Longer literals and assertions are not read."""
MAX_ARITHMETIC_CHARS = 300
MAX_BITS = 4096
"""Whole numbers that outgrow this are not computed."""

_UNREADABLE = (ValueError, SyntaxError, TypeError, ArithmeticError, MemoryError, RecursionError)

_TEN_TO = re.compile(r"10\^\{? *(-?\d+) *\}?")
_FACTOR = re.compile(rf"(?:\\times|\*)\s*{_TEN_TO.pattern}")

_THOUSANDS = re.compile(r"(?<![\w.,])(?!0)\d{1,3}(?:,\d{3})+(?![\w,])")
_DROPPED = ("£", "€", "¥", "million", "billion", "thousand", "us", "usd", "rmb")
_SIGNS = str.maketrans("", "", "`%$°")
_SIZE = r"[\d,]*\.*\d+"
_UNITS = (
    re.compile(rf"([-+]?{_SIZE}) [^0-9 ]+$"),
    re.compile(rf"[^0-9 ]+ ([-+]?{_SIZE})$"),
    re.compile(rf"([-+]?{_SIZE})[^\d]{{1,2}}$"),
    re.compile(rf"[^-+\d]{{1,2}}({_SIZE})$"),
)
"""A number with one unit after or before it, apart or not."""
_PLAIN = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})*|\d+)(?:\.\d+)?$")
_YES_NO = re.compile(r"\b(?:true|false|yes|no)\b", re.IGNORECASE)
_TRUTH = re.compile(r"\b(?:true|false|not)\b")
_POLAR = {"yes": True, "true": True, "no": False, "false": False}
TOLERANCE = 0.002

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitXor: operator.xor,
}


def _marked(text: str) -> str | None:
    """The rest of our last mark's line, or all of a text of one line, which is a bare answer.

    None if there is neither, or a second answer below the mark.
    """
    from dataenv.tasks.graders import _bare, _tail  # its table takes in this module's

    tail = _tail(text)
    if tail is None:
        bare = _bare(text)
        answers = re.search(r"\d", bare) or bare.lower() in _POLAR
        return bare if answers and "\n" not in bare and "oxed" not in bare else None
    line, _, below = tail.partition("\n")
    if re.search(r"\d", below) or _YES_NO.search(below):
        return None
    return _bare(line) or None


def _extract_scibench(text: str) -> str | None:
    from dataenv.tasks.graders import _numbers

    boxed = _boxed(text)
    if boxed is not None:
        return boxed.strip() or None
    line = (_marked(text) or "").split("=")[-1].strip()
    return line if len(_numbers(_FACTOR.sub(" ", line))) == 1 else None


def _boxed(text: str) -> str | None:
    """What the last box holds, from its last ``=`` on."""
    _, found, rest = text.rpartition("oxed")
    if not found or not rest.startswith("{"):
        return None
    depth = 0
    for place, char in enumerate(rest):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return rest[1:place].split("=")[-1]
    return None


def _equal_scibench(answer: str, gold: str) -> bool:
    right = _float(gold)
    if right is None:
        raise ConfigError(f"the gold of a scibench item must be a number, got {gold!r}")
    given = answer.replace(",", "")
    factors = given.split("\\times" if "\\times" in given else "*")
    readings = [_product(factors)]
    if len(factors) == 1 or "e" not in gold.lower():
        readings += [_float(given), *map(_float, given.split()[:1])]
    return any(_close(each, right) for each in readings)


def _close(value: float | None, right: float) -> bool:
    return value is not None and math.isclose(value, right, rel_tol=0.05)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _product(factors: list[str]) -> float | None:
    """The value of a number times a power of ten, whatever unit follows."""
    power = _TEN_TO.search(factors[1]) if len(factors) == 2 else None
    try:
        return float(factors[0]) * 10.0 ** float(power[1]) if power else None
    except (ValueError, OverflowError):
        return None


def _extract_financereasoning(text: str) -> str | None:
    return _marked(text)


def _equal_strict(answer: str, gold: str) -> bool:
    right = _finance_gold(gold)
    given = _first_value((answer, _without_units(answer)))
    return _within(given[0] if isinstance(given, tuple) and given else given, right)


def _equal_financereasoning(answer: str, gold: str) -> bool:
    right = _finance_gold(gold)
    if len(answer) > MAX_ARITHMETIC_CHARS or _hedges(answer.lower()):
        return False
    plain = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), answer).replace("^", "**")
    return _within(_first_value((plain, _without_units(plain))), right)


def _hedges(text: str) -> bool:
    """Whether an answer holds another one, or denies what it says."""
    return "#" in text or " or " in text or len(_TRUTH.findall(text)) > 1 or "untrue" in text


def _finance_gold(gold: str) -> float | bool:
    word = gold.strip().lower()
    number = _float(gold)
    if word in _POLAR:
        return _POLAR[word]
    if number is None or not math.isfinite(number):
        raise ConfigError(f"a financereasoning gold must be a number, True or False, got {gold!r}")
    return number


def _within(given: Any, right: float | bool) -> bool:
    """Whether a value is a number near enough to gold, or the same truth value."""
    if not isinstance(given, int | float):
        return False
    if isinstance(given, bool) or isinstance(right, bool):
        return given == right
    slack = abs(right) * TOLERANCE
    return right - slack <= given <= right + slack


def _first_value(texts: tuple[str, ...]) -> Any:
    """The value of the first text that is arithmetic; None if none is."""
    for text in texts:
        try:
            return _evaluated(text)
        except _UNREADABLE:
            continue
    return None


def _without_units(text: str) -> str:
    """The number or truth value in an answer, as the benchmark clears away what is around it."""
    if len(text) > MAX_ARITHMETIC_CHARS:
        return ""
    text = text.strip().lower().rstrip(".")
    for word in _DROPPED:
        text = text.replace(word, "")
    text = re.split("[=≈]", text)[-1].strip() if re.search("[=≈]", text) else text
    text = text.translate(_SIGNS)
    if text in _POLAR or "true" in text or "false" in text:
        return str(_POLAR.get(text, "true" in text))
    if "approximately" in text:
        text = text.replace("approximately", "").strip()
    text = text.split(" or ")[0]
    for unit in _UNITS:
        match = unit.match(text)
        text = match[1] if match else text
    if re.search(r"10\^-?\d", text):
        return ""  # where the benchmark means a power, it calls a function that it has not imported
    text = text.replace(" x ", "*").replace(" × ", "*")
    return text.replace(",", "") if _PLAIN.match(text) else text


def _evaluated(text: str) -> Any:
    """The value of arithmetic on numbers, truth values and None, or a tuple of such.

    Raises:
        One of `_UNREADABLE`: It is something else, or too large.
    """
    if len(text) > MAX_ARITHMETIC_CHARS:
        raise ValueError("too long")
    return _value(_syntax(text.lstrip(" \t"), "eval").body)


def _syntax(text: str, mode: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes and numbers in a model's text
        return ast.parse(text, mode=mode)


def _value(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | None):
            return node.value
        case ast.Tuple() | ast.List():
            return tuple(_value(each) for each in node.elts)
        case ast.UnaryOp(op=ast.USub()):
            return -_number(node.operand)
        case ast.UnaryOp(op=ast.UAdd()):
            return +_number(node.operand)
        case ast.BinOp():
            return _applied(type(node.op), _number(node.left), _number(node.right))
    raise ValueError("no arithmetic")


def _number(node: ast.AST) -> int | float:
    value = _value(node)
    if not isinstance(value, int | float):  # a tuple, for one, could be multiplied to any length
        raise ValueError("no number")
    return value


def _applied(kind: type[ast.operator], left: int | float, right: int | float) -> int | float:
    """Left operator right, within `MAX_BITS`."""
    if kind not in _OPERATORS:
        raise ValueError("no operator of arithmetic")
    whole = isinstance(left, int) and isinstance(right, int)
    if kind is ast.Pow and whole and int(left).bit_length() * abs(right) > MAX_BITS:
        raise ValueError("too large")
    value = _OPERATORS[kind](left, right)
    if isinstance(value, complex) or (whole and abs(value) >= 2**MAX_BITS):
        raise ValueError("complex or too large")
    return value


def _extract_livecodebench(text: str) -> str | None:
    """The benchmark's own extraction, or else one literal or assertion behind our mark."""
    from dataenv.tasks.graders import _bare, _hides_more, _tail

    lines = text.split("\n")
    asserts = [line for line in lines if line.startswith("assert")]
    found = asserts[-1] if asserts else _block(lines)
    if found.strip():
        return found
    answer = _bare(_tail(text) or "")
    return answer if answer and len(answer) <= MAX_CHARS and not _hides_more(answer) else None


def _block(lines: list[str]) -> str:
    """What is in the first Python block, or if none begins, in the first block."""
    python = [n for n, line in enumerate(lines) if "```python" in line or "```Python" in line]
    fences = [n for n, line in enumerate(lines) if "```" in line and n >= (python or [0])[0]]
    return "\n".join(lines[fences[0] + 1 : fences[1]]) if len(fences) > 1 else ""


def _equal_livecodebench(answer: str, gold: str) -> bool:
    try:
        right = json.loads(gold)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the gold of livecodebench must be JSON, got {gold!r}") from error
    lines = answer.splitlines()
    if len(lines) > 1:
        answer = next((x for x in lines if "assert" in x and not x.startswith("#")), answer)
    answer = answer.strip()
    return _same(_literal(_asserted(answer) if "assert" in answer else answer), (right,))


def _asserted(text: str) -> ast.expr | None:
    """What is right of the first ``==`` of the assertion that a text starts with."""
    match _statements(text)[:1]:
        case [ast.Assert(test=ast.Compare(ops=[ast.Eq(), *_], comparators=[right, *_]))]:
            return right
    return None


def _statements(text: str) -> list[ast.stmt]:
    """The statements of a program; none if it is too long or no program."""
    try:
        return _syntax(text, "exec").body if len(text) <= MAX_CHARS else []
    except _UNREADABLE:
        return []


def _literal(source: ast.expr | str | None) -> tuple[Any] | None:
    """A literal's value, in a tuple as it may be None; None if there is no literal."""
    if source is None or (isinstance(source, str) and len(source) > MAX_CHARS):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return (ast.literal_eval(source),)
    except _UNREADABLE:
        return None


def _same(given: tuple[Any] | None, right: tuple[Any] | None) -> bool:
    return given is not None and given == right


def _extract_cruxeval(text: str) -> str | None:
    from dataenv.tasks.graders import _tail

    if "[ANSWER]" in text or "[/ANSWER]" in text:
        tagged = text.split("[ANSWER]")[1] if "[ANSWER]" in text else text
        return _only_literal(tagged.split("[/ANSWER]")[0])
    whole = _only_literal(text)
    return _only_literal(_tail(text) or "") if whole is None else whole


def _only_literal(text: str) -> str | None:
    """The literal that is all of a text, or all that the assertion of a text claims of a call."""
    from dataenv.tasks.graders import _bare, _hides_more

    text = _bare(text)
    if not text or len(text) > MAX_CHARS or _hides_more(text):
        return None
    # In the benchmark's form of a bare answer a second one would be the assertion's message.
    for program in (f"assert f() == {text}", f"assert {text}", text):
        match _statements(program):
            case [
                ast.Assert(test=ast.Compare(ast.Call(), [ast.Eq()], [right]), msg=None)
                | ast.Expr(ast.Compare(ast.Call(), [ast.Eq()], [right]))
            ] if _literal(right):
                return ast.get_source_segment(program, right)
    return None


def _equal_cruxeval(answer: str, gold: str) -> bool:
    right = _literal(gold.strip())
    if right is None:
        raise ConfigError(f"the gold of cruxeval must be a Python literal, got {gold!r}")
    return _same(_literal(answer), right)


BENCHMARK_GRADERS = (
    (
        "scibench",
        _extract_scibench,
        _equal_scibench,
        "within 5% of gold; the last \\boxed{} or after 'Answer:'",
    ),
    (
        "financereasoning",
        _extract_financereasoning,
        _equal_financereasoning,
        "within 0.2% of gold, or yes or no; after 'Answer:'; commas of thousands are read",
    ),
    (
        "financereasoning-strict",
        _extract_financereasoning,
        _equal_strict,
        "the same with the quirks of the benchmark's own: 1,234.5 is 1",
    ),
    (
        "livecodebench",
        _extract_livecodebench,
        _equal_livecodebench,
        "test output prediction: the right side of an assertion, gold in JSON",
    ),
    (
        "cruxeval",
        _extract_cruxeval,
        _equal_cruxeval,
        "a Python literal: alone, in [ANSWER] tags or after 'Answer:'; 1 is True",
    ),
)
"""Lines of `dataenv.tasks.graders.GRADERS`: name, extract, equal, about."""
