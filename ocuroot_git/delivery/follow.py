"""What a run has printed: what is recorded, and of a run that goes on what is in its live log (design 8.8)."""

from __future__ import annotations

from . import live, vocabulary
from .logs import Log
from .queries import read_claim, read_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..formats.documents import Document
    from ..git.objects import Oid
    from ..store.stores import Stores
    from .addresses import RunRef
    from .child_command import Stop

_LOOK_NEAR: Final = 0.5
_LOOK_FAR: Final = 2.0
"""Seconds between looks at the live log of a run: in a file here, and at a remote."""


def entries(stores: Stores, run: RunRef, stop: Stop, *, follow: bool) -> Iterator[Document]:
    """The entries of a run's log, each once, in order; with `follow` until the run has ended or `stop` says so.

    Raises RemoteError, BadDocument.
    """
    shown = 0
    sent: list[Document] = []
    known: Oid | None = None
    owner = ""
    while True:
        snapshot = stores.snapshot()
        is_running = read_function(snapshot, run).status == vocabulary.RUNNING
        recorded: list[Document] = list(Log.read(snapshot.get(run.logs, None)).to_document())
        new: list[Document] = []
        is_far = False
        if is_running:
            if read_claim(snapshot, run).owner != owner:
                owner, sent, known = read_claim(snapshot, run).owner, [], None
            new = list(live.read(snapshot, run).to_document())
            if not new:
                tip, more = live.read_remote(snapshot, run, known)
                is_far = tip is not None
                sent, known = [*sent, *more.to_document()], tip or known
                new = sent
        # What is recorded takes the place of what was sent, in the same order.
        whole = [*recorded, *new]
        yield from whole[shown:]
        shown = max(shown, len(whole))
        if not follow or stop.count or read_function(snapshot, run).status not in vocabulary.OPEN:
            return
        stop.wait(_LOOK_FAR if is_far else _LOOK_NEAR)
