"""The page of one ref: a document with all that is known of it, and a picture where it is a release or a run.

Every ref has one page. What is on it depends on what the ref leads to, links followed: a package, a release, a piece
of work, a run, a log, an environment, or just a document.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.pruned import entry_of
from ..delivery.vocabulary import CALL, DEPLOY
from ..errors import Error, NotFound
from ..formats.globs import escape
from ..formats.layout import REFS, Damaged, StoredRef, edge_directories, object_path
from ..formats.refs import Ref, RefError, version_key
from . import releases
from .changes import change_of, commit_to_start_from, document_history, fetch_history
from .environment_page import environment
from .facts import read_object
from .lists import package_row
from .logs import END, Part, log

if TYPE_CHECKING:
    from ..formats.layout import ShownRef, StoredObject
    from ..git.objects import Oid
    from ..store.tree import StoreTree
    from .facts import Facts

Page = dict[str, Any]

_MOST_BELOW = 200
_MOST_EDGES = 500


class Subject:
    """What an address leads to: the ref as asked for, the tree, the stored ref behind all links, and the object."""

    def __init__(self, facts: Facts, text: str) -> None:
        self.text = text
        self.problem = ""
        self.object: StoredObject | None = None
        self.tree: StoreTree = facts.state
        self.stored = StoredRef(text)
        self.ref: Ref | None = None
        try:
            parsed = facts.snapshot.absolute(text)
        except RefError:
            # A document whose path is no valid ref has a page all the same, but not what is no path in a store: here
            # stands what keeps an address from leaving the directory of a store that lies in one.
            if any(segment in ("", ".", "..") for segment in text.split("/")) or not text.isprintable():
                raise NotFound(f"there is nothing at '{text}'") from None
            self._read()
            return
        self.tree = facts.snapshot.tree(parsed)
        try:
            self.stored = self.tree.locate(parsed).stored
            self.ref = Ref.parse(self.stored)
        except RefError:
            pass
        except Error as error:
            self.problem = error.message
            self.stored = self.tree.layout.spellings(parsed)[0]
            return
        self._read()
        if self.object is None and not self.problem:
            self._read_unresolved(parsed)

    def require_readable(self) -> None:
        """Raise Damaged where the page would tell that the document cannot be read."""
        if self.object is None and self.problem:
            self.tree.object(self.stored)

    def _read(self) -> None:
        try:
            self.object = self.tree.object(self.stored)
        except Damaged as error:
            self.problem = error.message

    def _read_unresolved(self, parsed: Ref) -> None:
        """Where links lead to nothing: the link itself, or the document at just this ref that they hide."""
        target = self.shown
        for stored in self.tree.layout.spellings(parsed):
            found, problem = read_object(self.tree, stored)
            if found is None and not problem:
                continue
            self.stored, self.ref = stored, parsed
            if found is not None and found.kind == "link":
                self.problem = f"this is a link to '{target}', where there is nothing"
            else:
                self.object = found
                self.problem = problem or f"a link hides this document: its ref leads to '{target}'"
            return

    @property
    def shown(self) -> ShownRef:
        return self.tree.layout.shown(self.stored)

    @property
    def body(self) -> Any:
        return self.object.body if self.object is not None and self.object.kind == "ref" else None


def leads_somewhere(facts: Facts, text: str) -> bool:
    """Whether a ref has a page: a document, something below it, or a problem with it that the page tells."""
    try:
        subject = Subject(facts, text)
    except NotFound:
        return False
    return _is_there(subject, *_kind(facts, subject, 1, END))


def _is_there(subject: Subject, kind: str, extra: Page) -> bool:
    if subject.object is not None or subject.problem or subject.tree.node(f"{REFS}/{subject.stored}") is not None:
        return True
    if kind == "log":
        return bool(extra["log"]["is_running"] and extra["log"]["total"])  # it is recorded when the run has ended
    # An environment without a document may still have something deployed.
    return kind == "environment" and extra["environment"]["deployments"]["total"] > 0


def page(facts: Facts, text: str, number: int, part: Part = END) -> Page:
    """The page of a ref; `number` is which page of its list, `part` which part of its log.

    Raises NotFound where there is nothing at, above or below it that could be shown.
    """
    subject = Subject(facts, text)
    kind, extra = _kind(facts, subject, number, part)
    below = _below(facts, subject)
    pruned = _pruned(facts, subject)
    if not _is_there(subject, kind, extra) and pruned is None:
        raise NotFound(f"there is nothing at '{text}'")
    backend, directory = facts.snapshot.backend_of(subject.tree)
    version = facts.snapshot.version(backend)
    made: Page = {
        "ref": text,
        "resolved": subject.shown,
        "kind": kind,
        "problem": subject.problem,
        "pruned": pruned,
        "exists": subject.object is not None,
        "body": subject.body,
        "body_type": subject.object.body_type if subject.object is not None else None,
        "oid": subject.tree.oid(subject.stored) if subject.object is not None else None,
        "links": sorted(map(subject.tree.layout.shown, subject.object.links)) if subject.object is not None else [],
        "below": below[:_MOST_BELOW],
        "below_more": len(below) > _MOST_BELOW,
        "history": None,
        **_edges(subject),
        **extra,
    }
    if not facts.tells_history or subject.object is None:
        return made
    if backend.repository is not None and version.oid is not None:
        path = directory + object_path(subject.stored)
        made["history"] = document_history(facts.snapshot, backend, version.oid, path, most=10, look_at=300)
    return made


def _pruned(facts: Facts, subject: Subject) -> str | None:
    """The last commit that has what was pruned with its release; None where nothing was, or something is there."""
    if subject.ref is None or subject.object is not None:
        return None
    try:
        entry = entry_of(facts.snapshot, subject.ref)
    except Error:
        return None
    return entry.of(subject.ref.is_intent) if entry is not None else None


def history(facts: Facts, text: str, start: Oid | None) -> Page:
    """The history of the document at a ref, a page at a time, with what each commit changed in it."""
    subject = Subject(facts, text)
    backend, directory = facts.snapshot.backend_of(subject.tree)
    repository, tip = facts.history_of(subject.tree)
    fetch_history(backend)
    oid = commit_to_start_from(backend, start) or tip
    path = directory + object_path(subject.stored)
    found = document_history(facts.snapshot, backend, oid, path, most=20)
    for entry in found["entries"]:
        entry["difference"] = change_of(repository, entry["commit"], path)
    is_there = subject.object is not None
    return {"ref": text, "resolved": subject.shown, "exists": is_there, "is_start": start is None, **found}


def _kind(facts: Facts, subject: Subject, number: int, part: Part) -> tuple[str, Page]:
    """What a ref is, and what its page shows beyond the document."""
    ref = subject.ref
    if ref is None:
        return "document", {}
    if not ref.marker:
        return _place_kind(facts, ref, number)
    if ref.is_intent or subject.tree is not facts.state:
        return "intent", {}
    if ref.is_global:
        if ref.type == "environment":
            return "environment", {"environment": environment(facts, ref.name, number)}
        return "document", {}
    if not ref.type:
        return (
            ("release", {"release": releases.release(facts, subject.stored)}) if _is_release(facts, subject) else _PLAIN
        )
    rest = ref.name.partition("/")[2]
    run, _, tail = rest.partition("/")
    if ref.type not in (CALL, DEPLOY) or (rest and not run.isdigit()):
        return _PLAIN
    if not rest:
        return "work", {"work": releases.work(facts, subject.stored)}
    if tail == "logs":
        return "log", {
            "log": log(facts, subject.stored, part),
            "run_ref": subject.stored.removesuffix("/logs"),
        }
    return ("run", {"run": releases.run_page(facts, subject.stored)}) if not tail else _PLAIN


_PLAIN: tuple[str, Page] = ("document", {})


def _is_release(facts: Facts, subject: Subject) -> bool:
    return lenient.is_release(subject.body) or bool(facts.release(subject.stored).work)


def _place_kind(facts: Facts, ref: Ref, number: int) -> tuple[str, Page]:
    """A repository or a package: a ref without a marker."""
    stored = str(ref)
    names = facts.package_names()
    inside = [name for name in names if ref.repo and not ref.path and name.startswith(f"{ref.repo}/-")]
    if stored in names:
        rows = [package_row(facts, facts.package(name)) for name in inside if name != stored]
        return "package", {"package": releases.package(facts, stored, number), "packages": rows}
    if inside:
        return "repository", {"packages": [package_row(facts, facts.package(name)) for name in inside]}
    return _PLAIN


# What is around a document


def _below(facts: Facts, subject: Subject) -> list[str]:
    """Documents below a ref, as far as a page can hold them, and one more where there are more."""
    if subject.ref is not None and not subject.ref.marker:
        return []  # packages and repositories list their releases themselves
    shown = subject.shown
    side = "intent" if "/+" in f"/{shown}" else "state"
    found = islice(facts.snapshot.entries([f"{escape(shown)}/**"], side=side), _MOST_BELOW + 1)  # type: ignore[arg-type]
    return sorted((entry.ref for _, entry in found), key=version_key)


def _edges(subject: Subject) -> Page:
    dependencies, dependants = (_ends(subject.tree, top, subject.stored) for top in edge_directories(subject.stored))
    return {"dependencies": dependencies, "dependants": dependants}


def _ends(tree: StoreTree, top: str, stored: StoredRef) -> list[ShownRef]:
    """The other ends of the edges of a document, as they are shown; the first ones where there are very many."""
    return sorted(map(tree.layout.shown, islice(tree.edge_ends(top, stored), _MOST_EDGES)), key=version_key)
