"""The one door to libgit2: repositories, trees, blobs, commits and branches. Nothing else imports pygit2.

`import pygit2` takes several times the start of the interpreter, most of it for parts that are not used here, so
only its compiled core is loaded (design section 9). Where the other half is needed, `_cffi_half` loads it late.

A *node* is a libgit2 object as it was found in a tree; nodes are handed to the methods here and never looked into.
"""

from __future__ import annotations

import os
import sys

from .errors import Fatal, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType
    from typing import Any, Final

    Node = Any
    """A blob or tree of the repository, as libgit2 gives it."""
    Changes = Mapping[str, bytes | None]
    """New contents of files by path; None where the file is to go."""

_OPEN_NO_SEARCH: Final = 1
_OPEN_FROM_ENV: Final = 1 << 4
_OPTION_ENABLE_CACHING: Final = 8
_OPTION_STRICT_HASH_VERIFICATION: Final = 22
_OPTION_SET_EXTENSIONS: Final = 32
_MODE_BLOB: Final = 0o100644
_MODE_TREE: Final = 0o040000
_TYPE_TREE: Final = 2


class RepositoryError(Fatal):
    """A repository cannot be opened; the message names the cause."""


class ObjectError(Fatal):
    """An object is missing or cannot be read or written."""


class Moved(Exception):
    """A branch no longer stands where it was read, or is held by another process: the caller may try again."""


class Identity:
    """Who writes a commit, and when: name, email, seconds since the epoch, minutes east of UTC."""

    __slots__ = ("email", "name", "offset", "time")

    def __init__(self, name: str, email: str, time: int, offset: int) -> None:
        self.name = name
        self.email = email
        self.time = time
        self.offset = offset


class Commit:
    """A commit as `log` needs it: id, parents, root node, message, author, committer."""

    __slots__ = ("author", "committer", "message", "oid", "parents", "root")

    def __init__(
        self, oid: str, parents: tuple[str, ...], root: Node, message: str, author: Identity, committer: Identity
    ) -> None:
        self.oid = oid
        self.parents = parents
        self.root = root
        self.message = message
        self.author = author
        self.committer = committer


