"""How Hypothesis makes examples: the same ones on each run, however long that takes. `tests/conftest.py` loads it."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Deadlines, and checks of how long it takes to make examples, tell how busy the machine is.
same = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
often = settings(same, max_examples=400)
seldom = settings(same, max_examples=70)
