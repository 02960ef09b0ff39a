import math
import time

import numpy as np
import pytest

from dataenv.statistics import (
    Interval,
    crossed_bootstrap,
    difference_interval,
    excess,
    expected_best_of,
    holm,
    mcnemar,
    mean_bootstrap,
    paired_bootstrap,
    ratio_bootstrap,
    sign_bootstrap,
    smallest_detectable_gain,
    smallest_detectable_mean,
    trimmed_mean,
    wilson,
)


def outcomes(wins: int, losses: int, ties: int = 5) -> tuple[list[bool], list[bool]]:
    before = [False] * wins + [True] * losses + [True] * ties
    return before, [True] * wins + [False] * losses + [True] * ties


def test_wilson_matches_a_published_interval():
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, method 3.
    interval = wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_knows_nothing_without_items_and_stays_in_range():
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert wilson(0, 10).low == 0.0 < wilson(0, 10).high < 1.0 == wilson(10, 10).high


@pytest.mark.parametrize("successes, n, level", [(5, 4, 0.95), (-1, 4, 0.95), (1, 4, 1.0)])
def test_wilson_refuses_and_shows_the_value(successes, n, level):
    with pytest.raises(ValueError, match="got"):
        wilson(successes, n, level)


def test_mean_bootstrap_agrees_with_the_normal_interval():
    values = np.random.default_rng(1).normal(size=400)
    half = 1.96 * values.std() / 20
    interval = mean_bootstrap(values, draws=4000)
    expected = (values.mean() - half, values.mean() + half)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.01)


def test_the_interquartile_mean_is_deaf_to_a_few_wild_targets():
    rng = np.random.default_rng(3)
    calm = rng.normal(2.0, 1.0, (5, 40))
    wild = calm.copy()
    wild[:, :4] += 100.0
    plain, trimmed = crossed_bootstrap(wild), crossed_bootstrap(wild, trim=0.25)
    assert plain.value > 11 and abs(trimmed.value - crossed_bootstrap(calm, trim=0.25).value) < 0.4
    assert trimmed.interval.low < trimmed.value < trimmed.interval.high < 4
    assert trimmed.value == pytest.approx(trimmed_mean(wild, 0.25))
    assert trimmed_mean(np.array([9.0, 1.0, 2.0, -50.0]), 0.25) == 1.5
    with pytest.raises(ValueError, match="trim"):
        crossed_bootstrap(calm, trim=0.5)


def test_crossed_bootstrap_is_wider_where_both_kinds_of_luck_count():
    rng = np.random.default_rng(0)
    items, seeds = rng.normal(0.3, 1.0, 200), rng.normal(0, 0.5, (4, 1))
    alike = crossed_bootstrap(np.tile(items, (4, 1)))
    one_way = mean_bootstrap(items)
    assert alike.value == pytest.approx(items.mean()) and alike.p < 0.01
    assert alike.interval.low == pytest.approx(one_way.low, abs=0.03)
    assert alike.interval.high == pytest.approx(one_way.high, abs=0.03)
    crossed = crossed_bootstrap(items + seeds)
    width = crossed.interval.high - crossed.interval.low
    assert width > 1.5 * (one_way.high - one_way.low) and crossed.p > alike.p
    assert crossed_bootstrap(np.zeros((3, 5))).p == 1.0
    with pytest.raises(ValueError, match="a table"):
        crossed_bootstrap(np.zeros(5))


def test_bootstrap_depends_on_the_seed_alone():
    before, after = outcomes(20, 10)
    assert paired_bootstrap(before, after) == paired_bootstrap(before, after)
    assert paired_bootstrap(before, after) != paired_bootstrap(before, after, seed=1)


def test_paired_bootstrap_finds_a_constant_gain_exactly():
    assert paired_bootstrap([0.0, 1.0, 2.0], [0.5, 1.5, 2.5]) == Interval(0.5, 0.5)


def test_clusters_of_one_change_nothing_and_copies_add_no_certainty():
    values = list(np.random.default_rng(2).normal(size=50))
    plain = mean_bootstrap(values)
    assert mean_bootstrap(values, clusters=range(50)) == plain
    copied = mean_bootstrap(values * 9, clusters=list(range(50)) * 9)
    assert (copied.low, copied.high) == pytest.approx((plain.low, plain.high))


def test_bootstrap_of_a_large_benchmark_is_quick():
    start = time.perf_counter()
    mean_bootstrap(np.zeros(5000))
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("before, after", [([], []), ([1.0], [1.0, 0.0]), ([1.0], [float("nan")])])
def test_paired_bootstrap_refuses_what_it_cannot_pair(before, after):
    with pytest.raises(ValueError, match="got"):
        paired_bootstrap(before, after)


def test_clusters_must_be_as_many_as_values():
    with pytest.raises(ValueError, match=r"got \(2, 1\)"):
        mean_bootstrap([0.0, 1.0], clusters=["a"])


@pytest.mark.parametrize(
    "wins, losses, p", [(30, 15, 0.036), (60, 40, 0.057), (0, 0, 1), (5, 5, 1)]
)
def test_mcnemar_reproduces_known_values_both_ways(wins, losses, p):
    assert mcnemar(*outcomes(wins, losses)) == pytest.approx(p, abs=5e-4)
    assert mcnemar(*outcomes(losses, wins)) == mcnemar(*outcomes(wins, losses))