class Repository:
    """An open repository: where its objects are read and written, and its branches moved."""

    def __init__(self, core: ModuleType, handle: Any) -> None:
        self._core: Any = core
        self._handle = handle
        self.git_dir: str = handle.path
        self.is_bare: bool = handle.is_bare
        self.common_dir = _common_dir(self.git_dir)
        self.work_tree: str | None = handle.workdir
        self._walks = False

    @classmethod
    def open(cls, directory: str, environ: Mapping[str, str]) -> Repository:
        """Open the repository that git would use in `directory`: that of `GIT_DIR`, else the nearest one upwards.

        Bare repositories, linked worktrees and alternates work. Raises RepositoryError, which names the cause.
        """
        core = _load_core()
        git_dir = environ.get("GIT_DIR")
        path = os.path.join(directory, git_dir) if git_dir else directory
        flags = _OPEN_FROM_ENV | (_OPEN_NO_SEARCH if git_dir else 0)
        try:
            return cls(core, _open(core, path, flags))
        except core.GitError as error:
            raise _explain(str(error), directory, git_dir) from None

    # Reading

    def tip(self, name: str) -> str | None:
        """The id of the commit at a full reference name (`refs/heads/state`), or None where there is none."""
        try:
            reference = self._handle.lookup_reference(name)
        except KeyError:
            return None
        except ValueError:
            raise Fatal(f"'{name}' is not a valid reference name") from None
        return str(reference.peel().id)

    def references(self, prefix: str) -> list[str]:
        """The full names of the references that begin with `prefix`."""
        names = map(os.fsdecode, self._handle.raw_listall_references())
        return sorted(name for name in names if name.startswith(prefix))

    def resolve(self, revision: str) -> str:
        """The id of the commit that a revision names, as in gitrevisions(7). Raises NotFound."""
        try:
            return str(self._handle.revparse_single(revision).peel(self._core.Commit).id)
        except (KeyError, ValueError, self._core.GitError):
            raise NotFound(f"bad revision '{revision}'") from None

    def root(self, commit: str) -> Node:
        """The root tree of a commit."""
        return self._commit(commit).tree

    def commit(self, oid: str) -> Commit:
        """A commit with its message."""
        found = self._commit(oid)
        return Commit(
            oid,
            tuple(str(parent) for parent in found.parent_ids),
            found.tree,
            found.raw_message.decode(errors="replace"),
            _identity(found.author),
            _identity(found.committer),
        )

    def child(self, tree: Node, name: str) -> Node | None:
        """The entry of a tree by its name, or None."""
        try:
            return tree[name]
        except KeyError:
            if not name or "/" in name:
                return None
            self._check_readable(tree, name)
            return None

    def children(self, tree: Node) -> Iterator[Node]:
        """The entries of a tree, in git's order."""
        try:
            return iter(tree)
        except (KeyError, self._core.GitError) as error:
            raise ObjectError(f"cannot read tree {tree.id}: {error}") from None

    def name(self, node: Node) -> str:
        """The name under which a node was found; bytes that are no UTF-8 become surrogates."""
        try:
            name: str = node.name
        except UnicodeDecodeError:
            name = node.raw_name.decode(errors="surrogateescape")
        return name

    def is_tree(self, node: Node) -> bool:
        """Whether a node is a tree (else it is a blob or a submodule)."""
        return bool(node.type == _TYPE_TREE)

    def data(self, blob: Node) -> bytes:
        """The content of a blob."""
        try:
            data: bytes = blob.data
        except (KeyError, AttributeError, self._core.GitError) as error:
            raise ObjectError(f"cannot read blob {blob.id}: {error}") from None
        return data

    def oid(self, node: Node) -> str:
        """The id of a node, in hexadecimal."""
        return str(node.id)

    def prepare_walk(self) -> None:
        """Read many objects once each: stop libgit2 from keeping every one and from checking its hash.

        With both on, a walk of 10^6 documents is three times slower and takes 1.5 GB. `git ocuroot fsck` checks hashes.
        """
        if not self._walks:
            self._walks = True
            ffi, lib = _cffi_half()
            lib.git_libgit2_opts(_OPTION_STRICT_HASH_VERIFICATION, ffi.cast("int", 0))
            lib.git_libgit2_opts(_OPTION_ENABLE_CACHING, ffi.cast("int", 0))

    # Writing

    def edit(self, base: Node | None, changes: Changes) -> Node | None:
        """The tree that `changes` make of `base`; None where nothing is left. Each directory is rebuilt once.

        Raises ObjectError where a file stands in the place of a directory, or where the objects cannot be written.
        """
        nested: dict[str, Any] = {}
        for path, data in changes.items():
            *directories, name = path.split("/")
            level = nested
            for directory in directories:
                level = level.setdefault(directory, {})
            level[name] = data
        try:
            oid = self._edit(base, nested, "")
            return self._look_up(oid) if oid is not None else None
        except (OSError, self._core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {_clean(error)}") from None

    def _edit(self, base: Node | None, changes: dict[str, Any], path: str) -> Any:
        builder = self._handle.TreeBuilder(base) if base is not None else self._handle.TreeBuilder()
        for name, change in changes.items():
            before = self.child(base, name) if base is not None else None
            if isinstance(change, dict):
                if before is not None and not self.is_tree(before):
                    raise ObjectError(f"damaged store: '{path}{name}' is a file where a directory should be")
                oid, mode = self._edit(before, change, f"{path}{name}/"), _MODE_TREE
            else:
                if before is not None and self.is_tree(before):
                    raise ObjectError(f"damaged store: '{path}{name}' is a directory where a file should be")
                oid, mode = (self._handle.create_blob(change) if change is not None else None), _MODE_BLOB
            if oid is not None:
                builder.insert(name, oid, mode)
            elif before is not None:
                builder.remove(name)
        return builder.write() if len(builder) else None

    def write_commit(self, tree: Node, parents: list[str], message: str, author: Identity, committer: Identity) -> str:
        """Write a commit; gives its id. Raises ObjectError."""
        signature = self._core.Signature
        try:
            return str(
                self._handle.create_commit(
                    None,
                    signature(author.name, author.email, author.time, author.offset),
                    signature(committer.name, committer.email, committer.time, committer.offset),
                    message,
                    tree.id,
                    [self._core.Oid(hex=parent) for parent in parents],
                )
            )
        except (OSError, self._core.GitError) as error:
            raise ObjectError(f"cannot write to the object database: {_clean(error)}") from None

    def move(self, name: str, old: str | None, new: str, reason: str, committer: Identity) -> None:
        """Move a reference from `old` (None: it must not exist) to `new`; `reason` is for the reflog.

        Compare-and-swap, creation included: raises Moved where the reference stands elsewhere, or where another
        process holds its lock; ObjectError where the file cannot be written.
        """
        self._sign_reflog(committer)
        target = self._core.Oid(hex=new)
        try:
            if old is None:
                self._handle.create_reference_direct(name, target, False, reason)
                return
            reference = self._handle.lookup_reference(name)
            if str(reference.target) != old:
                raise Moved(name)
            reference.set_target(target, reason)
        except (KeyError, self._core.AlreadyExistsError):
            raise Moved(name) from None
        except ValueError as error:
            raise Fatal(f"cannot move '{name}': {_clean(error)}") from None
        except (OSError, self._core.GitError) as error:
            # A held lock comes as OSError from some calls and as GitError from others; so does a lost comparison.
            if self.tip(name) != old or _is_locked(str(error)):
                raise Moved(name) from None
            raise ObjectError(f"cannot move '{name}': {_clean(error)}") from None

    def checked_out_in(self, name: str) -> str | None:
        """The work tree in which a branch (full name) is checked out, also unborn or in a rebase; None for none."""
        places = (
            [] if self.is_bare else [(self.common_dir, self.work_tree or os.path.dirname(self.common_dir.rstrip("/")))]
        )
        linked = os.path.join(self.common_dir, "worktrees")
        for entry in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
            administrative = os.path.join(linked, entry)
            place = _read_text(os.path.join(administrative, "gitdir"))
            places.append((administrative, os.path.dirname(place) if place else administrative))
        for administrative, place in places:
            if _read_text(os.path.join(administrative, "HEAD")) == f"ref: {name}":
                return place
            for state in ("rebase-merge/head-name", "rebase-apply/head-name"):
                if _read_text(os.path.join(administrative, state)) == name:
                    return place
        return None

    def _commit(self, oid: str) -> Any:
        try:
            return self._look_up(self._core.Oid(hex=oid))
        except (KeyError, self._core.GitError) as error:
            raise ObjectError(f"cannot read commit {oid}: {_clean(error)}") from None

    def _look_up(self, oid: Any) -> Any:
        found = self._handle.git_object_lookup_prefix(oid)
        if found is None:
            raise KeyError(str(oid))
        return found

    def _check_readable(self, tree: Node, name: str) -> None:
        """libgit2 answers KeyError both for a name that is not there and for a tree that is missing."""
        try:
            len(tree)
        except (KeyError, self._core.GitError) as error:
            raise ObjectError(f"cannot read tree {tree.id} on the way to '{name}': {_clean(error)}") from None

    def _sign_reflog(self, committer: Identity) -> None:
        """Let the reflog name the committer: libgit2's own guess ignores the environment."""
        ffi, lib = _cffi_half()
        pointer = ffi.new("git_repository **")
        ffi.buffer(pointer)[:] = self._handle._pointer[:]
        lib.git_repository_set_ident(pointer[0], committer.name.encode(), committer.email.encode())


def _load_core() -> Any:
    """pygit2's compiled core, without the package around it."""
    loaded = sys.modules.get("pygit2._pygit2")
    if loaded is not None:
        return loaded
    return _load_part("_pygit2")


def _cffi_half() -> tuple[Any, Any]:
    """pygit2's other half, `(ffi, lib)`: libgit2's global options, and what the core leaves out."""
    loaded = sys.modules.get("pygit2._libgit2") or _load_part("_libgit2")
    return loaded.ffi, loaded.lib


def _load_part(part: str) -> Any:
    """Import one compiled module of pygit2 under a stand-in for the package, which is taken away again.

    So a program that imports all of pygit2 later, or has done so before, gets the real package.
    """
    name = f"pygit2.{part}"
    if "pygit2" in sys.modules:
        __import__(name)
        return sys.modules[name]
    for finder in sys.meta_path:
        spec = finder.find_spec("pygit2", None) if hasattr(finder, "find_spec") else None
        if spec is not None and spec.submodule_search_locations:
            break
    else:
        raise Fatal("the Python package 'pygit2' is not installed", hint="pip install pygit2")
    stand_in = type(sys)("pygit2")
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules["pygit2"] = stand_in
    try:
        __import__(name)
        return sys.modules[name]
    finally:
        del sys.modules["pygit2"]


def _open(core: Any, path: str, flags: int) -> Any:
    try:
        return core.Repository(core.init_file_backend(path, flags))
    except core.GitError as error:
        if "extensions.partialclone" not in str(error):
            raise
    # What is missing in a partial clone is a missing object, met where it is read; the repository is no obstacle.
    ffi, lib = _cffi_half()
    name = ffi.new("char[]", b"partialclone")
    lib.git_libgit2_opts(_OPTION_SET_EXTENSIONS, ffi.new("char *[]", [name]), ffi.cast("size_t", 1))
    return core.Repository(core.init_file_backend(path, flags))


def _explain(words: str, directory: str, git_dir: str | None) -> RepositoryError:
    """libgit2's reason why a repository cannot be opened, in terms of git."""
    cause = words.rpartition(": ")[2] if ": " in words else words
    if "not owned by current user" in words:
        path = words.partition("'")[2].rpartition("'")[0]
        return RepositoryError(
            f"detected dubious ownership in repository at '{path}'",
            hint=f"to trust it: git config --global --add safe.directory '{path}'",
        )
    if "object format" in words:
        return RepositoryError(
            f"the repository uses another object format than SHA-1 ({cause}), which libgit2 cannot read",
            hint="keep the state in a repository made with 'git init --object-format=sha1'",
        )
    if "extensions.refstorage" in words:
        return RepositoryError(
            "the repository keeps its references in another format (extensions.refStorage), which libgit2 cannot read",
            hint="convert it: git refs migrate --ref-format=files",
        )
    if "unsupported extension name" in words:
        return RepositoryError(f"the repository uses an extension that libgit2 does not know: {cause.split()[-1]}")
    if "not found" in words:
        if git_dir:
            return RepositoryError(f"not a git repository: '{git_dir}'")
        return RepositoryError(
            "not a git repository (or any of the parent directories): .git",
            hint="'git init' makes one; 'git -C <directory> ocuroot …' uses another",
        )
    return RepositoryError(f"cannot open the repository at '{git_dir or directory}': {cause}")


def _common_dir(git_dir: str) -> str:
    relative = _read_text(os.path.join(git_dir, "commondir"))
    return os.path.normpath(os.path.join(git_dir, relative)) if relative else git_dir.rstrip("/")


def _identity(signature: Any) -> Identity:
    return Identity(
        signature.raw_name.decode(errors="replace"),
        signature.raw_email.decode(errors="replace"),
        signature.time,
        signature.offset,
    )


def _is_locked(words: str) -> bool:
    return ".lock" in words or "lock file" in words or "locked" in words


def _clean(error: Exception) -> str:
    return str(error).strip().replace("\n", " ") or type(error).__name__


def _read_text(path: str) -> str:
    """The content of a small file of git's, without the newline; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
