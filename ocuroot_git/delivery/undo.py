"""Undo: the inverse of what one commit did to intents, custom documents and environments, as a new commit (design 13).

What a commit says of releases and runs is the record of what happened, and is not undone: what was deployed stays
deployed, whatever is written of it.
"""

from __future__ import annotations

from ..backends.base import Version
from ..errors import Conflict, Error, Fatal, NotFound
from ..formats.documents import same_text
from ..formats.layout import SIDES, StoredObject, StoredRef, object_path, stored_ref
from ..formats.refs import Ref, RefError
from ..formats.times import format_seconds
from ..store.history import changed_files, changing_commits, require_history
from ..store.prefetch import prefetch_changes
from ..store.snapshot import Snapshot
from ..store.transaction import Transaction
from .compare import asks_for_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..backends.base import Backend
    from ..formats.layout import ShownRef
    from ..formats.operation import Operation
    from ..git.objects import Commit, Oid
    from ..git.repository import Repository
    from ..store.stores import Stores
    from .fields import Fields

_UNDONE: Final = ("custom", "environment")
"""The types of documents of the state store that are undone."""
_LONGEST_SUBJECT: Final = 72


def undo(stores: Stores, revision: str | None, operation: Operation | None = None) -> Fields:
    """Undo a commit (None: the newest of the intent store); gives its id, and what became of each ref, as JSON has it.

    Raises NotFound where no store has the commit, Fatal for one that is not undone, and Conflict where what it changed
    was changed again. Of a remote store history must be here.
    """
    backend, commit = _find(stores.snapshot(), revision)
    first = commit.message.partition("\n")[0]
    first = first if len(first) <= _LONGEST_SUBJECT else f"{first[: _LONGEST_SUBJECT - 1]}…"
    return stores.transact(
        lambda tx: _undo(tx, backend, commit),
        command="undo",
        message=f"undo {commit.oid[:12]}: {first}",
        operation=operation,
    )


def dry_run(snapshot: Snapshot, revision: str | None) -> Fields:
    """What `undo` would do. Raises what it does."""
    backend, commit = _find(snapshot, revision)
    return _undo(Transaction(snapshot), backend, commit)


def _undo(tx: Transaction, backend: Backend, commit: Commit) -> Fields:
    changes = _changes(tx, backend, commit)
    for change in changes:
        change.check(tx, backend)
    for step in (_Change.take_away, _Change.put, _Change.link):  # a link is made when there is what it leads to
        for change in changes:
            step(change, tx)
    listed = [{"status": change.status, "ref": change.ref} for change in changes]
    return {"commit": commit.oid, "changes": listed}


# Which commit


def _find(snapshot: Snapshot, revision: str | None) -> tuple[Backend, Commit]:
    """The commit that a revision names, and the branch of the store that has it."""
    backends = [snapshot.backend_of(snapshot.side(side))[0] for side in reversed(SIDES) if _has_side(snapshot, side)]
    unknown: NotFound | None = None
    found: Oid | None = None
    for backend in backends:
        repository, tip = require_history(snapshot, backend)
        try:
            found = tip if revision is None else repository.resolve(revision)
        except NotFound as error:
            unknown = error
            continue
        if repository.is_ancestor(found, tip):
            return backend, repository.commit(found)
    if found is None and unknown is not None:
        raise unknown
    where = " or ".join(dict.fromkeys(backend.where for backend in backends))
    raise NotFound(f"commit {found or revision} is none of {where}", hint="'git ocuroot log' shows those there are")


def _has_side(snapshot: Snapshot, side: str) -> bool:
    return side == "state" or snapshot.has_intent()


def _at(snapshot: Snapshot, backend: Backend, repository: Repository, commit: Oid) -> Snapshot:
    """The stores where one backend is as a commit has it."""
    version = Version(commit, repository.root(commit))
    return Snapshot(snapshot.surroundings, {**snapshot.versions, backend: version})


def _asked(tx: Transaction, backend: Backend, commit: Commit, earlier: Snapshot, ref: ShownRef) -> bool:
    """Whether an intent asked for something before a commit of a backend; `earlier` has that backend as it was then."""
    if not asks_for_nothing(earlier, Ref.parse(ref)):
        return True
    # State may lie elsewhere, and what was asked for may have been taken down only since.
    before = format_seconds(int(commit.committer.time) - 1)
    versions = dict(earlier.versions)
    for other in versions:
        if other != backend:
            try:
                versions[other] = other.read(before)
            except Error:  # it has no history, or not that of then
                return False
    return not asks_for_nothing(Snapshot(tx.surroundings, versions), Ref.parse(ref))


def _parent(repository: Repository, commit: Commit) -> Oid:
    """The commit before one that can be undone. Raises Fatal for any other."""
    what = f"cannot undo commit {commit.oid[:12]}"
    is_cut = commit.oid in repository.history_ends()
    if not commit.parents and not is_cut:
        raise Fatal(f"{what}: it is the first of the store")
    if len(commit.parents) > 1:
        raise Fatal(f"{what}: it is a merge", hint="undo the commits that it brought, the newest first")
    if is_cut or not repository.has(commit.parents[0]):
        raise Fatal(f"{what}: the one before is not here", hint="'git fetch --unshallow' gets all of history")
    return commit.parents[0]


# What it changed


