"""Draft, debug, repair, improve: the iterative agent of arXiv 2605.30407."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dataenv.policies.programs import TOO_FEW, Programmer, listed

from dataenv.evaluation import EvalReport
from dataenv.policy import Briefing, budget_left

ITERATIONS = 30
"""Programs at most."""
FIXES = 3
"""Debugs or repairs in a row; then comes a new draft."""
ROWS_SHOWN = 6
SCORES_SHOWN = 12


class Iterative(Programmer):
    """Writes programs and makes them better.

    A program that crashed is debugged, with its traceback in the prompt; one that handed in too few
    valid rows is repaired; after `FIXES` of these in a row comes a new draft. Otherwise the best
    submission so far by public score is improved, from its plan, program, some rows, score and the
    public items that the student got wrong. A round that is not better changes nothing but the list of
    scores.
    """

    name = "iterative"
    remembered = (
        *("iteration", "fixes", "move", "draft", "failures", "last", "trouble", "best", "scores"),
    )

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        super().begin(briefing)
        self.iteration = self.fixes = 0
        self.move, self.last = "draft", ""
        self.trouble: dict[str, str] = {}
        self.best: dict[str, Any] = {}
        self.scores: list[str] = []

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """The next operation: a program, its training, a look at the rows of the best, or the end."""
        action = self._after(report) or self._write(report)
        self.last = action["op"]
        return action

    # -- what came of the last operation --------------------------------------------------------

    def _after(self, report: EvalReport) -> dict[str, Any] | None:
        """What follows at once; None if a program is next."""
        if self.last == "program":
            failure, message = self.outcome(report)
            if not failure:
                self.fixes = 0
                return {"op": "train"}
            self._mend(failure, message, dict(report.effect))
        elif self.last == "train":
            if report.error:  # what it handed in cannot be trained on
                self._mend(TOO_FEW, report.error, {})
            elif self._is_best(report):
                return {"op": "inspect", "what": "rows", "n": ROWS_SHOWN}
        elif self.last == "inspect":
            self.best["rows"] = [list(each) for each in dict(report.effect).get("shown", ())]
        left = budget_left(report)
        over = self.iteration == ITERATIONS or left["calls"] < 1 or left["trainings"] < 1
        return {"op": "submit"} if over or left["steps"] < 3 else None

    def _mend(self, failure: str, message: str, effect: Mapping[str, Any]) -> None:
        """Decides what to do about a failure."""
        if self.fixes == FIXES:
            self.fixes, self.move, self.trouble = 0, "draft", {}
            return
        self.fixes += 1
        self.move = "repair" if failure == TOO_FEW else "debug"
        counts = ", ".join(f"{name} {effect[name]}" for name in ("valid", "rejected") if effect)
        self.trouble = {
            "failure": failure,
            "message": message,
            "printed": str(effect.get("printed", "")) or "nothing",
            "counts": counts,
        }

    def _is_best(self, report: EvalReport) -> bool:
        """Notes a score, and keeps the submission if it is the best so far."""
        self.move = "improve"
        rows = dict(report.set)["rows"]
        score = f"iteration {self.iteration}: public {report.score:.3f} with {rows} rows"
        better = not self.best or report.score > self.best["score"]
        note = "the best so far" if better else "not better than the best"
        self.scores = [*self.scores, f"{score}, {note}"][-SCORES_SHOWN:]
        if better:
            shown = report.to_dict()
            self.best = {
                "score": report.score,
                "plan": self.draft["plan"],
                "source": self.draft["source"],
                "topics": [f"{s.name}: {s.score:.2f} of {s.n} questions" for s in report.slices],
                "bad_cases": [
                    f"({case['topic']}) {case['prompt']} -> wanted {case['gold']}; the student: "
                    f"{case['answer']}"
                    for case in shown["bad_cases"]
                ],
                "rows": [],
            }
        return better

    # -- the next program -----------------------------------------------------------------------

    def _write(self, report: EvalReport) -> dict[str, Any]:
        self.iteration += 1
        more = [
            f"iteration {self.iteration} of {ITERATIONS}",
            f"the student without training: public {report.base_score:.3f}",
        ]
        gaps = {**self.task_gaps(), "status": self.status(report, more)}
        return self.write(self.move, report, {**gaps, **self._own_gaps()})

    def _own_gaps(self) -> dict[str, str]:
        """What the prompt of the move tells beside the task and the budgets."""
        if self.move == "draft":
            return self.example_gaps(self.iteration)
        if self.move == "improve":
            best = self.best
            rows = [json.dumps({"asked": row[1], "answer": row[2]}) for row in best["rows"]]
            return {
                "plan": best["plan"],
                "source": best["source"],
                "rows": listed(rows),
                "topics": "\n".join(best["topics"]),
                "bad_cases": listed(best["bad_cases"]),
                "scores": "\n".join(self.scores),
            }
        told = {"plan": self.draft["plan"], "source": self.draft["source"], **self.trouble}
        if self.move == "debug":
            del told["counts"]
            return told
        del told["failure"]
        return {**told, "examples": self.example_gaps(self.iteration)["examples"]}
