"""Which releases are old, and which of those nobody needs in the live tree any more (design 7). Reads only.

An old release stays where anything leads to it or is left to do in it. In doubt it stays, and the doubt is reported:
what cannot be read may be what leads there.
"""

from __future__ import annotations

from ..errors import NotFound
from ..formats.documents import MISSING, same
from ..formats.globs import Glob, escape
from ..formats.layout import (
    DEPENDENCIES,
    OBJECT_FILE,
    REFS,
    StoredObject,
    StoredRef,
    edge_directories,
    link_target,
    object_path,
    split_target,
)
from ..formats.refs import INTENT, STATE, Ref, number_in
from ..formats.times import parse_seconds
from ..store.tree import Ties
from . import failures, model, vocabulary
from .addresses import WorkRef, release_number
from .compare import deploy_intents, documents_below
from .holds import HOLD
from .inputs import read_intent
from .problems import BAD, BadDocument, Problems
from .pruned import record_of, record_ref
from .queries import intent_tree, packages, prefetch, state_tree
from .run_queries import read_function
from .survey import unsettled_runs
from .vocabulary import CALL, DEPLOY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree
    from .shared_history import SharedHistory

_MANY: Final = 8
"""Releases from which on it pays that libgit2 keeps nothing of them."""
_WORK: Final = {CALL: CALL, "task": CALL, DEPLOY: DEPLOY}
"""The directories of a release that hold work, with the kind: early stores have `task` for `call`."""


class Keep:
    """What is kept: the newest `releases` of each package, and those in which something was done in these `seconds`."""

    __slots__ = ("releases", "seconds")

    def __init__(self, releases: int, seconds: float | None) -> None:
        self.releases = max(releases, 1)
        self.seconds = seconds


class OldRelease:
    """A release that is among the old ones: what is in it, and in `reasons` why it stays all the same."""

    __slots__ = ("_runs", "commits", "number", "own_links", "package", "reasons", "ref", "ties", "times")

    def __init__(self, package: str, number: int, ref: StoredRef) -> None:
        self.package = package
        self.number = number
        self.ref = ref
        self.ties = Ties(self.ref)
        self.commits: list[str] = []
        self.times: list[float] = []
        self.reasons: list[str] = []
        self.own_links: set[StoredRef] = set()
        """The links of the package that lead here, for which there are reasons already."""
        self._runs: dict[WorkRef, dict[int, set[str]]] = {}

    def read(self, tree: StoreTree, *, with_times: bool) -> None:
        """Read all that is in it. Raises Damaged, ObjectError."""
        for ref, data in tree.objects_below(self.ref):
            self.ties.take(ref, data)
            below = ref[len(self.ref) + 1 :].split("/")
            if below == [""] and link_target(data, object_path(ref)) is not None:
                raise BadDocument(ref, "it is a link, where a release should be")
            if below[0] == "commit" and len(below) == 2:
                self.commits.append(below[1])
                self._take_time(ref, data, wanted=with_times)
            elif below[0] == "op":
                self.reasons.append(f"'{ref}' is to be looked at")
            elif below[:2] == ["custom", HOLD]:
                self.reasons.append("it is held")
            elif below[0] in _WORK and len(below) >= 3 and (number := number_in(below[2])) is not None:
                statuses = self._runs.setdefault(WorkRef(self.ref, _WORK[below[0]], below[1]), {})
                of_run = statuses.setdefault(number, set())
                if below[3:4] == ["status"] and len(below) == 5:
                    of_run.add(below[4])
                    self._take_time(ref, data, wanted=with_times)

    def _take_time(self, ref: StoredRef, data: bytes, *, wanted: bool) -> None:
        body = StoredObject.read(data, object_path(ref)).body if wanted else None
        time = parse_seconds(body.get("time")) if isinstance(body, dict) else None
        if time is not None:
            self.times.append(time)

    def find_work_left(self, snapshot: Snapshot, newest: int) -> None:
        """Add to the reasons what has not ended, or has failed and not been dealt with. Raises BadDocument."""
        for work, runs in self._runs.items():
            for number, statuses in runs.items():
                run = work.run(number)
                if len(statuses) != 1 or not statuses <= {*vocabulary.STATUSES}:
                    raise BadDocument(run.ref, f"its status is {' and '.join(sorted(statuses)) or 'missing'}")
                (status,) = statuses
                if status in vocabulary.OPEN:
                    self.reasons.append(f"'{run}' is {status}")
                is_last_failed = status == vocabulary.FAILED and number == max(runs)
                if is_last_failed and not failures.is_dealt_with(snapshot, run, newest):
                    self.reasons.append(f"'{run}' failed, and nobody has dealt with that")


