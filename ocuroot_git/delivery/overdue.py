"""The environments whose time is over, and that nobody wants any more for that (design 13)."""

from __future__ import annotations

import time

from ..formats.layout import StoredRef
from ..formats.times import format_seconds
from .compare import documents_below, stored_intent
from .expiry import expiry_of, read_wanted
from .problems import Problems
from .queries import intent_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction


def expired(snapshot: Snapshot) -> dict[str, str]:
    """The intents of environments whose time is over, by this machine's clock, each with the moment.

    Not by the newest commit, whose clock may be ahead: to take down too late does less harm.
    """
    if not snapshot.has_intent():
        return {}
    now, found = time.time(), {}
    for ref in documents_below(intent_tree(snapshot), [StoredRef(stored_intent(snapshot, "environment"))]):
        with Problems().leave_out(ref):  # `diff` names it
            seconds = expiry_of(read_wanted(snapshot.get(ref), ref), ref)
            if seconds is not None and seconds <= now:
                found[ref] = format_seconds(seconds)
    return found


def forget_expired(tx: Transaction) -> None:
    """Delete the intents of environments whose time is over."""
    for ref in expired(tx):
        tx.delete(ref)
