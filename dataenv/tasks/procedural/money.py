"""Amounts of money: rounding, and oracles by numpy_financial."""

from __future__ import annotations

from fractions import Fraction

from dataenv.tasks.procedural import arithmetic


def to_cents(value: Fraction | float) -> Fraction:
    """An amount rounded to two decimals, exactly."""
    return Fraction(str(round(float(value), 2)))


def round_money(value: Fraction | float) -> str:
    """Writes an amount rounded to two decimals."""
    return arithmetic.render_number(to_cents(value))


def future_value(
    rate: Fraction, years: int, payment: Fraction, present: Fraction, when: str = "end"
) -> float:
    """What a deposit and yearly payments grow to at a rate in percent, by numpy_financial."""
    import numpy_financial

    fractional = float(rate / 100)
    return float(numpy_financial.fv(fractional, years, -float(payment), -float(present), when))


def present_value(rate: Fraction, years: int, payment: Fraction, future: Fraction) -> float:
    """What yearly payments and a last sum are worth today, by numpy_financial."""
    import numpy_financial

    return float(numpy_financial.pv(float(rate / 100), years, -float(payment), -float(future)))
