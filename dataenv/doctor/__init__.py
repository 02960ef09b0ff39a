"""What is missing for a run, before anything starts."""

from __future__ import annotations

from pathlib import Path

from dataenv.doctor import machine, servers, sources
from dataenv.doctor.finding import Finding
from dataenv.presets import EnvConfig

__all__ = ["Finding", "examine", "table"]


def examine(config: EnvConfig, out: Path = Path("runs"), ask: bool = False) -> list[Finding]:
    """Makes every check. Nothing is downloaded, loaded or kept.

    Args:
        config: Of the run.
        out: Where its records will go.
        ask: Whether the teacher is asked for a token too, which may cost something.
    """
    weights = sources.student_weights(config)
    return [
        machine.packages(config),
        weights.finding,
        *machine.memory(config, weights),
        machine.disk(config, weights, out),
        machine.gpus(config),
        machine.threads(config),
        machine.sandbox(config),
        servers.keys(config),
        servers.teacher(config, ask),
        servers.student(config),
        sources.data(config),
    ]


def table(findings: list[Finding]) -> str:
    """Findings for people, a fix below each that has one."""
    width = max(len(each.name) for each in findings)
    lines = []
    for each in findings:
        lines.append(f"{each.mark:<8}{each.name:<{width}}  {each.detail}")
        if each.fix:
            lines.append(f"{'':<{width + 10}}-> {each.fix}")
    return "\n".join(lines)