class Plan:
    """What is to go, by package, and what stays of the old releases; `highest` numbers in use, by package.

    `unshared` are those that stay only because others do not have them as they are.
    """

    def __init__(self) -> None:
        self.gone: dict[str, list[OldRelease]] = {}
        self.kept: list[OldRelease] = []
        self.unshared: list[OldRelease] = []
        self.highest: dict[str, int] = {}


def plan(
    snapshot: Snapshot, chosen: list[str], keep: Keep, now: float, problems: Problems, shared: SharedHistory
) -> Plan:
    """Which releases of some packages may go. What cannot be read is added to the problems, and stays."""
    tree = state_tree(snapshot)
    made = Plan()
    old: dict[str, OldRelease] = {}
    for package in chosen:
        with problems.leave_out(record_ref(package)):
            numbers = numbers_of(tree, package)
            made.highest[package] = max(numbers, default=0)
            candidates = [
                OldRelease(package, number, tree.layout.release(package, number))
                for number in numbers[: -keep.releases]
            ]
            if candidates:
                _check_record(snapshot, package)
                _take_named_below(snapshot, package, {one.number: one for one in candidates})
                old.update((one.ref, one) for one in candidates)
    if not old:
        return made
    if len(old) >= _MANY:
        tree.files.prepare_walk()
    prefetch(tree, old, "all")
    if tree.files.is_partial and (edges := tree.node(DEPENDENCIES)) is not None:
        tree.files.prefetch([edges], "all")
    for ref, release in list(old.items()):
        is_read = False
        with problems.leave_out(ref):
            release.read(tree, with_times=keep.seconds is not None)
            release.find_work_left(snapshot, made.highest[release.package])
            is_read = True
        if not is_read:
            release.reasons.append("it cannot be read")
        elif keep.seconds is not None and not _is_older(release, now - keep.seconds):
            del old[ref]
    _find_intents(snapshot, old, problems)
    _find_waiting(snapshot, old, problems)
    made.unshared = [one for one in old.values() if not one.reasons and not _is_shared(shared, one)]
    for release in made.unshared:
        release.reasons.append("it was not pushed as it is now")
    _keep_what_is_named(tree, old)
    for release in old.values():
        if release.reasons:
            made.kept.append(release)
        else:
            made.gone.setdefault(release.package, []).append(release)
    return made


def _is_shared(shared: SharedHistory, release: OldRelease) -> bool:
    """Whether others have a release, and the intents for it, as they are."""
    intents = f"{release.package}/{INTENT}{release.number}"
    is_in_state = shared.has("state", release.ref)
    return is_in_state and shared.has("intent", intents) and shared.has("intent", release.ref)


def _is_older(release: OldRelease, moment: float) -> bool:
    """Whether nothing was recorded in a release since a moment. Of what says no time, nobody knows: it stays."""
    if not release.times:
        release.reasons.append("it says no time")
        return True
    return max(release.times) < moment


def numbers_of(tree: StoreTree, package: str) -> list[int]:
    """The numbers of the releases that have a file of their own, rising."""
    names = {tree.layout.release_number(name): name for name in tree.names(f"{REFS}/{package}")}
    return sorted(
        number
        for number, name in names.items()
        if number
        and name == tree.layout.release_segment(number)
        and tree.oid(StoredRef(f"{package}/{name}")) is not None
    )


