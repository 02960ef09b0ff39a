"""What the scripts of the experiments make of their records."""

import compare_controllers
import landscape
import learning_curves
import pytest


def controller(policy, target, private, task="science", base=0.1):
    return {
        "task": task,
        "policy": policy,
        "target": f"{task}-{target}",
        "base": {"private": base},
        "final": {"private": private},
        "budget": {"calls": {"used": 200}},
    }


def test_headroom_is_the_share_of_the_privileged_gain_over_shared_targets():
    records = [
        controller("mirror", 1, 0.4),
        controller("privileged", 1, 0.6),
        controller("mirror", 2, 0.3),
        controller("privileged", 2, 0.6),
        controller("mirror", 3, 0.9),  # nothing to compare it with
    ]
    (line,) = compare_controllers.headroom(records)
    assert line.startswith("science: (mirror - base) / (privileged - base) = 0.50 ")
    assert line.endswith("2 targets")


def test_differences_to_mirror_are_paired_by_target():
    records = [controller("mirror", n, 0.3 + n / 10) for n in range(4)]
    records += [controller("feedback", n, 0.35 + n / 10) for n in range(4)]
    row = next(r for r in compare_controllers.table(records).splitlines() if "feedback" in r)
    assert "+5.0 [+5.0, +5.0]" in row


def test_contrasts_are_paired_over_all_domains_and_by_domain():
    records = [
        controller(policy, n, level + n / 10, task)
        for task, gain in (("science", 0.02), ("code", 0.06))
        for policy, level in (("mirror", 0.3), ("feedback", 0.3 + gain))
        for n in range(4)
    ]
    records.append(controller("feedback", 9, 0.9))  # mirror has not played there
    (row,) = compare_controllers.contrasts(records)[2:]
    assert row.startswith("| feedback, mirror | +4.0 [")
    assert row.endswith("| +2.0 [+2.0, +2.0] | +6.0 [+6.0, +6.0] | - | 8 |")


@pytest.mark.parametrize(
    ("curve", "kind"),
    [
        ((0.9, 0.9, 0.9, 0.9, 0.9), "known"),
        ((0.0, 0.5, 0.8, 0.9, 1.0), "early"),
        ((0.0, 0.0, 0.1, 0.2, 0.9), "hundreds"),
        ((0.0, 0.0, 0.0, 0.1, 0.1), "never"),
        ((0.0, 0.1, 0.4, 0.8, 0.9), "between"),
        ((0.0, 0.1, 0.4, 0.5), "between"),  # there are not so many different rows
    ],
)
def test_the_kind_of_a_skill_is_read_from_its_curve(curve, kind):
    sizes = ("0", "4", "16", "64", "256")
    assert learning_curves.kind_of(dict(zip(sizes, curve, strict=False))) == kind


def test_the_ways_of_learning_that_a_domain_shows():
    def record(kind, skill, **scores):
        return {"domain": "code", "kind": kind, "skill": skill, "seed": 0, "scores": scores}

    records = [
        record("curve", "quick", **{"0": 0.0, "16": 0.9, "64": 1.0, "256": 1.0}),
        record("composition", "both", base=0.0, few=0.1, parts=0.1, few_and_parts=0.6),
        record("composition", "few will do", base=0.0, few=0.6, parts=0.1, few_and_parts=0.7),
        record("composition", "for free", base=0.0, few=0.1, parts=0.5, few_and_parts=0.5),
        record(
            "scarce interference",
            "from one",
            other="from zero",
            alone=0.9,
            beside_other=0.5,
            beside_stranger=0.8,
        ),
    ]
    found = learning_curves.presence(records, "code")
    assert found == {
        "early": ["quick"],
        "hundreds": [],
        "never": [],
        "only after others": ["both"],
        "come with their parts": ["for free"],
        "spoilt by another": ["from one"],
    }
    row = next(r for r in learning_curves.presence_table(records) if r.startswith("| code"))
    assert row == "| code | 1: quick | 0 | 0 | 1: both | 1: for free | 1: from one |"


def test_sets_are_told_by_what_they_lack_to_clean_ones():
    records = [
        {
            **{
                "domain": "code",
                "number": n,
                "student": "nano-a",
                "rows": {"clean": 96, "poor": 24},
            },
            "scores": {"base": [0.1, 0.1], "clean": [0.6, 0.7], "poor": [0.5, 0.4]},
        }
        for n in range(3)
    ]
    base, clean, poor, *_ = landscape.table(records).splitlines()[2:]
    assert clean == "| clean | 96 | - | - | 0.600 | 0.700 | - | - |"
    assert poor.endswith("| 24 | - | - | -10.0 [-10.0, -10.0] | -30.0 [-30.0, -30.0] | - | - |")
    assert base.startswith("| base | 0 |")


def test_two_bases_agree_on_the_order_of_sets_that_can_be_told_apart():
    def record(student, number, **scores):
        both = {name: [score, 0.0] for name, score in scores.items()}
        return {"domain": "code", "number": number, "student": student, "scores": both}

    records = [
        record("nano-a", 0, base=0.0, clean=0.6, noisy=0.4, narrow=0.58),
        record("nano-b", 0, base=0.5, clean=0.5, noisy=0.3, narrow=0.2),
        record("nano-a", 1, clean=0.6, noisy=0.4),  # not played on the other
    ]
    # clean and narrow are too near on the first to count; of the others one pair turns
    said = landscape.compare(records, "nano-a", "nano-b")
    assert said.startswith("nano-a and nano-b: 1 of 2 pairs in the same order")
    assert "no target" in landscape.compare(records, "nano-a", "nano-c")
