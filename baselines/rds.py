"""RDS+: rows of the pool that the base reads as it reads public items."""

from __future__ import annotations

from dataenv.baselines.from_pool import Selection


class Rds(Selection):
    """Representation-based data selection, RDS (Zhang et al., 2018) in the form RDS+ (Ivison et al., 2025).

    Kept: states of the base's last layer for question and answer, means in which later tokens weigh more,
    the cosine. Left out: items of the target that choose in turns; a row counts by its nearest item, so that
    an item with many near rows has them all.
    """

    name = "rds"
    by = "representation"
