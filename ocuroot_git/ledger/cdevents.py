"""What happens in deliveries, told as CDEvents (https://cdevents.dev), from the changes of the stores (design 12).

A release is a pipeline run, a run of its work a task run, a package in an environment a service. What the names in the
tree and the documents say before a commit and after it is read, in every dialect; what cannot be read is left out.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from ..delivery import lenient, vocabulary
from ..delivery.addresses import package_of, release_number
from ..delivery.problems import BAD
from ..delivery.run_queries import deployed
from ..formats.layout import StoreError
from ..formats.refs import STATE, Ref, RefError, number_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..delivery.addresses import RunRef
    from ..delivery.fields import Fields
    from ..formats.documents import Document
    from ..store.changes import Change, ChangedCommit
    from ..store.snapshot import Snapshot
    from ..store.tree import StoreTree

SPECIFICATION: Final = "0.5.1"
_VERSION: Final = "0.3.0"
"""That of each type of events told here."""
_OUTCOMES: Final = {
    vocabulary.COMPLETE: "success",
    vocabulary.FAILED: "failure",
    vocabulary.CANCELLED: "cancel",
}
_CHANGES: Final = {"created": "created", "updated": "modified", "deleted": "deleted"}
_DIGEST: Final = re.compile(
    r"(?:(?P<name>[^\s@]+)@)?(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})(?P<rest>\?\S*)?"
)
_PACKAGE_URL: Final = re.compile(r"pkg:[A-Za-z][A-Za-z0-9.+-]*/(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""How a package URL begins that has a type and a name, and nothing that no URL holds."""
_REST: Final = re.compile(r"(?:[\w.~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})*", re.ASCII)

QUEUED: Final = "queued"
RUNNING: Final = "running"
FINISHED: Final = "finished"


def events(commit: ChangedCommit) -> Iterator[Fields]:
    """The CDEvents of a commit, always the same in the same order. Raises what reading its changes raises.

    The id of each names the commit, the ref that it is about, and what happened.
    """
    return _Translation(commit).events()


