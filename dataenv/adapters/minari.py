"""Logged steps as a Minari data set: Dict observations, and actions as the text of their JSON."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from dataenv.errors import ConfigError
from dataenv.observation import observation_space
from dataenv.runs.steps import LAYOUT
from dataenv.runs.trajectories import Trajectory, trajectories
from dataenv.wrappers import text_space

DESCRIPTION = (
    "Data curation steps of dataenv: observations before and after each operation, as JSON."
)


def to_minari(table: pa.Table, name: str, **about: Any) -> Any:
    """A data set of the episodes of a table, in Minari's own folder.

    Args:
        table: As `dataenv.runs.trajectories.read_steps` gives it.
        name: E.g. ``dataenv/science-feedback-v0``.
        about: More arguments of ``minari.create_dataset_from_buffers``: author, eval_env, ...

    Raises:
        ConfigError: The package minari is not installed.
    """
    try:
        import minari
    except ImportError as error:
        raise ConfigError(
            "this needs the package minari: pip install 'dataenv-gym[minari]'"
        ) from error
    found = [_buffer(number, each) for number, each in enumerate(trajectories(table))]
    described = {"description": DESCRIPTION, "data_format": "arrow", **about}
    return minari.create_dataset_from_buffers(
        name,
        found,
        observation_space=observation_space(),
        action_space=text_space(),
        **described,
    )


def _buffer(number: int, episode: Trajectory) -> Any:
    from minari.data_collector import EpisodeBuffer

    space = observation_space()
    shapes = {name: box.shape or () for name, box in space.spaces.items()}
    held = {name: episode.observations[:, LAYOUT[name]] for name in shapes}
    return EpisodeBuffer(
        id=number,
        seed=episode.about["seed"],
        observations={name: held[name].reshape(-1, *shapes[name]) for name in shapes},
        actions=list(episode.texts),
        rewards=episode.rewards.tolist(),
        terminations=episode.terminated.tolist(),
        truncations=episode.truncated.tolist(),
    )
