"""The page of what was deployed in an environment, or of one package there, newest first (design 12).

History is read as far as the page needs it, and by the background, as it takes a while the first time.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from ..delivery.addresses import release_number
from ..delivery.problems import Problems
from ..delivery.vocabulary import DOWN
from ..errors import NotFound
from ..formats.times import format_seconds
from ..ledger.deployment_history import Teller
from .changes import fetch_history
from .environments import environment_names
from .lists import PER_PAGE

if TYPE_CHECKING:
    from ..ledger.events import Event
    from .facts import Facts

Page = dict[str, Any]


def timeline(facts: Facts, environment: str, package: str, number: int) -> Page:
    """One page of the deployments in an environment, of a package; an empty name is that of all.

    `done` says whether they are read by now, `more` whether older ones follow. Raises NotFound for an environment or a
    package that there is not, and never was, and where the store has no history.
    """
    facts.history_of(facts.state)
    number = max(1, number)
    question = f"timeline {environment}\0{package}\0{number}"
    found = facts.later(question, lambda other: _read(other, environment, package, number))
    page: Page = {"environment": environment, "package": package, "page": number}
    return {**page, **(found or {"items": [], "more": False, "is_cut": False}), "done": found is not None}


def _read(facts: Facts, environment: str, package: str, number: int) -> Page:
    backend, _ = facts.snapshot.backend_of(facts.state)
    fetch_history(backend)
    ledger = facts.ledger()
    start = (number - 1) * PER_PAGE
    events = list(islice(ledger.of(environment, package), start, start + PER_PAGE + 1))
    if not events and environment and environment not in environment_names(facts):
        raise NotFound(f"no such environment: '{environment}'")
    if not events and package and package not in facts.package_names():
        raise NotFound(f"no such package: '{package}'")
    teller = Teller(facts.snapshot, backend.repository, Problems())
    items = [told(teller, event) for event in teller.in_batches(events[:PER_PAGE])]
    return {"items": items, "more": len(events) > PER_PAGE, "is_cut": ledger.is_cut}


def told(teller: Teller, event: Event) -> Page:
    """A deployment as JSON has it (design 12), with the commit of the store that says so, and whether it went back to
    an older release."""
    is_back = bool(event.before) and event.type != DOWN and release_number(event.before) > release_number(event.release)
    return {**teller.document(event, format_seconds(event.time)), "is_back": is_back, "store_commit": event.commit}