def _check_record(snapshot: Snapshot, package: str) -> None:
    """Raise BadDocument where the record of a package is none, or cannot be made."""
    ref = record_ref(package)
    found = snapshot.object(ref)
    if found is not None and found.kind == "link":
        raise BadDocument(ref, "it is a tag, where the record of what was pruned would stand")
    record_of(snapshot, package)


# Who names a release


def _take_named_below(snapshot: Snapshot, package: str, old: dict[int, OldRelease]) -> None:
    """Add to the reasons the links of the package itself: the newest release, tags, what is current and deployed.

    Raises Damaged for one that cannot be read.
    """
    tree = state_tree(snapshot)
    names = [name for name in tree.names(f"{REFS}/{package}") if name[0] == STATE and name != OBJECT_FILE]
    tags = [name for name in names if tree.layout.release_number(name) is None]
    prefetch(tree, [f"{package}/{name}" for name in tags], "all")
    for name in sorted(tags):
        what = f"it is tagged '{name[1:]}'" if name != STATE else "'@' leads to it"
        _note(old, package, tree, StoredRef(f"{package}/{name}"), what)
    for kind, what in ((CALL, "the last to complete call"), (DEPLOY, "deployed in")):
        for name in sorted(tree.names(f"{REFS}/{package}/{STATE}/{kind}")):
            link = StoredRef(f"{package}/{STATE}/{kind}/{name}")
            _note(old, package, tree, link, f"it is {what} '{name}'")


def _note(old: dict[int, OldRelease], package: str, tree: StoreTree, link: StoredRef, what: str) -> None:
    found = tree.object(link)
    seen = {link}
    while found is not None and found.target is not None:
        target, _ = split_target(found.target)
        release = _release_of(target)
        if release is not None and release.startswith(f"{package}/{STATE}"):
            one = old.get(release_number(release))
            if one is not None:
                one.own_links.add(link)
                one.reasons.append(what)
        if target in seen:
            return
        seen.add(target)
        found = tree.object(target)


def _find_intents(snapshot: Snapshot, old: dict[str, OldRelease], problems: Problems) -> None:
    """Add to the reasons the intents that name a release, or are about one and still to be applied."""
    if not snapshot.has_intent():
        return
    for package, name in deploy_intents(snapshot):
        work = WorkRef(f"{package}/{STATE}", DEPLOY, name)
        try:
            intent = read_intent(snapshot, work)
            if intent is not None:
                inputs = model.read_inputs(intent.input, f"'{work.intent}'", intent.release)
                for ref in (intent.release, *(given.ref for given in inputs.values() if given.ref is not None)):
                    _add(snapshot, old, ref, f"'{work.intent}' names it")
        except BAD as error:
            problems.add(error, work.intent)
            for release in old.values():
                if release.package == package:
                    release.reasons.append(f"'{work.intent}' cannot be read")
    tree = intent_tree(snapshot)
    names = {package: {*tree.names(f"{REFS}/{package}")} for package in {one.package for one in old.values()}}
    for release in old.values():
        head = f"{tree.layout.intent_marker}{tree.layout.release_segment(release.number)[1:]}"
        if head not in names[release.package]:
            continue
        for ref in documents_below(tree, [StoredRef(f"{release.package}/{head}/custom")]):
            is_applied = False
            with problems.leave_out(ref):
                state = Ref.parse(ref).replace(marker=STATE)
                actual = snapshot.get(state, MISSING) if snapshot.exists(state) else MISSING
                is_applied = actual is not MISSING and same(snapshot.get(ref), actual)
            if Ref.parse(ref).name.partition("/")[0] == HOLD:
                release.reasons.append("it is held")
            elif not is_applied:
                release.reasons.append(f"'{ref}' is to be applied")


