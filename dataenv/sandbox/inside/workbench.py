"""What a program may use: its material, the teacher, tolerant parsing, and a way to hand rows in.

    from workbench import answer_of, ask, calls_left, emit, parse, public, task

All of it is a convenience: the limits and the counting are outside, where a program does not reach.
"""

import json
import os
import re
import socket
import threading

FOLDER = os.path.dirname(os.path.abspath(__file__))
BATCH, BATCH_CHARS = 512, 1_500_000
_connections = threading.local()


def task():
    """The task: description, answer_format, topics, few_shot, budgets, prices, seed."""
    with open(os.path.join(FOLDER, "task.json"), encoding="utf-8") as file:
        return json.load(file)


def public():
    """The public items: id, instruction, input, answer, topic."""
    return _lines("public")


def seeds():
    """Raw questions: id, instruction, input, topic."""
    return _lines("seeds")


def pool():
    """Raw rows of mixed quality: id, instruction, input, output."""
    return _lines("pool")


def rows():
    """The working set as it is: id, instruction, input, output, checks."""
    return _lines("rows")


def ask(prompts, by="teacher"):
    """Has a list of prompts answered, all at a time.

    Args:
        prompts: Texts, or lists of {"role", "content"}.
        by: Whom; the task's prices say who may be asked, and what a reply costs.

    Returns:
        Texts in the same order; None where a call failed or the calls were used up.
    """
    replies = []
    for batch in _batches(prompts):
        replies += _call({"ask": batch, "by": by})["replies"]
    return replies


def calls_left():
    """Teacher calls that this program may still make."""
    return _call({"left": True})["left"]


def emit(row=None, **fields):
    """Hands in a row: {"instruction", "input", "output"}, or these by name."""
    print(json.dumps({**(row or {}), **fields}), flush=True)


def parse(text, wanted=""):
    """The first JSON object in a text, or the last that has a key; None if there is none."""
    found = None
    for each in parse_all(text):
        if not wanted:
            return each
        found = each if wanted in each else found
    return found


def parse_all(text):
    """All JSON objects in a text, those of lists too, whatever stands around them."""
    decoder, found = json.JSONDecoder(strict=False), []
    text = text or ""
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
            found.append(value)
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find("{", end)
    return found


def answer_of(text):
    """The final answer of a solution: in the last \\boxed{}, or after the last 'Answer:'; or None."""
    text = text or ""
    start = text.rfind("\\boxed{")
    if start >= 0:
        depth = 0
        for place in range(start + 6, len(text)):
            depth += (text[place] == "{") - (text[place] == "}")
            if depth == 0:
                return text[start + 7 : place].strip()
    found = re.findall(r"answer\s*:\s*(.+)", text, re.IGNORECASE)
    return found[-1].strip(" *`") if found else None


def _batches(prompts):
    """Lists of prompts, none too large for a message."""
    batch, size = [], 0
    for prompt in prompts:
        length = len(prompt) if isinstance(prompt, str) else len(json.dumps(prompt))
        if batch and (len(batch) == BATCH or size + length > BATCH_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(prompt)
        size += length
    if batch:
        yield batch


def _lines(name):
    with open(os.path.join(FOLDER, name + ".jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _call(message):
    """Sends a message through a connection of this thread and process, and waits for the reply."""
    if getattr(_connections, "owner", None) != os.getpid():
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.connect(os.path.join(FOLDER, "broker.sock"))
        _connections.owner, _connections.file = os.getpid(), door.makefile("rw", encoding="utf-8")
        _connections.door = door
    _connections.file.write(json.dumps(message, ensure_ascii=False) + "\n")
    _connections.file.flush()
    line = _connections.file.readline()
    if not line:
        raise ConnectionError("the broker has closed the door: was the message too large?")
    reply = json.loads(line)
    if "error" in reply:
        raise ValueError(reply["error"])
    return reply
