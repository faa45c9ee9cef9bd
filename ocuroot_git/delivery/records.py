"""What the documents of releases and runs look like, and where they lie.

The rest of the delivery model speaks of `Release`, `Run` and `Function` (see `model`), and asks here, by a name for the
thing, how they are kept.
"""

from __future__ import annotations

from .model import Function, Run
from .package import Release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..formats.documents import Document
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .fields import Fields
    from .model import Environment


def records_of(snapshot: Snapshot) -> Records:
    """How the releases and runs of a state store are kept."""
    return OWN


class Records:
    """Dialect 1. What reads takes documents, and raises ModelError for what is not of its shape."""

    has_newest_link = True
    """Whether the newest release is a link, which leads all below `P/@` there."""

    # Releases

    def release(self, value: Document, ref: str) -> Release:
        """A release, from its document."""
        return Release.read(value, ref)

    def release_document(
        self, release: str, commit: str, definition: Document, known: dict[str, Environment]
    ) -> Fields:
        """The document of a release of what a package is defined by; `known` are the environments there are."""
        return {"commit": commit, "package": definition}

    # Runs

    def run(self, value: Document, ref: str) -> Run:
        """A run, from its document."""
        return Run.read(value, ref)

    def work(self, value: Document, ref: str) -> Run:
        """The last run of a piece of work that completed, from the document of the work."""
        return Run.read(value, ref)

    def function_ref(self, run: RunRef, number: int) -> str:
        """The ref of the document that holds a function of a run."""
        return run.step(number)

    def function(self, value: Document, ref: str, number: int) -> Function:
        """A function of a run, from that document; without a status where only its marker says it."""
        return Function.read(value, ref)

    def last_number(self, snapshot: Snapshot, run: RunRef) -> int:
        """The number of the last function of a run."""
        number = 1
        while snapshot.exists(run.step(number + 1)):
            number += 1
        return number

    def deployed_run(self, value: Fields, target: str) -> str:
        """The ref of the run that is deployed, from where the link of the deployment leads, and the document there."""
        return target

    # Changing what is there

    def create(self, tx: Transaction, run: RunRef, type_: str, function: Function) -> None:
        """Write a run that is new, but for its marker."""
        tx.create(run.ref, Run(type_, run.work.release, run.function, {}).to_document())
        tx.create(run.function, function.to_document())

    def put_function(self, tx: Transaction, run: RunRef, number: int, function: Function) -> None:
        """Write a function of a run that is new or was changed."""
        document = function.to_document()
        document["current"]["id"] = str(number)
        tx.set(run.step(number), document)

    def put_end(self, tx: Transaction, run: RunRef, document: Run) -> None:
        """Write a run that has ended, with its outputs."""
        tx.set(run.ref, document.to_document())

    def complete(self, tx: Transaction, run: RunRef, document: Run, function: Function) -> None:
        """Write what a piece of work came to."""
        tx.set(run.work.ref, document.to_document())

    def current_target(self, run: RunRef) -> str:
        """Where the link leads by which a run is current."""
        return run.ref


OWN: Final = Records()
