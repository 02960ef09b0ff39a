"""A controller that is a language model: it calls operations as tools, one a turn.

A question is made anew every turn from the task, the newest report, what was done last and the model's
own notes, and takes at most `AgentConfig.context_chars` characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dataenv.agent import Agent, Reply, shortened
from dataenv.config import AgentConfig, did_you_mean
from dataenv.errors import ConfigError
from dataenv.evaluation import EvalReport
from dataenv.operations import tool_schemas
from dataenv.policy import Briefing
from dataenv.teachers.parsing import BadReply, parse_object

TRIES = 4
"""Questions of one turn at most; after that the agent trains if it can, else submits."""
NOTES_CHARS = 2_000
DONE_SHOWN, DONE_CHARS = 16, 240
"""Operations that are listed, and characters of each."""
SHOWN_CHARS = 400
"""Of one row or question that the last operation has shown."""
CASES_SHOWN = 4
"""Wrong answers in the text of a report."""
LONGEST_TEXT = 400
"""Of a constrained answer's arguments: what is longer makes grammars slow."""
ASKS_TEACHER = frozenset({"generate", "label", "expand", "rewrite", "verify", "program"})
NEEDS_ROWS = frozenset(
    {
        *("expand", "rewrite", "verify", "filter", "dedup", "decontaminate", "select"),
        *("rebalance", "order", "drop"),
    }
)
FORMS = ("tools", "schema", "text")
"""How an operation may be named, the most reliable first."""
NOTES = {
    "type": "string",
    "maxLength": NOTES_CHARS,
    "description": "What you want to remember; replaces your notes.",
}


