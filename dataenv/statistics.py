"""Intervals for scores and gains, and what a comparison of a given size can see.

Scores and gains are fractions. All of these cover the sampling of items only; the noise of
training seeds comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dataenv.config import require

_BLOCK = 4_000_000  # resampled indices held at once: bounds memory, not the result's size


@dataclass(frozen=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How far one number exceeds another: the value, its interval, and a p-value."""

    value: float
    interval: Interval
    p: float


def wilson(successes: float, n: int, level: float = 0.95) -> Interval:
    """Score interval of a proportion (Wilson 1927, JASA 22:209). No items: (0, 1).

    Args:
        successes: How many of `n` were right; a fraction of one is partial credit, for which
            the interval is conservative.
        n: Number of items.
        level: Coverage.

    Raises:
        ValueError: `successes` is outside [0, n], or `level` outside (0, 1).
    """
    require(n >= 0, "n", n, "0 or more")
    require(0 <= successes <= n, "successes", successes, f"in [0, {n}]")
    z = _two_sided_z(level)
    if n == 0:
        return Interval(0.0, 1.0)
    share = successes / n
    shrink = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exact in theory, not in floats
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high)


def mean_bootstrap(
    values: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a mean (Efron & Tibshirani 1993, ch. 13).

    With `clusters`, whole clusters are resampled and the mean is their sum over their size
    (Davison & Hinkley 1997, sec. 3.8). One value, one cluster or equal values give a width of 0:
    there is nothing to learn a spread from.

    Args:
        values: One number per item.
        clusters: The cluster of each item, of the same length; None makes each item its own.
        level: Coverage.
        draws: Number of resamples.
        seed: Same seed, same interval.

    Raises:
        ValueError: `values` is empty or not finite, lengths differ, or a number is out of range.
    """
    require(draws >= 1, "draws", draws, "at least 1")
    require(0 < level < 1, "level", level, "in (0, 1)")
    numbers = _finite("values", values)
    sums, sizes = _per_cluster(numbers, clusters)
    means = _resampled_means(sums, sizes, draws, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def paired_bootstrap(
    before: Sequence[float],
    after: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of the mean of `after - before`, item by item; see `mean_bootstrap`.

    Args:
        before, after: Scores of the same items in the same order.
        clusters, level, draws, seed: As in `mean_bootstrap`.

    Raises:
        ValueError: Lengths differ, or as in `mean_bootstrap`.
    """
    _same_length(before, after)
    differences = _finite("after", after) - _finite("before", before)
    return mean_bootstrap(
        differences.tolist(), clusters=clusters, level=level, draws=draws, seed=seed
    )


def crossed_bootstrap(
    differences: NDArray[np.float64],
    *,
    trim: float = 0.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Difference:
    """Mean of paired differences that two kinds of luck decide, e.g. of items and training seeds.

    Rows and columns are resampled independently (the pigeonhole bootstrap; Owen 2007, Ann Appl Stat
    1:386), which errs on the side of wide intervals. The two-sided p-value is twice the rarer sign
    among the resampled means, one added to both counts.

    Args:
        differences: Of shape (seeds, items), or whatever is crossed.
        trim: Share that is left out at each end before the mean is taken; 0.25 makes it the
            interquartile mean (Agarwal et al. 2021, NeurIPS 34).
        level: Coverage.
        draws: Number of resamples.
        seed: Same seed, same interval.

    Raises:
        ValueError: There are no differences, they are not finite, or a number is out of range.
    """
    require(0 < level < 1, "level", level, "in (0, 1)")
    require(draws >= 1, "draws", draws, "at least 1")
    require(differences.ndim == 2 and differences.size > 0, "differences", differences, "a table")
    require(bool(np.isfinite(differences).all()), "differences", differences, "finite")
    require(0 <= trim < 0.5, "trim", trim, "in [0, 0.5)")
    rng = np.random.default_rng(seed)
    rows, columns = differences.shape
    counts = rng.multinomial(rows, np.full(rows, 1 / rows), size=draws)
    means = np.empty(draws)
    for place, count in enumerate(counts):  # one draw at a time: the columns of all are too many
        chosen = rng.integers(columns, size=columns)
        if trim:
            means[place] = trimmed_mean(np.repeat(differences, count, 0)[:, chosen], trim)
        else:
            means[place] = (count / rows @ differences)[chosen].mean()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    rarer = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (rarer + 1) / (draws + 1))
    middle = trimmed_mean(differences, trim)
    return Difference(middle, Interval(float(low), float(high)), p)


def trimmed_mean(values: NDArray[np.float64], trim: float) -> float:
    """The mean without a share of the smallest and as many of the largest; a quarter: interquartile."""
    ordered = np.sort(values, axis=None)
    cut = int(trim * ordered.size)
    return float(ordered[cut : ordered.size - cut].mean())


def ratio_bootstrap(
    numerators: Sequence[float],
    denominators: Sequence[float],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a ratio of sums over paired values (Davison & Hinkley 1997, sec. 2.4).

    Draws whose denominators sum to 0 are left out.

    Args:
        numerators, denominators: Paired, e.g. two gains on each of several targets.
        level, draws, seed: As in `mean_bootstrap`.

    Raises:
        ValueError: Lengths differ, there are no pairs, a value is not finite, or all sums are 0.
    """
    _same_length(numerators, denominators)
    above, below = _finite("numerators", numerators), _finite("denominators", denominators)
    picks = np.random.default_rng(seed).integers(above.size, size=(draws, above.size))
    sums = below[picks].sum(1)
    require(bool(np.any(sums)), "denominators", list(denominators)[:3], "not all 0")
    ratios = above[picks].sum(1)[sums != 0] / sums[sums != 0]
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Exact two-sided p-value for paired right/wrong answers (McNemar 1947, Psychometrika 12:153).

    Under no difference, wins among the discordant items are Binomial(discordant, 1/2); the
    smaller tail is doubled. Without discordant items it is 1.

    Args:
        before, after: Whether each item was right, for the same items in the same order.

    Raises:
        ValueError: Lengths differ, there are no items, or an entry is neither 0 nor 1.
    """
    _same_length(before, after)
    first, second = _finite("before", before), _finite("after", after)
    for name, flags in (("before", first), ("after", second)):
        odd = flags[(flags != 0) & (flags != 1)]
        require(odd.size == 0, name, odd.tolist()[:3], "true or false")
    wins, losses = int((second > first).sum()), int((second < first).sum())
    total = wins + losses
    ways = tail = 1
    for k in range(min(wins, losses)):
        ways = ways * (total - k) // (k + 1)  # comb(total, k + 1), in whole numbers
        tail += ways
    return min(1.0, 2 * tail / (1 << total))


def excess(
    successes: int, n: int, other_successes: int, other_n: int, level: float = 0.95
) -> Difference:
    """How far a proportion exceeds that of other items.

    The p-value is that of the pooled z test (Fleiss, Levin & Paik 2003, Statistical Methods for Rates
    and Proportions, sec. 3.2, without correction for continuity), the interval
    `difference_interval`.

    Args:
        successes, n: Of the one.
        other_successes, other_n: Of the other.
        level: Coverage of the interval.

    Raises:
        ValueError: There are no items, or a number is out of range.
    """
    require(min(n, other_n) >= 1, "n", (n, other_n), "at least 1 each")
    one, other = wilson(successes, n, level), wilson(other_successes, other_n, level)
    first, second = successes / n, other_successes / other_n
    value, pooled = first - second, (successes + other_successes) / (n + other_n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    p = 0.5 * math.erfc(value / error / math.sqrt(2)) if error else 1.0
    return Difference(value, difference_interval(second, other, first, one), p)


def smallest_detectable_gain(
    n: int, discordance: float = 0.2, power: float = 0.8, level: float = 0.05
) -> float:
    """The true gain that a two-sided McNemar test on `n` paired items finds with `power`.

    Connor 1987 (Biometrics 43:207), normal approximation, solved for the gain d with the variance
    under no difference in both terms: d = (z_level/2 + z_power) * sqrt(discordance / n). The
    term -d**2 that is dropped would lower d by about 1 % at n=100. The result is capped at 1; one
    above `discordance` says that no gain at that discordance could be seen.

    Args:
        n: Number of items.
        discordance: Share of items whose outcome differs, either way.
        power: Chance of finding it.
        level: Size of the test.

    Raises:
        ValueError: `n` is below 1, or another argument outside (0, 1); discordance may be 1.
    """
    require(n >= 1, "n", n, "at least 1")
    require(0 < discordance <= 1, "discordance", discordance, "in (0, 1]")
    require(0 < power < 1, "power", power, "in (0, 1)")
    require(0 < level < 1, "level", level, "in (0, 1)")
    z = _two_sided_z(1 - level) + NormalDist().inv_cdf(power)
    return min(1.0, max(0.0, z) * math.sqrt(discordance / n))


def smallest_detectable_mean(
    differences: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    power: float = 0.8,
    level: float = 0.05,
) -> float | None:
    """The true mean of paired differences that as many of them, spread alike, show with `power`.

    (z_level/2 + z_power) times the standard error of the mean (Chow, Shao & Wang 2008, sec. 3.1,
    normal approximation, which is too small by a fifth at five pairs). With `clusters`, that of the
    clusters' means. None for fewer than two, which have no spread.

    Args:
        differences: One per pair.
        clusters: The cluster of each, of the same length; None makes each its own.
        power: Chance of finding it.
        level: Size of the two-sided test.

    Raises:
        ValueError: As in `mean_bootstrap`, or `power` or `level` is outside (0, 1).
    """
    require(0 < power < 1, "power", power, "in (0, 1)")
    sums, sizes = _per_cluster(_finite("differences", differences), clusters)
    if sums.size < 2:
        return None
    error = float(np.std(sums / sizes, ddof=1)) / math.sqrt(sums.size)
    return max(0.0, _two_sided_z(1 - level) + NormalDist().inv_cdf(power)) * error


def difference_interval(
    before: float, before_interval: Interval, after: float, after_interval: Interval
) -> Interval:
    """Interval of `after - before` for two proportions (Newcombe 1998, Stat Med 17:873, method 10).

    It takes their items for different ones: on the same items it is wider than a paired interval.

    Args:
        before, after: The proportions.
        before_interval, after_interval: Their intervals, by `wilson`.
    """
    gain = after - before
    down = math.hypot(after - after_interval.low, before_interval.high - before)
    up = math.hypot(after_interval.high - after, before - before_interval.low)
    return Interval(gain - down, gain + up)


def sign_bootstrap(
    differences: Sequence[float],
    *,
    clusters: Sequence[Hashable] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """Two-sided p-value of a mean of 0: twice the rarer sign among bootstrapped means.

    (Efron & Tibshirani 1993, sec. 15.4, one added to both counts.) It is never below 2 / 2**m for m
    clusters, the least that the signs of m numbers can say: the bootstrap of a few is overconfident.

    Args:
        differences: One per pair.
        clusters, draws, seed: As in `mean_bootstrap`.

    Raises:
        ValueError: As in `mean_bootstrap`.
    """
    require(draws >= 1, "draws", draws, "at least 1")
    sums, sizes = _per_cluster(_finite("differences", differences), clusters)
    means = _resampled_means(sums, sizes, draws, np.random.default_rng(seed))
    rarer = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, max(2 * (rarer + 1) / (draws + 1), 2.0 ** (1 - sums.size)))


def holm(chances: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which of several p-values stand after Holm's correction (1979, Scand J Statist 6:65).

    Args:
        chances: The p-values.
        level: Chance of one false rejection or more.

    Raises:
        ValueError: `level` is outside (0, 1), or a p-value outside [0, 1].
    """
    require(0 < level < 1, "level", level, "in (0, 1)")
    odd = [chance for chance in chances if not 0 <= chance <= 1]
    require(not odd, "chances", odd[:3], "in [0, 1]")
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    stands = [False] * len(chances)
    for rank, place in enumerate(order):
        if chances[place] > level / (len(chances) - rank):
            break
        stands[place] = True
    return stands


def expected_best_of(n: int, k: int, p: float = 0.5) -> float:
    """How far the best of `k` equally good candidates seems above their true score `p`.

    The mean of the largest of k standard normals (David & Nagaraja 2003, Order Statistics,
    sec. 3.1) times the standard error sqrt(p (1 - p) / n); never above 1 - p.

    Args:
        n: Items that each candidate is scored on, independently.
        k: Number of candidates.
        p: Their common true score.

    Raises:
        ValueError: `n` or `k` is below 1, or `p` outside [0, 1].
    """
    require(n >= 1, "n", n, "at least 1")
    require(k >= 1, "k", k, "at least 1")
    require(0 <= p <= 1, "p", p, "in [0, 1]")
    return min(1 - p, _largest_of_normals(k) * math.sqrt(p * (1 - p) / n))


def _largest_of_normals(k: int) -> float:
    """E max = integral over x > 0 of 1 - cdf(x)**k - cdf(-x)**k, by the trapezoid rule."""
    x = np.linspace(0.0, 12.0, 2401)
    upper = np.array([math.erfc(each / math.sqrt(2)) / 2 for each in x])
    integrand = -np.expm1(k * np.log1p(-upper)) - upper**k
    return float(np.trapezoid(integrand, x))


def _two_sided_z(level: float) -> float:
    require(0 < level < 1, "level", level, "in (0, 1)")
    return NormalDist().inv_cdf((1 + level) / 2)


def _finite(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    """The values as an array of shape (n,), n > 0."""
    numbers = np.asarray(values, dtype=np.float64)
    require(numbers.ndim == 1 and numbers.size > 0, name, values, "a non-empty flat sequence")
    odd = numbers[~np.isfinite(numbers)]
    require(odd.size == 0, name, odd.tolist()[:3], "finite")
    return numbers


def _same_length(before: Sequence[float], after: Sequence[float]) -> None:
    lengths = (len(before), len(after))
    require(lengths[0] == lengths[1], "lengths of before and after", lengths, "equal")


def _per_cluster(
    values: NDArray[np.float64], clusters: Sequence[Hashable] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and size of each cluster, in order of first appearance, both of shape (n_clusters,)."""
    if clusters is None:
        return values, np.ones_like(values)
    lengths = (len(values), len(clusters))
    require(lengths[0] == lengths[1], "lengths of values and clusters", lengths, "equal")
    index = {label: i for i, label in enumerate(dict.fromkeys(clusters))}
    places = np.array([index[label] for label in clusters])
    sums, sizes = np.bincount(places, weights=values), np.bincount(places)
    return sums.astype(np.float64), sizes.astype(np.float64)


def _resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of resampled clusters, of shape (draws,)."""
    m = len(sums)
    means = np.empty(draws)
    block = max(1, _BLOCK // m)
    for start in range(0, draws, block):
        stop = min(draws, start + block)
        picks = rng.integers(m, size=(stop - start, m))
        means[start:stop] = sums[picks].sum(axis=1) / sizes[picks].sum(axis=1)
    return means