def _find_waiting(snapshot: Snapshot, old: dict[str, OldRelease], problems: Problems) -> None:
    """Add to the reasons the runs elsewhere that have not ended well, and name a release in what they wait for."""
    for run, status in unsettled_runs(snapshot, problems):
        if status not in (*vocabulary.OPEN, vocabulary.FAILED):
            continue
        with problems.leave_out(run.ref):
            function = read_function(snapshot, run)
            inputs = {**function.inputs, **model.read_inputs(function.overrides, f"'{run}'", run.work.release)}
            waits = f"'{run}' waits for it"
            for given in inputs.values():
                if given.ref is not None:
                    _add(snapshot, old, given.ref, waits)
            own = f"{escape(run.work.release)}/"
            for glob in [Glob(one) for one in function.dependencies if not one.startswith(own)]:
                for release in old.values():
                    if _could_match_below(glob, release.ref):
                        release.reasons.append(waits)


def _could_match_below(glob: Glob, ref: str) -> bool:
    state = glob.start
    for segment in ref.split("/"):
        state = state.through(segment).slash()
    return not state.dead


def _add(snapshot: Snapshot, old: dict[str, OldRelease], ref: str, reason: str) -> None:
    """Add a reason to the releases that a ref names, as it is written and behind links. Raises LinkCycle, Damaged."""
    for named in {_release_of(ref), _release_of(snapshot.resolve(ref))}:
        if named in old:
            old[named].reasons.append(reason)


def _release_of(ref: str) -> str | None:
    """The numbered release, as its ref is spelled, that a ref of state is in; None for any other."""
    head, marker, rest = f"/{ref.partition('#')[0]}".partition(f"/{STATE}")
    name = rest.partition("/")[0]
    number = name.removeprefix("r")  # in dialect 1 that is a tag, and none of the releases that are asked for
    is_number = bool(marker) and number.isascii() and number.isdigit() and len(number) < 10
    return f"{head[1:]}/{STATE}{name[: len(name) - len(number)]}{int(number)}" if is_number and head else None


def _keep_what_is_named(tree: StoreTree, old: dict[str, OldRelease]) -> None:
    """Add to the reasons links and dependants elsewhere; those in releases that go themselves do not count."""
    named_by: dict[str | None, list[tuple[str, str]]] = {}
    for ref, release in old.items():
        for source, reason in _sources(tree, release):
            named_by.setdefault(_release_of(source), []).append((ref, reason))
    stay = [source for source in named_by if source not in old or old[source].reasons]
    stay += [ref for ref, release in old.items() if release.reasons and ref not in named_by]
    while stay:
        for ref, reason in named_by.pop(stay.pop(), ()):
            if not old[ref].reasons:
                stay.append(ref)
            old[ref].reasons.append(reason)


def _sources(tree: StoreTree, release: OldRelease) -> Iterator[tuple[str, str]]:
    """What leads to a release from elsewhere: the refs, and in words."""
    for link in sorted(release.ties.listed - release.own_links):
        found = tree.object(link)
        if found is not None and found.target is not None and release.ties.is_inside(split_target(found.target)[0]):
            yield link, f"'{link}' leads to it"
    for dependant, _ in tree.edges_below(edge_directories(release.ref)[1]):
        if not release.ties.is_inside(dependant):
            yield dependant, f"'{dependant}' depends on it"


def chosen_packages(snapshot: Snapshot, globs: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """The packages of state and intent, and of some `others`, that match any of the globs; all for none.

    Raises NotFound for a glob that matches none.
    """
    known = {*packages(state_tree(snapshot)), *others}
    if snapshot.has_intent():
        known.update(packages(intent_tree(snapshot)))
    patterns = list(globs)
    if not patterns:
        return sorted(known)
    found: set[str] = set()
    for pattern in patterns:
        matching = {package for package in known if Glob(pattern).matches(package)}
        if not matching:
            raise NotFound(
                f"no package matches '{pattern}'", hint="a package is repo/-/path, in this repository //path"
            )
        found |= matching
    return sorted(found)
