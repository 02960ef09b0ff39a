"""Exact arithmetic in visible steps: the part of a worked solution that any domain shares.

An expression is a string in Python syntax over symbols, e.g. ``"m*v*v/2"``. `steps` reduces it one
operation at a time, as a pupil writes it: ``4 * 6 * 6 / 2``, ``24 * 6 / 2``, ``144 / 2``, ``72``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}

# An expression tree: a number, a symbol, or (operator, left, right).
Tree = Fraction | str | tuple


class NotNice(ValueError):
    """A step leaves the arithmetic that a small student is expected to do."""


@lru_cache(maxsize=4096)
def parse(expression: str) -> Tree:
    """Parses an expression of numbers, symbols, ``+ - * /`` and brackets.

    Raises:
        ValueError: The expression contains anything else.
    """

    def convert(node: ast.AST) -> Tree:
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)], convert(node.left), convert(node.right)
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return Fraction(str(node.value))
        raise ValueError(f"unsupported syntax in expression {expression!r}")

    return convert(ast.parse(expression, mode="eval").body)


def render_number(value: Fraction | int) -> str:
    """Writes a number with at most two decimals, without trailing zeros.

    Raises:
        NotNice: The number needs more decimals.
    """
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    if not is_short(value):
        raise NotNice(f"{value} has more than two decimals")
    return f"{float(value):.2f}".rstrip("0")


def is_short(value: Fraction) -> bool:
    """Whether a number has at most two decimals."""
    return 100 % value.denominator == 0


def render(tree: Tree, names: Mapping[str, str] | None = None) -> str:
    """Writes a tree as text, with `names` for its symbols and no needless bracket."""
    if isinstance(tree, str):
        return (names or {}).get(tree, tree)
    if isinstance(tree, Fraction):
        return render_number(tree)
    operator, left, right = tree
    left_text, right_text = render(left, names), render(right, names)
    if isinstance(left, tuple) and PRECEDENCE[left[0]] < PRECEDENCE[operator]:
        left_text = f"({left_text})"
    if isinstance(right, tuple) and PRECEDENCE[right[0]] <= PRECEDENCE[operator]:
        right_text = f"({right_text})"
    return f"{left_text} {operator} {right_text}"


def substitute(tree: Tree, values: Mapping[str, Fraction]) -> Tree:
    """Puts numbers in the place of symbols."""
    if isinstance(tree, str):
        return values[tree]
    if isinstance(tree, Fraction):
        return tree
    operator, left, right = tree
    return operator, substitute(left, values), substitute(right, values)


def apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    """One operation. Division by zero is `NotNice`."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if right == 0:
        raise NotNice("division by zero")
    return left / right


def is_nice(operator: str, left: Fraction, right: Fraction) -> bool:
    """Whether one operation is in the range of arithmetic that the nano students were taught.

    No number is negative or has more than two decimals. Sums and differences stay within 0..500. A
    factor of 10 or 100 goes with anything up to 2000; otherwise one factor is at most 12 and the
    other at most 40, and a decimal factor, below 10, goes with a whole number that is at most 12 or
    a multiple of 10. Divisors are at most 12, 10 and 100 apart, and quotients whole, up to 40.
    """
    try:
        result = apply(operator, left, right)
    except NotNice:
        return False
    if result < 0 or not (is_short(left) and is_short(right) and is_short(result)):
        return False
    if operator in "+-":
        return max(left, right, result) <= 500
    if operator == "*":
        if left in (10, 100) or right in (10, 100):
            return result <= 2000
        small, large = sorted((left, right), key=lambda value: (value.denominator == 1, value))
        if small.denominator != 1:  # a decimal times a whole number
            return small < 10 and large.denominator == 1 and (large <= 12 or is_tens(large))
        return small <= 12 and large <= 40
    if right in (10, 100):
        return result <= 99
    return 0 < right <= 12 and result.denominator == 1 and result <= 40


def is_tens(value: Fraction) -> bool:
    """Whether a number is one of 10, 20, ..., 90."""
    return value in range(10, 100, 10)


def steps(tree: Tree, *, check: bool = True) -> list[str]:
    """The texts of a numeric tree as it is reduced, leftmost innermost operation first.

    Args:
        tree: A tree without symbols.
        check: Whether every operation must be `is_nice`.

    Raises:
        NotNice: A step is not nice (when `check`) or cannot be written with two decimals.
    """
    if check:
        evaluate(tree, check=True)  # most trees fail, and texts are dear
    texts = [render(tree)]
    while isinstance(tree, tuple):
        tree = _reduce_once(tree)
        texts.append(render(tree))
    return texts


def evaluate(tree: Tree, *, check: bool = False) -> Fraction:
    """The value of a numeric tree.

    Raises:
        NotNice: An operation is not nice (when `check`), or divides by zero.
    """
    if isinstance(tree, tuple):
        operator, left, right = tree
        left, right = evaluate(left, check=check), evaluate(right, check=check)
        if check and not is_nice(operator, left, right):
            raise NotNice(f"{left} {operator} {right}")
        return apply(operator, left, right)
    assert isinstance(tree, Fraction)
    return tree


PARTNERS = {"+": "-*", "-": "+", "*": "/+", "/": "*"}  # what an operation is taken for


def misreadings(tree: Tree) -> list[Tree]:
    """A formula with one thing wrong, in every way: an operation taken for another, the sides of a
    difference or quotient swapped, or a number left out."""
    if not isinstance(tree, tuple):
        return []
    operator, left, right = tree
    found: list[Tree] = [(other, left, right) for other in PARTNERS[operator]]
    if operator in "-/":
        found.append((operator, right, left))
    if isinstance(right, Fraction):
        found.append(left)
    found += [(operator, wrong, right) for wrong in misreadings(left)]
    found += [(operator, left, wrong) for wrong in misreadings(right)]
    return found


def _reduce_once(tree: Tree) -> Tree:
    assert isinstance(tree, tuple)
    operator, left, right = tree
    if isinstance(left, tuple):
        return operator, _reduce_once(left), right
    if isinstance(right, tuple):
        return operator, left, _reduce_once(right)
    return apply(operator, left, right)
