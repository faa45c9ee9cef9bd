"""Metrics in the text format of Prometheus (version 0.0.4). Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

    from .metrics import Measured

_FIGURES: Final = (
    ("ocuroot_deployments", "Deployments that ended well", "deployments"),
    ("ocuroot_deployment_frequency_per_day", "Deployments a day", "frequency"),
    ("ocuroot_lead_time_seconds", "Time from a commit to its first deployment, by quantile", "lead_time"),
    ("ocuroot_change_failure_rate", "Share of deployments that failed, were rolled back or caused an incident",
     "failure_rate"),
    ("ocuroot_time_to_restore_seconds", "Time to recover from a failed deployment, by quantile", "to_restore"),
    ("ocuroot_rework_rate", "Share of deployments that were made because one had failed", "rework_rate"),
)  # fmt: skip
_QUANTILES: Final = (("0.5", "p50"), ("0.9", "p90"))


def exposition(measured: Sequence[Measured]) -> Iterator[str]:
    """The lines. What is not known has no sample: a value would be taken for one that was measured."""
    for name, meaning, attribute in _FIGURES:
        yield f"# HELP {name} {meaning}."
        yield f"# TYPE {name} gauge"
        for one in measured:
            value = getattr(one, attribute)
            if not isinstance(value, dict):
                samples = [("", value)]
            else:
                samples = [(quantile, value[percentile]) for quantile, percentile in _QUANTILES]
            for quantile, number in samples:
                if number is not None:
                    labels = {**one.key, "quantile": quantile} if quantile else one.key
                    yield f"{name}{_labels(labels)} {number!r}"


def _labels(labels: Mapping[str, str]) -> str:
    """Labels in braces, with what ends a value, or a line, escaped; nothing for none."""
    escapes = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"))
    texts = []
    for name, value in labels.items():
        for char, written in escapes:
            value = value.replace(char, written)
        texts.append(f'{name}="{value}"')
    return "{" + ",".join(texts) + "}" if texts else ""
