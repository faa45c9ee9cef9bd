"""Sets of deploy intents that are changed together: what a promotion or a rollback comes to (design 13).

A plan is made of one snapshot. It is written in a transaction that makes it anew: where it comes to something else by
then, what was looked at has moved, and nothing is written.
"""

from __future__ import annotations

from ..errors import Conflict, Fatal
from ..formats.documents import dump, same, to_bytes
from ..formats.refs import INTENT, STATE, Ref
from .addresses import WorkRef, environment_ref, package_of
from .apply import delete_alone
from .compare import is_left_behind
from .fields import Record
from .holds import intent_of, state_of
from .inputs import read_intent
from .model import Environment, Intent, write_inputs
from .problems import Problems
from .queries import environment, no_environment, records_of
from .retention import chosen_packages
from .run_queries import deployed, deployments
from .vocabulary import DEPLOY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Final

    from ..formats.documents import Document
    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .fields import Fields

_ID_DIGITS: Final = 16


class Wish(Record):
    """What is to be wanted of a package in an environment.

    `release` is what is wanted then, `was` what its intent names now, each empty for nothing. `document` and `before`
    are the intents, None for none. `left` are the releases that are to be held, because they are left; `dropped` are
    the inputs that the intent gave for another release, and that do not go over to this one.
    """

    __slots__ = ("before", "document", "dropped", "environment", "left", "package", "release", "was")

    def __init__(
        self,
        package: str,
        environment: str,
        release: str,
        was: str,
        document: Document,
        before: Document,
        left: Sequence[str] = (),
        dropped: Sequence[str] = (),
    ) -> None:
        self.package = package
        self.environment = environment
        self.release = release
        self.was = was
        self.document = document
        self.before = before
        self.left = list(left)
        self.dropped = list(dropped)

    @property
    def intent(self) -> str:
        """The ref of the intent."""
        return WorkRef(f"{self.package}/{STATE}", DEPLOY, self.environment).intent

    @property
    def status(self) -> str:
        """A letter as `diff` has it, for the intent: A, M or D; empty where it stays as it is."""
        if self.document is None:
            return "" if self.before is None else "D"
        return "A" if self.before is None else "" if same(self.document, self.before) else "M"

    def to_document(self) -> Fields:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of_document(cls, document: Fields) -> Wish:
        return cls(**document)


class Plan(Record):
    """What is to be wanted, by package; and the packages that are left out, each with why."""

    __slots__ = ("left_out", "wishes")

    def __init__(self, wishes: list[Wish], left_out: dict[str, str] | None = None) -> None:
        self.wishes = wishes
        self.left_out = left_out or {}

    @property
    def id(self) -> str:
        """What tells this plan from any other: a hash of what would be written, and of what it takes the place of."""
        from hashlib import sha256

        text = dump([wish.to_document() for wish in self.wishes], None)
        return sha256(to_bytes(text)).hexdigest()[:_ID_DIGITS]

    @property
    def held(self) -> list[str]:
        """The releases that are to be held."""
        return [release for wish in self.wishes for release in wish.left]

    def to_document(self) -> Fields:
        return {"wishes": [wish.to_document() for wish in self.wishes], "left_out": self.left_out}

    @classmethod
    def of_document(cls, document: Fields) -> Plan:
        return cls([Wish.of_document(wish) for wish in document["wishes"]], document["left_out"])


class Replanned:
    """Makes a plan in a transaction, as often as that is tried, and refuses another one than was looked at.

    `expected` is the id of the plan that was looked at; None: it is the first that is made.
    """

    def __init__(self, make: Callable[[Snapshot], Plan], expected: str | None) -> None:
        self._make = make
        self._expected = expected
        self._first: Plan | None = None

    def plan(self, snapshot: Snapshot) -> Plan:
        """The plan as of a snapshot. Raises Conflict where it is another one."""
        made = self._make(snapshot)
        if self._first is None and self._expected in (None, made.id):
            self._first = made
        if self._first is None or made.id != self._first.id:
            raise Conflict(f"what was looked at has moved meanwhile{self._differences(made)}", hint=_LOOK_AGAIN)
        return made

    def _differences(self, made: Plan) -> str:
        before = {wish.package: wish for wish in self._first.wishes} if self._first is not None else {}
        now = {wish.package: wish for wish in made.wishes}
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return f": {', '.join(changed)}" if self._first is not None else ""


_LOOK_AGAIN: Final = "--dry-run shows what would be done now"


