"""Transactions: changes to documents and links, collected and checked, then written as one commit (design 5.2, 5.3).

Only a `Transaction` has operations that change something, and only `store.Stores` makes one. What it has changed so far
lies in a `Draft` of each store, so that every operation sees those before it.
"""

from __future__ import annotations

from ..errors import Conflict, Fatal, NotFound
from ..formats.documents import Document, same_text
from ..formats.layout import (
    REFS,
    SIDES,
    StoredObject,
    StoredRef,
    edge_directories,
    edge_files,
    object_path,
    split_target,
)
from ..formats.refs import LONGEST, STATE, Ref, RefError
from ..git.objects import ABSENT, SHORTEST_ID
from .draft import Draft, too_long
from .snapshot import Snapshot, absent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from ..formats.layout import Layout, ShownRef, Side
    from ..git.objects import Oid
    from .tree import StoreTree, Ties
    from .walk import Entry

    Query = tuple[tuple[str, ...], Side | None, bool, tuple[str, ...]]
    """What `match` was asked for: globs, side, links, exclude."""


class Transaction(Snapshot):
    """Reads as a `Snapshot`, and changes: all of it takes effect in one commit, or nothing does."""

    def __init__(self, base: Snapshot) -> None:
        super().__init__(base.surroundings, base.versions)
        self._trees, self._prefixes = base._trees, base._prefixes
        self.matched = base.matched
        self._base = base
        self._drafts: dict[StoreTree, Draft] = {}
        self._verified: list[tuple[Ref, str]] = []
        self._matched: list[tuple[Query, list[tuple[ShownRef, Oid]]]] = []
        self.touched: dict[ShownRef, str] = {}
        self.holds_until: float | None = None
        """The moment, in seconds since the epoch, from which on what was found must be found out again."""

    def tree(self, ref: Ref) -> StoreTree:
        return self._draft(ref)

    def entries(
        self, globs: Iterable[str], *, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> Iterator[tuple[StoreTree, Entry]]:
        """As `Snapshot.entries`, in the stores as they were before this transaction."""
        query = (tuple(globs), side, links, tuple(exclude))
        matched = list(super().entries(query[0], side=side, links=links, exclude=query[3]))
        self._matched.append((query, _fingerprint(matched)))
        return iter(matched)

    def match(
        self, *globs: str, side: Side | None = None, links: bool = True, exclude: Iterable[str] = ()
    ) -> list[ShownRef]:
        """As `Snapshot.match`, in the stores as they were before this transaction."""
        return sorted(entry.ref for _, entry in self.entries(globs, side=side, links=links, exclude=exclude))

    def all_or_nothing(self) -> AbstractContextManager[None]:
        """What is changed within takes effect as a whole or, where it raises, not at all; what came before stays."""
        return _AllOrNothing(self)

    def set(self, ref: Ref | str, value: Document) -> None:
        """Make the document at `ref` be `value`; below a link, the one the link leads to."""
        ref = self.absolute(ref)
        draft, stored = self._target(ref)
        before = draft.object(stored)
        if before is not None and same_text(before.body, value):
            return
        if before is None:
            self._check_has_release(draft, ref, stored)
        links = before.links if before is not None else self._links_that_waited(draft, ref, stored)
        body_type = draft.layout.body_type(ref, value, before)
        others = before.others if before is not None else None
        draft.put_object(stored, StoredObject("ref", value, links, body_type, others))
        self._touch("set", draft, stored)

    def leave_for_others(self, stored: StoredRef, value: Document) -> None:
        """Leave a document for another program in the state store, at a place that refs do not tell from others.

        One that is there stays as it is.
        """
        draft = self._draft(Ref(marker=STATE))
        if draft.object(stored) is None:
            draft.put_object(stored, StoredObject("ref", value))
            self._touch("set", draft, stored)

    def restore(self, ref: Ref | str, content: StoredObject) -> None:
        """Make the document at just `ref` be one that was there once, with all that was kept about it, but for links.

        Which links lead there stays as it is.
        """
        ref = self.absolute(ref)
        draft, stored = self._target(ref)
        before = draft.object(stored)
        if before is None:
            self._check_has_release(draft, ref, stored)
        links = before.links if before is not None else self._links_that_waited(draft, ref, stored)
        draft.put_object(stored, content.with_links({*links}))
        self._touch("set", draft, stored)

    def create(self, ref: Ref | str, value: Document) -> None:
        """As `set`, of a document that must not exist yet. Raises Conflict."""
        ref = self.absolute(ref)
        draft, stored = self._target(ref)
        if draft.object(stored) is not None:
            raise Conflict(f"'{ref}' exists already")
        self.set(ref, value)

    def delete(self, ref: Ref | str) -> None:
        """Delete the document at `ref` (below a link: the one it leads to) and the links to it. Raises NotFound."""
        ref = self.absolute(ref)
        draft, stored = self._target(ref)
        content = draft.object(stored)
        if content is None:
            raise absent(ref)
        draft.put_object(stored, None)
        self._touch("delete", draft, stored)
        self._delete_links(draft, stored, content)

    def remove(self, ref: Ref | str, ties: Ties | None = None) -> None:
        """Take away what is at just `ref`, and all below it: documents, links, and the edges of their dependencies.

        The links that lead there go as well. `ties` are those of it, where they are known (`Draft.ties`). Raises
        Damaged and ObjectError for what cannot be read; what one is tied to is not known then.
        """
        ref = self.absolute(ref)
        self._check_whole(ref)
        draft = self._draft(ref)
        stored = self._spelling(draft, ref)
        ties = ties or draft.ties(stored)
        for link in sorted(ties.listed):
            content = draft.object(link)
            if content is not None and content.target is not None and ties.is_inside(split_target(content.target)[0]):
                draft.put_object(link, None)
                self._touch("unlink", draft, link)
                self._delete_links(draft, link, content)
        for link, target in ties.links:
            self._forget_link(draft, link, target)
        for directory in edge_directories(stored):
            for dependant, dependency in draft.edges_below(directory):
                for path in edge_files(dependant, dependency):
                    if not path.startswith(f"{directory}/") and draft.file(path) is not None:
                        draft.put(path, None)
            draft.drop(directory)
        draft.drop(f"{REFS}/{stored}")
        self._touch("delete", draft, stored)

    def verify(self, ref: Ref | str, oid: str) -> None:
        """Raise Conflict unless, before this transaction, the document at `ref` was the blob `oid` (ABSENT: none).

        The first digits of an id stand for it, 7 at least.
        """
        ref = self.absolute(ref)
        self._verified.append((ref, oid))
        tree = self._base.tree(ref)
        now = tree.oid(tree.locate(ref).stored) or ABSENT
        if not (now == oid.lower() or (SHORTEST_ID <= len(oid) < len(now) and now.startswith(oid.lower()))):
            expected = "there to be none" if oid == ABSENT else f"it at {oid}"
            raise Conflict(f"'{ref}' is {'absent' if now == ABSENT else 'at ' + now}, but expected {expected}")

    def link(self, ref: Ref | str, target: Ref | str) -> None:
        """Make `ref` a link to `target`, which must exist; a link that is there already is pointed anew.

        Raises Fatal where `ref` is a document, or where the link would hide documents below it.
        """
        ref, target = self.absolute(ref), self.absolute(target)
        draft = self._draft(ref)
        self._check_whole(ref)
        self._check_whole(target)
        if self._draft(target) is not draft:
            raise Fatal(f"cannot link '{ref}' to '{target}': one is in the state store, the other in the intent store")
        stored = self._spelling(draft, ref)
        target_stored = self._link_end(draft, target)
        before = draft.object(stored)
        if before is not None and before.kind == "ref":
            raise Fatal(f"cannot make '{ref}' a link: it is a document", hint="delete it first")
        if before is not None and before.target == target_stored:
            return
        if before is None:
            self._check_hides_nothing(draft, ref, stored)
        else:
            self._forget_link(draft, stored, before.body)
        draft.put_object(stored, StoredObject("link", target_stored, before.links if before is not None else ()))
        end = draft.object(target_stored)
        assert end is not None
        draft.put_object(target_stored, end.with_links({*end.links, stored}))
        draft.locate(ref)  # raises LinkCycle
        self._touch("link", draft, stored)

    def unlink(self, ref: Ref | str) -> None:
        """Take away the link at `ref` itself, and the links to it. Raises NotFound where there is none."""
        ref = self.absolute(ref)
        draft = self._draft(ref)
        self._check_whole(ref)
        stored = self._spelling(draft, ref)
        content = draft.object(stored)
        if content is None or content.kind != "link":
            raise NotFound(f"'{ref}' is no link")
        draft.put_object(stored, None)
        self._touch("unlink", draft, stored)
        self._forget_link(draft, stored, content.body)
        self._delete_links(draft, stored, content)

    def depend(self, ref: Ref | str, dependency: Ref | str) -> None:
        """Record that the document at `ref` depends on another. Neither need exist; links are not followed."""
        self._edge("depend", ref, dependency, present=True)

    def undepend(self, ref: Ref | str, dependency: Ref | str) -> None:
        """Take back what `depend` recorded. Raises NotFound where it was not."""
        self._edge("undepend", ref, dependency, present=False)

    def hold_until(self, moment: float) -> None:
        """Say that what this transaction found is so only until a moment: nobody else is to write it after that."""
        self.holds_until = moment if self.holds_until is None else min(self.holds_until, moment)

    def drafts(self) -> Iterator[Draft]:
        """The trees that were read or changed, as they are in this transaction."""
        yield from self._drafts.values()

    def what_was_read(self, draft: Draft) -> tuple[dict[str, Oid | None], dict[str, list[str]]] | None:
        """What a tree of this transaction was asked for, all that `replay` looks at again; None where that is too much.

        So it is where a directory goes as a whole. Gives the ids of files and directories by path, None for what was
        not there, and the names in directories. What was found by a pattern counts as the directory in which it looks.
        """
        if draft.is_read_whole or any(path.endswith("/") for path in draft.changes):
            return None
        base = draft.base
        verified = Draft(base)
        for ref, _ in self._verified:
            if self._base.tree(ref) is base:
                verified.file(object_path(verified.locate(ref).stored))
        paths = {*draft.seen, *verified.seen}
        for (globs, side, _, _), _ in self._matched:
            if any(tree is base for tree, _ in self._searched(side)):
                paths |= {_searched_in(glob, base.layout) for glob in globs}
        if REFS in paths:
            return None
        nodes = {path: base.node(path) for path in paths}
        objects = {path: None if node is None else base.files.oid(node) for path, node in nodes.items()}
        return objects, {**draft.listed, **verified.listed}

    def changes(self) -> list[tuple[StoreTree, dict[str, bytes | None]]]:
        """What is to be written: for each store that changes, contents of files by path from its top."""
        return [(base, draft.changes) for base, draft in self._drafts.items() if draft.changes]

    def replay(self, newer: Transaction) -> None:
        """Make the same changes in a transaction on a newer snapshot. Raises Conflict where that is not safe."""
        for ref, oid in self._verified:
            newer.verify(ref, oid)
        for (globs, side, links, exclude), matched in self._matched:
            if _fingerprint(newer.entries(globs, side=side, links=links, exclude=exclude)) != matched:
                raise Conflict(f"what matches '{' '.join(globs)}' was changed meanwhile by another writer")
        for side in SIDES:
            draft = self._drafts.get(self._trees[side]) if side in self._trees else None
            if draft is not None:
                draft.replay(newer._draft_of(newer._base.side(side)))
        newer.touched.update(self.touched)
        if self.holds_until is not None:
            newer.hold_until(self.holds_until)

    def _edge(self, verb: str, ref: Ref | str, dependency: Ref | str, *, present: bool) -> None:
        ref, dependency = self.absolute(ref), self.absolute(dependency)
        draft = self._draft(ref)
        self._check_whole(ref)
        self._check_whole(dependency)
        for end in (ref, dependency) if present else ():
            length = len(str(end).encode())
            if length > LONGEST:
                raise too_long(str(end), length)
        files = edge_files(draft.layout.spellings(ref)[0], draft.layout.spellings(dependency)[0])
        if not present and not any(draft.file(path) is not None for path in files):
            raise NotFound(f"'{ref}' does not depend on '{dependency}'")
        for path, content in files.items():
            if present or draft.file(path) is not None:
                draft.put(path, content if present else None)
        self._touch(verb, draft, draft.layout.spellings(ref)[0])

    def _draft(self, ref: Ref) -> Draft:
        return self._draft_of(self._base.tree(ref))

    def _draft_of(self, base: StoreTree) -> Draft:
        if base not in self._drafts:
            self._drafts[base] = Draft(base)
        return self._drafts[base]

    def _target(self, ref: Ref) -> tuple[Draft, StoredRef]:
        """The draft and the stored ref that a change of `ref` acts on."""
        self._check_whole(ref)
        draft = self._draft(ref)
        location = draft.locate(ref)
        if location.fragment:
            raise Fatal(f"cannot change '{ref}': it is a link to a part of '{draft.layout.shown(location.stored)}'")
        return draft, location.stored

    def _check_whole(self, ref: Ref) -> None:
        if ref.fragment:
            raise Fatal(
                f"cannot change '{ref}': documents are changed as a whole",
                hint=f"change '{ref.without_fragment()}' instead",
            )
        if ref.is_relative:
            raise Fatal(f"cannot change '{ref}': it is relative to nothing")

    def _spelling(self, draft: Draft, ref: Ref) -> StoredRef:
        """The stored ref of the object at just `ref`: the spelling that exists, else the store's own."""
        spellings = draft.layout.spellings(ref)
        existing = (s for s in spellings[1:] and spellings if draft.file(object_path(s)) is not None)
        return next(existing, spellings[0])

    def _link_end(self, draft: Draft, target: Ref) -> StoredRef:
        """The stored ref that a link to `target` names: itself where an object is there, else what it leads to."""
        stored = self._spelling(draft, target)
        if draft.file(object_path(stored)) is None:
            location = draft.locate(target)
            stored = location.stored
            if location.fragment or draft.file(object_path(stored)) is None:
                raise NotFound(f"cannot link to '{target}': there is no such document")
        return stored

    def _links_that_waited(self, draft: Draft, ref: Ref, stored: StoredRef) -> tuple[StoredRef, ...]:
        """The link that led to a document which is only now made, as dangling links of other programs do."""
        passed = draft.locate(ref).passed
        link = draft.object(passed[-1]) if passed else None
        return (passed[-1],) if link is not None and link.target == stored else ()

    def _check_has_release(self, draft: Draft, ref: Ref, stored: StoredRef) -> None:
        """Raise Fatal for what stands below `@` of no release: the first one, which `@` would mean, would hide it."""
        package, marker, below = f"{stored}/".partition("/@/")
        if marker and draft.layout.side != "intent" and not draft.layout.is_of_package(below.partition("/")[0]):
            raise Fatal(
                f"cannot set '{ref}': '{package}' has no release yet",
                hint=f"name the release: '{draft.layout.shown(StoredRef(package))}/{draft.layout.release_segment(1)}'",
            )

    def _check_hides_nothing(self, draft: Draft, ref: Ref, stored: StoredRef) -> None:
        for document in draft.documents_below(stored):
            shown = draft.layout.shown(document)
            try:
                reached = draft.locate(Ref.parse(shown)).stored
            except RefError:
                continue  # no ref leads there as it is
            if reached == document:
                raise Fatal(
                    f"cannot make '{ref}' a link: it would hide '{shown}'", hint="delete what is below it first"
                )

    def _delete_links(self, draft: Draft, stored: StoredRef, gone: StoredObject) -> None:
        """Delete the links to an object that was deleted, or to a part of it, and the links to those."""
        todo = [(stored, link) for link in gone.links]
        while todo:
            target, link = todo.pop()
            content = draft.object(link)
            if content is not None and content.target is not None and split_target(content.target)[0] == target:
                draft.put_object(link, None)
                self._touch("unlink", draft, link)
                todo += [(link, further) for further in content.links]

    def _forget_link(self, draft: Draft, link: StoredRef, target: str) -> None:
        """Take a link out of the list that its target keeps."""
        stored, _ = split_target(target)
        end = draft.object(stored)
        if end is not None and link in end.links:
            draft.put_object(stored, end.with_links({*end.links} - {link}))

    def _touch(self, verb: str, draft: Draft, stored: StoredRef) -> None:
        self.touched[draft.layout.shown(stored)] = verb


def _searched_in(glob: str, layout: Layout) -> str:
    """The directory below which lies all that a pattern can match, as its own letters say."""
    if layout.spells_intents_as_state:
        return REFS  # the names there are others than those of the pattern
    end = next((at for at, char in enumerate(glob) if char in "*?[{\\"), None)
    return "/".join(filter(None, (REFS, glob if end is None else glob[:end].rpartition("/")[0])))


class _AllOrNothing:
    """Takes back what was changed in a transaction since it was entered, where that ends in an error."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def __enter__(self) -> None:
        self._moments = {draft: draft.moment for draft in self._tx._drafts.values()}
        self._touched = len(self._tx.touched)

    def __exit__(self, kind: object, error: object, where: object) -> None:
        if kind is None:
            return
        for draft in self._tx._drafts.values():
            draft.undo(self._moments.get(draft, 0))
        while len(self._tx.touched) > self._touched:
            self._tx.touched.popitem()


def _fingerprint(matched: Iterable[tuple[StoreTree, Entry]]) -> list[tuple[ShownRef, Oid]]:
    """What was found by `match`: each ref with the id of its content."""
    return sorted((entry.ref, tree.files.oid(entry.node)) for tree, entry in matched)
