"""How many examples Hypothesis makes: the same ones on each run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

often = settings(max_examples=400, deadline=None, derandomize=True, database=None)
seldom = settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