class _Change:
    """What a commit did to a ref: the object before it and after it, None for none."""

    def __init__(
        self,
        ref: ShownRef,
        stored: StoredRef,
        before: StoredObject | None,
        after: StoredObject | None,
        *,
        asked: bool = False,
    ) -> None:
        self.ref = ref
        self.before = before
        self.after = after
        self._stored = stored
        self._asked = asked
        """Whether it was an intent of a deployment, and asked for something before the commit."""

    @property
    def status(self) -> str:
        """A letter as git has it, for what becomes of the ref when that is undone."""
        return "A" if self.after is None else "D" if self.before is None else "M"

    def check(self, tx: Transaction, backend: Backend) -> None:
        """Raise Conflict unless the ref is as the commit left it."""
        tree = tx.tree(Ref.parse(self.ref))
        now = tree.object(self._stored)
        is_same = _same(now, self.after)
        if is_same and self.before is None and now is not None and self.after is not None:
            is_same = {*now.links} == {*self.after.links}  # to delete it would delete later links to it
        if not is_same:
            raise Conflict(f"'{self.ref}' was changed again{self._later(tx, backend)}", hint="undo that first")
        is_link = now is not None and now.kind == "link"
        if not is_link and tx.resolve(self.ref) != self.ref:
            raise Conflict(f"'{self.ref}' leads to '{tx.resolve(self.ref)}' now")

    def _later(self, tx: Transaction, backend: Backend) -> str:
        """Which commit changed it last, in words."""
        repository, tip = backend.repository, tx.version(backend).oid
        if repository is None or tip is None:
            return ""
        then = Snapshot(tx.surroundings, tx.versions)
        directory = then.backend_of(then.tree(Ref.parse(self.ref)))[1]
        graph = tx.surroundings.commit_graph
        for commit, _ in changing_commits(repository, tip, [directory + object_path(self._stored)], graph=graph):
            return f" by commit {commit.oid[:12]}"
        return ""

    def take_away(self, tx: Transaction) -> None:
        """Take away what the commit made, and what it made of another kind."""
        after = self.after
        if after is None or (self.before is not None and self.before.kind == after.kind == "ref"):
            return
        if after.kind == "link":
            if tx.object(self.ref) is not None:  # it may be gone with what it led to
                tx.unlink(self.ref)
        elif tx.object(self.ref) is not None:
            tx.delete(self.ref)

    def put(self, tx: Transaction) -> None:
        """Put back the document that was there."""
        if self.before is None or self.before.kind != "ref":
            return
        tx.restore(self.ref, self.before)
        ref, body = Ref.parse(self.ref), self.before.body
        if self._asked and isinstance(body, dict) and asks_for_nothing(tx, ref):
            # What it asked for was taken down meanwhile, and early Ocuroot's intents look like traces of that then.
            tx.set(ref, {name: value for name, value in body.items() if name != "type"})

    def link(self, tx: Transaction) -> None:
        """Put back the link that was there."""
        if self.before is not None and self.before.target is not None:
            tx.link(self.ref, tx.tree(Ref.parse(self.ref)).layout.shown_target(self.before.target))


def _same(one: StoredObject | None, other: StoredObject | None) -> bool:
    """Whether two objects say the same, whatever links are listed in them, and however they are written."""
    if one is None or other is None:
        return one is other
    if (one.kind, one.body_type) != (other.kind, other.body_type):
        return False
    return same_text(one.body, other.body) and same_text(one.others, other.others)


def _changes(tx: Transaction, backend: Backend, commit: Commit) -> list[_Change]:
    """What a commit changed, by ref. Raises Fatal where some of it is not undone."""
    repository = backend.repository
    assert repository is not None
    parent = _parent(repository, commit)
    after, earlier = _at(tx, backend, repository, commit.oid), _at(tx, backend, repository, parent)
    before_root, after_root = repository.root(parent), repository.root(commit.oid)
    if repository.is_partial:
        prefetch_changes(repository, [(before_root, after_root)])
    trees = {}
    for side in SIDES:
        tree = after.side_or_none(side)
        if tree is not None and after.backend_of(tree)[0] == backend:
            trees[after.backend_of(tree)[1]] = tree
    found = []
    strange = None
    for path, was, is_now in changed_files(repository, before_root, after_root):
        directory = next((one for one in sorted(trees, reverse=True) if path.startswith(one)), None)
        stored = None if directory is None else stored_ref(path[len(directory) :])
        if directory is None or stored is None:
            strange = strange or path
            continue  # a ref tells more, where it changed one that is not undone either
        objects = [None if node is None else StoredObject.read(repository.data(node), path) for node in (was, is_now)]
        ref = trees[directory].layout.shown(stored)
        if _same(*objects):
            continue  # only the list of links to it, which is kept with those
        if not _is_undone(ref):
            raise _refusal(commit, ref)
        asked = objects[0] is not None and _asked(tx, backend, commit, earlier, ref)
        found.append(_Change(ref, stored, *objects, asked=asked))
    if strange is not None:
        raise _refusal(commit, strange)
    if not found:
        raise Fatal(f"cannot undo commit {commit.oid[:12]}: it changed nothing")
    return sorted(found, key=lambda change: change.ref)


def _is_undone(ref: ShownRef) -> bool:
    try:
        parsed = Ref.parse(ref)
    except RefError:
        return False
    return parsed.is_intent or parsed.type in _UNDONE


def _refusal(commit: Commit, what: str) -> Fatal:
    return Fatal(
        f"cannot undo commit {commit.oid[:12]}: it changed '{what}', which is no intent and no custom document",
        hint="what has happened stays recorded; 'git ocuroot rollback' puts back what was deployed, "
        "'run cancel' and 'run retry' are for runs",
    )
