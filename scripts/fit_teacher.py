"""Fits the procedural teacher's error model to published samples of a language model.

    python scripts/fit_teacher.py samples.json --out records/teacher_fit.json

The file has, as CRUXEval's evaluation results do, `raw_generations` (ten answers a problem) and
`raw_scored_generations` (whether each is right). The model: a problem's chance of a right answer is
drawn from a Beta distribution of mean `accuracy` and size `dispersion`; a wrong answer is the
problem's own misconception with chance `stable`, else one that nobody gives twice.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np

SIMULATED = 2000


def statistics(samples: list[list[tuple[str, bool]]]) -> dict[str, float]:
    """Agreement statistics of (answer, right) pairs by problem.

    accuracy: mean; majority: of the commonest answer; wrong_agreement: how often two wrong answers
    to a problem are identical; never_right: problems without a right answer; right_agreement: how
    often a second answer is right when the first is.
    """
    same = wrong_pairs = right_pairs = first_right = 0
    majority = []
    for answers in samples:
        (common, _), *_ = Counter(text for text, _ in answers).most_common(1)
        majority.append(next(right for text, right in answers if text == common))
        for (one, one_right), (two, two_right) in combinations(answers, 2):
            wrong_pairs += not one_right and not two_right
            same += not one_right and not two_right and one == two
            first_right += one_right + two_right
            right_pairs += 2 * (one_right and two_right)
    return {
        "accuracy": float(np.mean([right for answers in samples for _, right in answers])),
        "majority": float(np.mean(majority)),
        "wrong_agreement": same / wrong_pairs,
        "never_right": float(np.mean([not any(r for _, r in a) for a in samples])),
        "right_agreement": right_pairs / first_right,
    }


def simulate(accuracy: float, dispersion: float, stable: float, seed: int = 0):
    """Ten answers each to problems of the model."""
    rng = np.random.default_rng(seed)
    chances = rng.beta(accuracy * dispersion, (1 - accuracy) * dispersion, SIMULATED)
    samples = []
    for chance in chances:
        answers = []
        for number in range(10):
            if rng.random() < chance:
                answers.append(("right", True))
            else:
                answers.append(("usual" if rng.random() < stable else f"slip {number}", False))
        samples.append(answers)
    return samples


def published(path: Path) -> list[list[tuple[str, bool]]]:
    """The samples of a file; answers are compared without spaces at their ends."""
    data = json.loads(path.read_text())
    texts = data["raw_generations"]
    scored = data["raw_scored_generations"]
    return [
        [(text.strip(), right) for text, right in zip(texts[name], scored[name], strict=True)]
        for name in sorted(texts)
    ]


def fit(target: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The parameters whose statistics come closest, and those statistics."""
    best: tuple[float, dict, dict] = (np.inf, {}, {})
    for dispersion in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7):
        for stable in np.arange(0.5, 1.0, 0.02):
            found = statistics(simulate(target["accuracy"], dispersion, stable))
            names = ("wrong_agreement", "never_right", "right_agreement")
            distance = sum((found[name] - target[name]) ** 2 for name in names)
            if distance < best[0]:
                values = {
                    "accuracy": target["accuracy"],
                    "dispersion": dispersion,
                    "stable": round(float(stable), 2),
                }
                best = (distance, values, found)
    return best[1], best[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    target = statistics(published(args.samples))
    parameters, found = fit(target)
    record = {"parameters": parameters, "published": target, "model": found}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
