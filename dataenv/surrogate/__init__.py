"""A surrogate of training: what the student of a set would get right, predicted instead of measured.

It stands where `dataenv.laboratory` stands when ``EnvConfig.laboratory`` is ``surrogate``, and is fitted
to real evaluations by ``scripts/fit_surrogate.py``. It is part of the simulation, not of a controller,
so it may know skills and right answers. Its scores are no results; see ``docs/FAST_LANE.md``.
"""