class _Translation:
    """The events of one commit."""

    def __init__(self, commit: ChangedCommit) -> None:
        self._commit = commit
        self._source = f"/{quote(commit.after.base.repo)}"
        self._releases: set[str] = set()
        self._services: set[tuple[str, str]] = set()
        self._finished: list[Fields] = []
        """That releases are finished: told after their last runs are."""

    def events(self) -> Iterator[Fields]:
        for change in self._commit.changes():
            yield from self._of(change)
        yield from self._finished

    def _of(self, change: Change) -> Iterator[Fields]:
        try:
            ref = Ref.parse(change.ref)
        except RefError:
            return
        if ref.is_intent:
            return
        names = ref.name.split("/")
        release = str(ref.replace(type="", name=""))
        if ref.is_global:
            if ref.type == "environment" and len(names) == 1 and change.change in _CHANGES:
                what = _CHANGES[change.change]
                yield self._event(change, "environment", what, change.ref, ref.name, {"name": ref.name})
        elif not ref.type:
            if release_number(release) and change.change == "created" and lenient.is_release(change.new):
                content: Fields = {"pipelineName": package_of(release), "uri": _uri(change.ref)}
                yield self._event(change, "pipelinerun", "queued", change.ref, change.ref, content)
        elif ref.type in (vocabulary.CALL, vocabulary.DEPLOY):
            if len(names) == 4 and names[2] == "status" and change.change == "created":
                if number_in(names[1]) is not None:
                    yield from self._status(change, ref.type, names[0], names[3])
            elif ref.type == vocabulary.DEPLOY and len(names) == 1:
                yield from self._service(change, package_of(release), ref.name)

    # Runs and releases

    def _status(self, change: Change, kind: str, name: str, status: str) -> Iterator[Fields]:
        """What it says that a run has got a status."""
        run = change.ref.rpartition("/status/")[0]
        stored = change.stored.rpartition("/status/")[0]
        stored_release = lenient.split_work(stored)[0]
        release = change.ref[: len(stored_release)]
        package = package_of(release)
        was_paused = _was_paused(change.stores.before, stored)
        # The original takes a run's marker away in one commit and makes the next in another. So a run without any was
        # running before it ended or paused, and waited before it ran.
        unmarked = vocabulary.RUNNING
        if status not in (*_OUTCOMES, vocabulary.PAUSED) and not was_paused:
            unmarked = vocabulary.PENDING if status in (vocabulary.PENDING, vocabulary.RUNNING) else status
        yield from self._progress(change, stored_release, release, package, unmarked)
        content: Fields = {"taskName": f"{kind}/{name}", "uri": _uri(run), "pipelineRun": {"id": release}}
        if status == vocabulary.RUNNING and not was_paused:
            yield self._event(change, "taskrun", "started", run, run, content)
        if status != _outcome_of(change.stores.after, stored):
            return
        outcome = {**content, "outcome": _OUTCOMES[status]}
        yield self._event(change, "taskrun", "finished", run, run, outcome)
        if status == vocabulary.COMPLETE and kind == vocabulary.CALL:
            output = lenient.output(lenient.body(change.stores.after, stored))
            for field, artifact in _artifacts(output, release):
                about = f"{run}#{_in_an_id(field)}"
                yield self._event(change, "artifact", "published", about, artifact, {}, {"release": release})

    def _progress(self, change: Change, stored: str, release: str, package: str, unmarked: str) -> Iterator[Fields]:
        """How far a release is, where a commit changed that: once for each.

        `unmarked` is how a run stood before that had no marker.
        """
        if release in self._releases:
            return
        self._releases.add(release)
        before = "" if change.stores.before is None else _progress_of(change.stores.before, stored, unmarked)[0]
        now, failed, outcome = _progress_of(change.stores.after, stored)
        content: Fields = {"pipelineName": package, "uri": _uri(release)}
        if now == RUNNING != before or (now == FINISHED and before not in (RUNNING, FINISHED)):
            yield self._event(change, "pipelinerun", "started", release, release, content)
        if now == FINISHED != before:
            told = {**content, "outcome": outcome, **({"errors": f"failed: {', '.join(failed)}"} if failed else {})}
            self._finished.append(self._event(change, "pipelinerun", "finished", release, release, told))

    # Services

    def _service(self, change: Change, package: str, name: str) -> Iterator[Fields]:
        """What became of a package in an environment, once for each."""
        if (package, name) in self._services:
            return
        self._services.add((package, name))
        try:
            now = deployed(self._commit.after, package, name)
        except (*BAD, StoreError):
            return  # whether it was taken down, or which release there is, nobody can say
        before, was_known = self._deployed_before(package, name)
        if before == now and was_known:
            return
        content: Fields = {"environment": {"id": name}}
        more: Fields = {
            "release": None if now is None else now.work.release,
            "from": None if before is None else before.work.release,
        }
        if now is not None:
            content["artifactId"] = _artifact_of(change.stores.after, self._commit.after, now.work.release)
        if now is None or before is None:
            what = "removed" if now is None else "deployed"
        else:
            numbers = [release_number(run.work.release) for run in (before, now)]
            what = "rolledback" if numbers[1] < numbers[0] else "upgraded"
        about = f"{package}/@/{vocabulary.DEPLOY}/{name}"
        yield self._event(change, "service", what, about, package, content, more)

    def _deployed_before(self, package: str, name: str) -> tuple[RunRef | None, bool]:
        """The run that was deployed before the commit, None for none; and whether that could be read."""
        try:
            return None if self._commit.before is None else deployed(self._commit.before, package, name), True
        except (*BAD, StoreError):
            return None, False

    def _event(
        self,
        change: Change,
        subject: str,
        what: str,
        about: str,
        identity: str,
        content: Fields,
        more: Fields | None = None,
    ) -> Fields:
        commit = self._commit
        return {
            "context": {
                "specversion": SPECIFICATION,
                "id": f"{commit.commit.oid}:{about}:{subject}.{what}",
                "source": self._source,
                "type": f"dev.cdevents.{subject}.{what}.{_VERSION}",
                # A date that no calendar has is none that the specification has.
                "timestamp": commit.time if commit.time[0] != "@" else "1970-01-01T00:00:00Z",
            },
            "subject": {"id": identity, "content": content},
            "customData": {
                "ref": change.ref,
                "commit": commit.commit.oid,
                "actor": commit.actor,
                "command": commit.command,
                "operation": commit.operation,
                **(more or {}),
            },
            "customDataContentType": "application/json",
        }


def _progress_of(tree: StoreTree, release: str, unmarked: str = vocabulary.PENDING) -> tuple[str, list[str], str]:
    """How far a release is (stored ref; empty: it has no work), what of its work failed, and its outcome.

    Work that was once completed is done: later runs of it, as those that take a deployment down, are runs of their own.
    Work whose last run has no marker counts as `unmarked`.
    """
    statuses: dict[str, str] = {}
    for work in lenient.release(tree, release).work:
        is_done = lenient.body(tree, f"{release}/{work.below}") is not None
        statuses[work.below] = vocabulary.COMPLETE if is_done else work.status or unmarked
    if not statuses:
        return "", [], ""
    if any(status in vocabulary.OPEN for status in statuses.values()):
        is_begun = any(status != vocabulary.PENDING for status in statuses.values())
        return RUNNING if is_begun else QUEUED, [], ""
    failed = [below for below, status in statuses.items() if status.startswith(vocabulary.FAILED)]
    is_cancelled = vocabulary.CANCELLED in statuses.values()
    if not failed and not is_cancelled and _waits_for_work(tree, release, statuses):
        return RUNNING, [], ""
    return FINISHED, failed, "failure" if failed else "cancel" if is_cancelled else "success"


