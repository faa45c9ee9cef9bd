"""`git ocuroot import`: fill a new store from a directory."""

from __future__ import annotations

import os

from ...backends.branch import Branch
from ...backends.directory import Directory
from ...errors import Fatal
from ...formats.commit_message import compose
from ...formats.layout import SIDES, STORE_FILE, Layout, StoreError, stored_ref
from ...git.objects import RefMoved
from ...store.copy import files_below, sides_in
from ...store.retry import Retry
from ...sync.remotes import find_shared
from ..options import MESSAGE, Command, Option
from ..progress import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...backends.base import Backend, Version
    from ...formats.layout import Side
    from ...formats.operation import Operation
    from ...store.stores import Stores
    from ..context import Context


def run(context: Context, directory: str) -> int:
    if not os.path.isdir(directory):
        raise Fatal(f"there is no directory '{directory}'")
    source = Directory(directory)
    stores = sides_in(source.files, source.read().root, f"'{directory}'")
    files: dict[Backend, dict[str, bytes | None]] = {}
    imported: dict[str, str] = {}
    for name, root in stores:
        side = SIDES[1] if name == "intent" else SIDES[0]
        backend, prefix = _destination(context.stores, side, name)
        with Meter(context.terminal, "Reading files") as meter:
            contents = dict(meter.counted(files_below(source.files, root, "")))
        layout = Layout.read(contents[STORE_FILE], f"'{directory}'").of_side(side)
        files.setdefault(backend, {}).update({prefix + path: data for path, data in contents.items()})
        imported.update({layout.shown(ref): side for ref in map(stored_ref, contents) if ref is not None})
    for backend in files:
        _refuse_where_shared(context, backend)
    operation = context.operation("import", arguments=_fingerprint(files))
    for backend, contents_there in files.items():
        operation.origin = context.stores.origin(backend)
        message = compose(imported, "import", [operation], context.options.message)
        if _fill(context, backend, contents_there, message, operation):
            context.terminal.remark(
                f"Imported '{directory}' to {backend.where}: {len(imported)} documents and links in all"
            )
    return 0


def _fingerprint(files: dict[Backend, dict[str, bytes | None]]) -> str:
    """A hash of all that is imported: what is asked for, wherever the directory lies."""
    from hashlib import sha256

    hashed = sha256()
    for contents in files.values():
        for path, data in sorted(contents.items()):
            content = data or b""
            hashed.update(b"%s\0%d\0%s" % (path.encode(errors="surrogateescape"), len(content), content))
    return hashed.hexdigest()


def _destination(stores: Stores, side: Side, directory: str) -> tuple[Backend, str]:
    """The place of one of the stores, and the directory there: its own where two stores share a place."""
    backend, prefix = stores.backend(side)
    shared = stores.backend("state") == stores.backend("intent")
    parts = [prefix, directory if shared else ""]
    below = "/".join(filter(None, parts))
    return backend, f"{below}/" if below else ""


def _refuse_where_shared(context: Context, backend: Backend) -> None:
    """Raise StoreError where a remote has the store that is not here: one made beside it would hide it."""
    if not isinstance(backend, Branch) or backend.read().oid is not None:
        return
    found = find_shared(context.settings, backend)
    if found is not None:
        raise StoreError(
            f"{backend.where} exists already, as '{found[0]}': a store is imported as a whole, into a new one",
            hint="name another: git -c ocuroot.state.branch=<branch> ocuroot import <directory>",
        )


def _fill(
    context: Context, backend: Backend, files: dict[str, bytes | None], message: str, operation: Operation
) -> bool:
    """Make the store with its first commit, which only says what it is, and add all else in a second.

    Gives False where that was done before, by an import of this name. As for every other write, an answer of a remote
    that is not success says nothing until one has looked.
    """
    stores, settings = context.stores, context.settings
    first = {path: data for path, data in files.items() if path.rpartition("/")[2] == STORE_FILE}
    retry = Retry("import", None, operation, settings.timeout)
    is_begun = False
    while True:
        retry.tries += 1
        snapshot = stores.snapshot()
        if retry.look_back(snapshot) is not None:
            return True
        version = snapshot.version(backend)
        is_there = _holds_something(backend, version)
        if is_there and operation.is_named and backend.repository is not None:
            done = retry.find(snapshot, (backend,))
            if done is not None:
                stores.repeated(done[1])
                return False
        retry.write_to(snapshot, backend)
        try:
            if not is_there:
                is_begun = True
                version = backend.create(first)
            elif not is_begun or dict(files_below(backend.files, version.root, "")) != first:
                raise StoreError(
                    f"{backend.where} exists already: a store is imported as a whole, into a new one",
                    hint="name another: git -c ocuroot.state.branch=<branch> ocuroot import <directory>",
                )
            with backend.write_lock():
                backend.write(version, files, message, f"ocuroot: {message.partition(chr(10))[0]}")
            return True
        except RefMoved as moved:
            retry.after(moved, settings.tell)


def _holds_something(backend: Backend, version: Version) -> bool:
    root = version.root
    return root is not None and (backend.repository is not None or bool(list(backend.files.children(root))))


COMMAND = Command(
    "import",
    "Fill a new store from a directory that holds one: what 'export' wrote, or a store of Ocuroot's own.",
    "[-m <text>] [--offline] <directory>",
    run,
    (Option("--offline", help="make the store without asking whether the remote has one"),),
    common=(MESSAGE,),
    notes="What -m says is also the subject of the commit.",
    least=1,
    most=1,
)
