"""Intent against state: what differs (design 6 and 7).

    +/custom/…, P/+N/custom/…    by value; `P/+/…` is for the newest release
    +/environment/<name>         by value
    P/+/deploy/<env>             the release that is deployed there, and the inputs that the intent gives

State without an intent counts as to be deleted.
"""

from __future__ import annotations

from ..formats.layout import StoredRef
from ..formats.refs import STATE
from . import compare
from .alike import alike_globals
from .compare import Difference, Heads, TooFew
from .problems import STRICT, Problems
from .queries import intent_tree, packages, state_tree
from .summary import all_of
from .survey import summary_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..store.snapshot import Snapshot


def differences(snapshot: Snapshot, problems: Problems = STRICT) -> list[Difference]:
    """Where state does not follow intent, in byte order of the intent's refs. Raises NoStore, also for a missing intent
    store: an empty one would mean that all is to be deleted.

    What cannot be read, on either side, is no difference: an intent that is not of its shape asks for nothing, and
    least of all for what is in state to be deleted. Of a release that was pruned nothing is wanted any more.
    """
    return [difference for difference in all_differences(snapshot, problems) if not difference.is_idle]


def deployment_differences(snapshot: Snapshot, problems: Problems = STRICT) -> list[Difference]:
    """Those of `differences` that are about deployments; nothing else is read."""
    summary = summary_of(snapshot)
    places = all_of(snapshot, sorted(summary.unread)).deployments
    for one in summary.differing.values():
        places += one.deployments
    found = compare.deployment_differences(snapshot, places, problems)
    return sorted((one for one in found if not one.is_idle), key=lambda difference: difference.ref)


def all_differences(snapshot: Snapshot, problems: Problems = STRICT) -> list[Difference]:
    """As `differences`, with the intents among them that are idle."""
    intent = intent_tree(snapshot)
    summary = summary_of(snapshot)
    heads = all_of(snapshot, sorted(summary.unread))
    for one in summary.differing.values():
        heads.state += one.state
        heads.intent += one.intent
        heads.deployments += one.deployments
    at_top = Heads([StoredRef(STATE)], [StoredRef(intent.layout.intent_marker)], [])
    found = [
        *_custom(snapshot, at_top, heads, problems, is_entangled=summary.is_entangled),
        *compare.environment_differences(snapshot, problems),
        *compare.deployment_differences(snapshot, heads.deployments, problems),
    ]
    return sorted(found, key=lambda difference: difference.ref)


def _custom(
    snapshot: Snapshot, at_top: Heads, heads: Heads, problems: Problems, *, is_entangled: bool
) -> list[Difference]:
    alike = alike_globals(snapshot)
    if not is_entangled:
        some = Heads([*at_top.state, *heads.state], [*at_top.intent, *heads.intent], [])
        try:
            return list(compare.custom_differences(snapshot, some, problems, alike=alike))
        except TooFew:
            pass  # documents are linked with those of other packages
    known = sorted({*packages(state_tree(snapshot)), *packages(intent_tree(snapshot))})
    every = all_of(snapshot, known)
    every = Heads([*at_top.state, *every.state], [*at_top.intent, *every.intent], [])
    return list(compare.custom_differences(snapshot, every, problems, are_all=True, alike=alike))
