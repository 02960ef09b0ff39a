"""The operations, in one table. A new one is a file, a line here, and a test."""

from __future__ import annotations

from typing import Any

from dataenv.operations import choosing, cleaning, control, pool, program, writing
from dataenv.operations.base import Effect, Operation, Tools, parse_action

OPERATIONS: dict[str, Operation] = {
    entry.name: entry
    for entry in (
        Operation("generate", writing.Generate, writing.generate),
        Operation("label", writing.Label, writing.label),
        Operation("draw", pool.Draw, pool.draw),
        Operation("expand", writing.Expand, writing.expand),
        Operation("rewrite", writing.Rewrite, writing.rewrite),
        Operation("verify", cleaning.Verify, cleaning.verify),
        Operation("filter", cleaning.Filter, cleaning.filter_rows),
        Operation("dedup", cleaning.Dedup, cleaning.dedup),
        Operation("decontaminate", cleaning.Decontaminate, cleaning.decontaminate),
        Operation("select", choosing.Select, choosing.select),
        Operation("rebalance", choosing.Rebalance, choosing.rebalance),
        Operation("order", choosing.Order, choosing.order),
        Operation("drop", choosing.Drop, choosing.drop),
        Operation("revert", choosing.Revert, choosing.revert),
        Operation("program", program.Program, program.program, sampled=False),
        Operation("inspect", control.Inspect, control.inspect),
        Operation("train", control.Train, control.train),
        Operation("submit", control.Submit, control.submit),
    )
}


def tool_schemas() -> list[dict[str, Any]]:
    """All operations as function tools for a tool-calling language model."""
    return [
        {
            "type": "function",
            "function": {
                "name": entry.name,
                "description": entry.description,
                "parameters": entry.schema(),
            },
        }
        for entry in OPERATIONS.values()
    ]


__all__ = ["OPERATIONS", "Effect", "Operation", "Tools", "parse_action", "tool_schemas"]
