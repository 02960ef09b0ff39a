"""DSIR: rows of the pool whose words are those of the public items."""

from __future__ import annotations

from dataenv.baselines.from_pool import Selection


class Importance(Selection):
    """Data selection by importance resampling, DSIR (Xie et al., 2023).

    Kept: the ratio of two bags of words and pairs of words, the target's to the pool's, by which rows are
    taken. Left out: hashing of the pairs, which a small pool does not need; Gumbel noise, so that the
    rows are the first by the ratio; the ratio is a mean over words, so that long rows are not preferred.
    """

    name = "importance"
    by = "importance"