def write_intents(tx: Transaction, plan: Plan) -> None:
    """Make the intents say what a plan comes to. Raises Fatal for one that is a link: more than it would change."""
    for wish in plan.wishes:
        found = tx.object(wish.intent)
        if wish.status and found is not None and found.target is not None:
            raise Fatal(f"'{wish.intent}' is a link to '{found.target}'", hint="take the link away first")
        if wish.status == "D":
            delete_alone(tx, wish.intent)
        elif wish.status:
            tx.set(wish.intent, wish.document)


def wish_for(
    snapshot: Snapshot, package: str, name: str, release: str, wanted: Fields | None = None, left: Sequence[str] = ()
) -> Wish:
    """The wish for a release of a package in an environment (empty: for none), with the intent there is now.

    `wanted` is the intent as it should be but for fields that are not ours; None: the release, and where that is
    wanted already the intent as it is. Raises ModelError for an intent that is not of its shape.
    """
    place = WorkRef(f"{package}/{STATE}", DEPLOY, name)
    work = WorkRef(release, DEPLOY, name)
    records = records_of(snapshot)
    intent = read_intent(snapshot, place)
    before = snapshot.get(place.intent) if intent is not None else None
    # The type says that another program wrote the intent: it may be but the trace of what was taken down.
    is_foreign = intent is not None and "type" in intent.others and deployed(snapshot, package, name) is None
    if is_foreign and intent is not None and is_left_behind(snapshot, place, intent):
        intent = None
    was = snapshot.resolve(intent.release) if intent is not None else ""
    if not release:
        return Wish(package, name, "", was, None, before, left)
    document = dict(wanted or Intent(release).to_document())
    given = document.get("input") or {}
    is_other = intent is None or was != release
    if intent is not None and was == release:
        is_other = wanted is not None and not records.gives_the_same(snapshot, work, given, intent.input)
    if not is_other:
        return Wish(package, name, release, was, before, before, left)
    if records.intents_name_inputs(snapshot, package):
        inputs = {**write_inputs(records.own_inputs(snapshot, work)), **given}
        document.update({"input": inputs} if inputs else {})
    dropped: list[str] = []
    if intent is not None:
        document.update({name: value for name, value in intent.others.items() if name != "type"})
        dropped = _overridden(snapshot, WorkRef(was, DEPLOY, name), intent) if not given else []
    return Wish(package, name, release, was, document, before, left, dropped)


def _overridden(snapshot: Snapshot, work: WorkRef, intent: Intent) -> list[str]:
    """The inputs that an intent overrides for its release; all that it gives where that cannot be told."""
    found = intent.input
    with Problems().leave_out(work.release):
        found = records_of(snapshot).overriding(snapshot, work, intent.input)
    return sorted(found)


def deployed_in(snapshot: Snapshot, name: str, globs: Sequence[str], known: Sequence[str] = ()) -> dict[str, RunRef]:
    """What is deployed in an environment, by package: of those that match a pattern (all for none).

    Raises NotFound for a pattern that matches no package, be it one of `known`; ModelError where something may be
    deployed that cannot be read: nothing can be said of the set then.
    """
    among = chosen_packages(snapshot, globs, known)
    problems = Problems()
    found = deployments(snapshot, problems, only=name, among=among)
    for (package, _), run in found.items():
        if run is None:
            ref = f"{package}/{STATE}/{DEPLOY}/{name}"
            raise Fatal(f"what is deployed cannot be read: {problems.asked[ref].message}")
    return {package: run for (package, _), run in found.items() if run is not None}


def prefetch_wishes(snapshot: Snapshot, name: str, releases: Iterable[str]) -> None:
    """Fetch what plans read of releases, one for each package, for an environment: of a remote store all at once."""
    refs: list[Ref | str] = []
    for release in releases:
        package = package_of(release)
        refs += [release, state_of(release), f"{package}/{STATE}"]
        if snapshot.has_intent():
            intent = intent_of(release)
            refs += [intent, intent.replace(release=""), WorkRef(f"{package}/{STATE}", DEPLOY, name).intent]
    snapshot.prefetch(refs)


def environment_wanted(snapshot: Snapshot, name: str) -> Environment:
    """An environment as state has it, or else intent. Raises NotFound where neither does."""
    found = environment(snapshot, name)
    if found is None and snapshot.has_intent():
        ref = f"{INTENT}{environment_ref(name)[1:]}"
        found = Environment.read(snapshot.get(ref), environment_ref(name)) if snapshot.exists(ref) else None
    if found is None:
        raise no_environment(snapshot, name)
    return found


def refuse_held(what: str, words: list[str]) -> None:
    """Raise Conflict where some of the releases of a set are held: none of it is done then."""
    if words:
        raise Conflict(
            f"cannot {what}: {'; '.join(words)}",
            hint="'git ocuroot hold --lift' lets a release go; patterns choose the packages",
        )