def test_mcnemar_is_exact_far_out():
    assert mcnemar(*outcomes(60, 0)) == 2.0**-59
    assert mcnemar(*outcomes(2000, 0)) == pytest.approx(0.0)


@pytest.mark.parametrize("before, after", [([], []), ([True], [True, False]), ([0.5], [1])])
def test_mcnemar_refuses_what_is_not_paired_right_or_wrong(before, after):
    with pytest.raises(ValueError, match="got"):
        mcnemar(before, after)


@pytest.mark.parametrize(
    "n, points", [(100, 12.5), (200, 8.9), (500, 5.6), (1000, 4.0), (2000, 2.8)]
)
def test_smallest_detectable_gain_reproduces_the_table(n, points):
    assert round(100 * smallest_detectable_gain(n), 1) == points


def test_smallest_detectable_gain_never_exceeds_one():
    assert smallest_detectable_gain(1, discordance=1.0) == 1.0


@pytest.mark.parametrize(
    "n, k, points",
    [
        (100, 10, 7.5),
        (100, 50, 11.1),
        (200, 10, 5.3),
        (200, 50, 7.8),
        (500, 10, 3.4),
        (500, 50, 4.9),
        (1000, 10, 2.4),
        (1000, 50, 3.5),
    ],
)
def test_expected_best_of_reproduces_the_table_at_a_base_of_40_percent(n, k, points):
    assert 100 * expected_best_of(n, k, p=0.4) == pytest.approx(points, abs=0.1)


def test_one_candidate_is_not_selected_and_two_have_a_closed_form():
    assert expected_best_of(100, 1) == pytest.approx(0.0, abs=1e-12)
    assert expected_best_of(100, 2) == pytest.approx(0.05 / np.sqrt(np.pi), rel=1e-5)


@pytest.mark.parametrize("n, k, p", [(0, 1, 0.5), (1, 0, 0.5), (1, 1, 1.5)])
def test_expected_best_of_refuses_and_shows_the_value(n, k, p):
    with pytest.raises(ValueError, match="got"):
        expected_best_of(n, k, p)


def test_a_ratio_of_sums_is_bootstrapped_over_pairs():
    found = ratio_bootstrap([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert (found.low, found.high) == (0.5, 0.5)
    rng = np.random.default_rng(0)
    below = rng.uniform(1, 3, 40)
    spread = ratio_bootstrap(0.8 * below + rng.normal(0, 0.3, 40), below)
    assert spread.low < 0.8 < spread.high and spread.high - spread.low < 0.3
    with pytest.raises(ValueError, match="denominators"):
        ratio_bootstrap([1.0], [0.0])


def test_an_excess_matches_a_published_interval_and_the_z_test():
    # Newcombe 1998, Statistics in Medicine 17:873, table II: 56/70 - 48/80, method 10.
    found = excess(56, 70, 48, 80)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    # pooled 104/150: z = 0.2 / sqrt(104/150 * 46/150 * (1/70 + 1/80)) = 2.650
    assert found.value == pytest.approx(0.2) and found.p == pytest.approx(0.0040, abs=1e-4)
    assert excess(48, 80, 56, 70).p == pytest.approx(1 - found.p)


def test_an_excess_of_equals_is_none_and_without_items_is_refused():
    assert excess(5, 5, 9, 9).p == 1.0 and excess(3, 6, 5, 10).p == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"got \(0, 3\)"):
        excess(0, 0, 1, 3)


def test_holm_gives_the_textbook_decisions():
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([]) == [] and holm([0.05]) == [True]


def test_holm_refuses_what_is_no_chance():
    with pytest.raises(ValueError, match=r"got \[1.5\]"):
        holm([0.1, 1.5])


def test_sign_bootstrap_keeps_its_level_and_finds_what_is_there():
    draw = np.random.default_rng(0)
    none = [sign_bootstrap(draw.normal(0, 1, 15).tolist(), draws=999) for _ in range(300)]
    some = [sign_bootstrap(draw.normal(1, 1, 15).tolist(), draws=999) for _ in range(300)]
    assert np.mean([p < 0.05 for p in none]) < 0.11  # percentile bootstraps of 15 are a bit bold
    assert np.mean([p < 0.05 for p in some]) > 0.9


def test_sign_bootstrap_of_a_few_says_no_more_than_their_signs():
    assert sign_bootstrap([5.0, 6.0, 7.0]) == 0.25
    assert sign_bootstrap([5.0] * 6, clusters="aaabbb") == 0.5
    assert sign_bootstrap([0.0, 0.0]) == 1.0


def test_smallest_detectable_mean_is_found_as_often_as_it_says():
    draw, n = np.random.default_rng(1), 30
    gain = smallest_detectable_mean(draw.normal(0, 1, 4000).tolist()) * math.sqrt(4000 / n)
    samples = draw.normal(gain, 1, (2000, n))
    found = np.abs(samples.mean(1)) / (samples.std(1, ddof=1) / math.sqrt(n)) > 1.96
    assert abs(found.mean() - 0.8) < 0.04
    assert smallest_detectable_mean([3.0]) is None


def test_difference_interval_matches_a_published_one():
    # Newcombe 1998, Statistics in Medicine 17:873, table II: 56/70 - 48/80, method 10.
    found = difference_interval(48 / 80, wilson(48, 80), 56 / 70, wilson(56, 70))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