def _waits_for_work(tree: StoreTree, release: str, known: Iterable[str]) -> bool:
    """Whether a release defines work that is not there: the original makes it when all before it is complete."""
    there = set()
    for below in known:
        word, _, name = below.partition("/")
        there.add((vocabulary.DEPLOY if word == vocabulary.DEPLOY else vocabulary.CALL, name))
    for _, specs in lenient.phases(lenient.body(tree, release)):
        for spec in specs:
            if spec.name and (spec.kind, spec.name) not in there:
                return True
            if spec.selector is not None and not any(kind == vocabulary.DEPLOY for kind, _ in there):
                environments = (f"{STATE}/environment/{name}" for name in lenient.names(tree, f"{STATE}/environment"))
                if any(spec.matches(lenient.body(tree, environment)) for environment in environments):
                    return True
    return False


def _was_paused(tree: StoreTree | None, run: str) -> bool:
    """Whether a run (stored ref) was paused, and so had begun, before it runs.

    The original has taken the marker away by then: what was paused goes on with another function.
    """
    if tree is None:
        return False
    status = lenient.status_of(tree, run)
    return status == vocabulary.PAUSED or (not status and len(lenient.functions_of(tree, run)) > 1)


def _outcome_of(tree: StoreTree, run: str) -> str:
    """The status by which a run (stored ref) has ended; empty where it has not.

    Of several markers, as a crash can leave them, the same counts as everywhere: so no run ends twice in a commit.
    """
    found = lenient.names(tree, f"{run}/status")
    return next((status for status in lenient.STATUSES if status in found and status in _OUTCOMES), "")


def _artifact_of(tree: StoreTree, snapshot: Snapshot, release: str) -> str:
    """The artifact of a release as a package URL: the only one that its calls put out, else the release itself."""
    found: dict[str, None] = {}
    stored = tree.layout.spellings(snapshot.absolute(release))[0]
    for work in lenient.release(tree, stored).work:
        if work.word != vocabulary.DEPLOY:
            output = lenient.output(lenient.body(tree, f"{stored}/{work.below}"))
            found.update(dict.fromkeys(artifact for _, artifact in _artifacts(output, release)))
    return next(iter(found)) if len(found) == 1 else _release_url(release)


def _artifacts(output: Document, release: str) -> Iterator[tuple[str, str]]:
    """The artifacts that outputs name by a digest: the field of each, and a package URL."""
    todo = [("output", output)]
    while todo:
        field, value = todo.pop()
        if isinstance(value, dict):
            # As in a fragment: of two keys no two fields are called the same.
            keys = ((key.replace("~", "~0").replace("/", "~1"), one) for key, one in reversed(value.items()))
            todo += [(f"{field}/{key}", one) for key, one in keys]
        elif isinstance(value, list):
            todo += [(f"{field}/{number}", one) for number, one in reversed(list(enumerate(value)))]
        elif isinstance(value, str) and (parts := _DIGEST.fullmatch(value)) is not None:
            url = _package_url(parts, release)
            if url is not None:
                yield field, url


def _package_url(parts: re.Match[str], release: str) -> str | None:
    """What an output names, as a package URL: one as it is, an image of a registry, a digest alone. None for none."""
    name, digest, rest = parts["name"], parts["digest"], parts["rest"] or ""
    if name is None:
        return f"{_release_url(release)}?checksum={digest}"
    if name.startswith("pkg:"):
        is_one = _PACKAGE_URL.fullmatch(name) is not None and _REST.fullmatch(rest) is not None
        return f"{name}@{digest.replace(':', '%3A')}{rest}" if is_one else None
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    if not last or not name.isprintable():
        return None
    where = f"?repository_url={quote(f'{head}{slash}{last}', safe='/:')}" if head else ""
    tagged = f"{'&' if where else '?'}tag={quote(tag)}" if tag else ""
    return f"pkg:oci/{quote(last.lower())}@{digest.replace(':', '%3A')}{where}{tagged}"


def _release_url(release: str) -> str:
    """A release of a package as a package URL."""
    words = [quote(word) for word in package_of(release).split("/") if word != "-"]
    return f"pkg:generic/{'/'.join(words)}@{release_number(release)}"


def _in_an_id(field: str) -> str:
    """A field of an output without what no id may hold, as its keys may; no two fields become the same."""
    return field if field.isprintable() and "%" not in field else quote(field, safe="/~", errors="surrogatepass")


def _uri(ref: str) -> str:
    """A ref as an absolute URI."""
    return f"ocuroot:{quote(ref, safe='/@')}"