class ToolAgent(Agent):
    """Asks the model for the next operation, every turn.

    What names no operation comes back to the model as text and costs nothing; what names one with wrong
    arguments goes to the environment, which reports it, charges it, and counts a step.

    Raises:
        ConfigError: See `Agent`; or it is to offer an operation that there is not.
    """

    name = "tool_agent"
    remembered = ("form", "notes", "done", "scores", "last", "trained")

    def __init__(self, config: AgentConfig | None = None) -> None:
        super().__init__(config)
        known = [each["function"]["name"] for each in tool_schemas()]
        for name in self.config.operations:
            if name not in known:
                raise ConfigError(
                    f"agent.operations has no operation {name!r}{did_you_mean(name, known)}"
                )

    def begin(self, briefing: Briefing) -> None:
        """Forgets everything."""
        super().begin(briefing)
        self.form = FORMS[0] if self.config.answers == "auto" else self.config.answers
        self.notes, self.trained = "", ""
        self.done: list[str] = []
        self.scores: list[str] = []
        self.last: dict[str, Any] | None = None

    def act(self, observation: Mapping[str, Any], report: EvalReport) -> dict[str, Any]:
        """What the model chooses, or what is left to do when there is nothing to choose."""
        self._note(report)
        offered = self._offered(report)
        action = self._ending(report, offered) or self._choose(report, offered)
        self.last = action
        return action

    # -- what is known --------------------------------------------------------------------------

    def _note(self, report: EvalReport) -> None:
        """Remembers what came of the last operation."""
        if self.last is None:
            return
        effect, rows = dict(report.effect), dict(report.set)["rows"]
        came = f"error: {report.error}" if report.error else _came_of(effect)
        line = f"{json.dumps(self.last)} -> {rows} rows; {came}"
        self.done = [*self.done, shortened(line, DONE_CHARS)][-DONE_SHOWN:]
        if self.last["op"] == "train" and not report.error:
            self.trained = dict(report.set)["hash"]
            self.scores.append(f"{report.evaluation}: public {report.score:.3f}, {rows} rows")

    def _offered(self, report: EvalReport) -> list[str]:
        """Operations that can be of use now."""
        left, held = _left(report), dict(report.set)
        task, limits = self.briefing.task, self.briefing.limits
        useless = {
            *(ASKS_TEACHER if left["calls"] < 1 else ()),
            *(NEEDS_ROWS if not held["rows"] else ()),
            *(() if task.pool else ("draw",)),
            *(() if task.seeds else ("label",)),
            *(() if report.evaluation else ("revert", "submit")),
            *(() if left["trainings"] >= 1 and held["rows"] >= limits["min_rows"] else ("train",)),
            *(("train",) if held["hash"] == self.trained else ()),
        }
        wanted = self.config.operations
        names = [each["function"]["name"] for each in tool_schemas()]
        chosen = [name for name in names if not wanted or name in (*wanted, "train", "submit")]
        return [name for name in chosen if name not in useless]

    def _ending(self, report: EvalReport, offered: list[str]) -> dict[str, Any] | None:
        """What there is to do without asking, when a budget is used up."""
        left = _left(report)
        if left["steps"] == 2 and "train" in offered:
            return {"op": "train"}
        if left["steps"] <= 1 or left["trainings"] < 1 or not offered:
            return {"op": "submit"}
        return None

    # -- asking ---------------------------------------------------------------------------------

    def _choose(self, report: EvalReport, offered: list[str]) -> dict[str, Any]:
        complaint = ""
        for _ in range(TRIES):
            try:
                action = _action(self._ask(report, offered, complaint), offered)
            except BadReply as error:
                complaint = f"\n# Your last answer could not be used\n{error}\n"
                continue
            notes = action.pop("notes", None)
            self.notes = shortened(str(notes), NOTES_CHARS) if notes else self.notes
            return action
        return {"op": "train" if "train" in offered else "submit"}

    def _ask(self, report: EvalReport, offered: list[str], complaint: str) -> Reply:
        """The reply to a question in the first form that the server takes."""
        schemas = [each for each in tool_schemas() if each["function"]["name"] in offered]
        while True:
            form = self._form(schemas, report)
            room = self.config.context_chars - len(json.dumps(form.get("tools", "")))
            system = self._system(schemas, room // 2)
            turn = self.fill("tool_turn", room - len(system), self._turn(report, complaint))
            optional = self.config.answers == "auto" and self.form != FORMS[-1]
            reply = self.model.ask([("system", system), ("user", turn)], form, optional)
            if not reply.refused:
                return reply
            self.form = FORMS[FORMS.index(self.form) + 1]

    def _form(self, schemas: list[dict[str, Any]], report: EvalReport) -> dict[str, Any]:
        """The fields of a request that say how to answer."""
        if self.form == "tools":
            return {"tools": [_with_notes(each) for each in schemas]}
        if self.form == "text":
            return {}
        looked_at = [entry[0] for entry in dict(report.effect).get("shown", ())]
        cases = [dict(case)["id"] for case in report.bad_cases[:CASES_SHOWN]]
        ids = list(dict.fromkeys([*looked_at, *cases]))
        held = {
            "array": {"type": "array", "items": {"enum": ids}, "maxItems": 16},
            "topic": {"enum": ["", *self.briefing.task.topics]},
            "notes": {"type": "string", "maxLength": min(1000, self.config.max_tokens // 2)},
        }
        if not ids:
            del held["array"]
        schema = {"anyOf": [_constrained(each["function"], held) for each in schemas]}
        wanted = {"name": "operation", "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}

    def _system(self, schemas: list[dict[str, Any]], room: int) -> str:
        limits = self.briefing.limits
        gaps = {name: str(limits[name]) for name in ("min_rows", "max_rows")}
        if self.form == "tools":
            told = {"answer_form": self.prompts.fill("tool_form_tools"), "operations": ""}
            return self.fill("tool_system", room, {**gaps, **told})
        told = {"answer_form": self.prompts.fill("tool_form_json")}
        full, brief = (
            {**gaps, **told, "operations": "\n".join(_line(each, words) for each in schemas)}
            for words in (True, False)
        )
        fits = len(self.prompts.fill("tool_system", **full)) <= room
        return self.fill("tool_system", room, full if fits else brief)

    def _turn(self, report: EvalReport, complaint: str) -> dict[str, str]:
        task, shown = self.briefing.task, dict(report.effect).get("shown", ())
        return {
            "description": task.description,
            "answer_format": task.answer_format,
            "topics": ", ".join(task.topics),
            "notes": self.notes or "none yet",
            "evaluations": "\n".join(self.scores) or "none yet",
            "history": "\n".join(self.done) or "nothing yet",
            "shown": "\n".join(_shown(each) for each in shown),
            "report": report.to_text(),
            "complaint": complaint,
        }


def _left(report: EvalReport) -> dict[str, float]:
    return {axis: limit - used for axis, (used, limit) in report.budget}


def _came_of(effect: Mapping[str, Any]) -> str:
    counts = [f"{name} {effect.get(name, 0)}" for name in ("added", "dropped", "calls")]
    failure = effect.get("failure")
    return ", ".join([*counts, *([f"{failure}: {effect['message']}"] if failure else [])])


def _shown(entry: tuple[str, ...]) -> str:
    found, prompt, answer, *more = (shortened(str(each), SHOWN_CHARS) for each in entry)
    return f"[{found}] {prompt} -> {answer} ({'; '.join(more)})"


def _with_notes(schema: dict[str, Any]) -> dict[str, Any]:
    function = schema["function"]
    parameters = function["parameters"]
    properties = {**parameters["properties"], "notes": NOTES}
    return {
        **schema,
        "function": {**function, "parameters": {**parameters, "properties": properties}},
    }


def _constrained(function: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """The schema of one operation as a JSON object, small enough for a grammar.

    Args:
        function: The operation as a tool.
        held: What topics, notes and lists of ids are held to; without ids there are no lists.
    """
    parameters = function["parameters"]
    arguments: dict[str, Any] = {}
    for name, each in parameters["properties"].items():
        if each["type"] == "array":
            arguments |= {name: held["array"]} if "array" in held else {}
        else:
            arguments[name] = held[name] if name == "topic" else _small(each)
    return {
        "type": "object",
        "properties": {
            "op": {"enum": [function["name"]]},
            **arguments,
            "notes": held["notes"],
        },
        "required": ["op", *parameters["required"]],
        "additionalProperties": False,
    }


def _small(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in ("description", "default")}
    return {**kept, "maxLength": LONGEST_TEXT} if "maxLength" in kept else kept


def _line(schema: dict[str, Any], words: bool) -> str:
    """An operation on a line, or with what its arguments mean on some more."""
    function = schema["function"]
    properties = function["parameters"]["properties"]
    arguments = ", ".join(f"{name}: {_kind(each)}" for name, each in properties.items())
    head = f"{function['name']}({arguments})"
    if not words:
        return head
    meanings = [f"    {name}: {each['description']}" for name, each in properties.items()]
    return "\n".join([f"{head}  {function['description']}", *meanings])


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(schema["enum"])
    if schema["type"] == "array":
        return "list of text"
    return "text" if schema["type"] == "string" else f"{schema['minimum']:g}..{schema['maximum']:g}"


def _action(reply: Reply, known: list[str]) -> dict[str, Any]:
    """The operation that a reply names, as a tool call or as JSON in its text.

    Raises:
        BadReply: It names none of those that are known.
    """
    called = {"op": reply.tool, **_arguments(reply.arguments)} if reply.tool else None
    action = called or _from_text(reply)
    name = action.get("op")
    if name not in known:
        raise BadReply(f"there is no operation {str(name)[:60]!r} now; choose: {', '.join(known)}")
    return action


def _from_text(reply: Reply) -> dict[str, Any]:
    try:
        data = parse_object(reply.text[-20_000:])
    except BadReply as error:
        cut = "; it was cut off: answer more briefly" if reply.cut else ""
        raise BadReply(f"{error}{cut}") from error
    if "op" not in data and isinstance(data.get("name"), str):  # as tools are called in text
        arguments = data.get("arguments", data.get("parameters"))
        return {"op": data["name"], **(arguments if isinstance(arguments, dict) else {})}
    return data


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise BadReply(f"the arguments of the tool call are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadReply("the arguments of the tool call must be an object")
    return found
