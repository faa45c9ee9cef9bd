"""The work of a release in the order of its phases: of what it is made, and how it fares. Plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.vocabulary import CALL, DEPLOY
from ..formats.refs import STATE

if TYPE_CHECKING:
    from .facts import Facts

Page = dict[str, Any]


def phases_of(facts: Facts, stored: str, body: Page) -> list[Page]:
    """The phases of a release, with the name, status and newest run of each piece of work. From names alone."""
    by_name = {("deploy" if one.word == "deploy" else CALL, one.name): one for one in facts.release(stored).work}
    made = []
    for name, specs in lenient.phases(body):
        work = []
        for spec in specs:
            for one in _names_of(facts, spec, by_name):
                known = by_name.pop((spec.kind, one), None)
                ref = f"{stored}/{known.below if known is not None else f'{spec.kind}/{one}'}"
                work.append(
                    {
                        "kind": spec.kind,
                        "name": one,
                        "ref": ref,
                        "run": f"{ref}/{known.run}" if known is not None and known.run else "",
                        "status": known.status if known is not None else "",
                        "started": known is not None,
                    }
                )
        made.append({"name": name, "work": work})
    if by_name:
        rest = [
            {
                "kind": kind,
                "name": name,
                "ref": f"{stored}/{one.below}",
                "run": f"{stored}/{one.below}/{one.run}" if one.run else "",
                "status": one.status,
                "started": True,
            }
            for (kind, name), one in sorted(by_name.items())
        ]
        made.append({"name": "" if not made else "other work", "work": rest})
    return made


def _names_of(facts: Facts, spec: lenient.Spec, by_name: dict[tuple[str, str], Any]) -> list[str]:
    """The work that a definition stands for: itself, or a deployment to each environment that it selects."""
    if spec.selector is None:
        return [spec.name] if spec.name else []
    deployed = {name for kind, name in by_name if kind == DEPLOY}
    known = {*facts.names(facts.state, f"{STATE}/environment"), *deployed}
    bodies = {name: facts.body(f"{STATE}/environment/{name}") for name in known}
    return sorted(name for name, body in bodies.items() if body is not None and spec.matches(body))
