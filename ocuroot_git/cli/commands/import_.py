"""`git ocuroot import`: fill a new store from a directory."""

from __future__ import annotations

import os
from contextlib import ExitStack

from ...backends.base import file_at
from ...backends.branch import Branch
from ...backends.directory import Directory
from ...errors import Fatal
from ...formats.commit_message import compose
from ...formats.layout import SIDES, STORE_FILE, Layout, StoreError
from ...git.objects import RefMoved
from ...store.copy import Intake, Source, sides_in
from ...store.retry import Retry
from ...sync.remotes import find_shared
from ..options import MESSAGE, Command, Option
from ..progress import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...backends.base import Backend, Filling, Version
    from ...formats.layout import Side
    from ...formats.operation import Operation
    from ...git.objects import Changes
    from ...store.stores import Stores
    from ..context import Context


def run(context: Context, directory: str) -> int:
    if not os.path.isdir(directory):
        raise Fatal(f"there is no directory '{directory}'")
    sources = _sources(context.stores, directory)
    for backend in sources:
        _refuse_where_shared(context, backend)
    intake = Intake()
    with ExitStack() as stack:
        fillings: dict[Backend, Filling | None] = {}
        for backend, stores in sources.items():
            fillings[backend] = _take_in(context, stack, backend, intake.taken(stores))
        operation = context.operation("import", arguments=intake.fingerprint)
        refs = intake.first_refs
        for backend, filling in fillings.items():
            operation.origin = context.stores.origin(backend)
            message = compose(refs, "import", [operation], context.options.message, besides=intake.count - len(refs))
            first: Changes = {source.directory + STORE_FILE: source.marker for source in sources[backend]}
            if _make(context, backend, filling, first, message, operation):
                context.terminal.remark(
                    f"Imported '{directory}' to {backend.where}: {intake.count} documents and links in all"
                )
    return 0


def _sources(stores: Stores, directory: str) -> dict[Backend, list[Source]]:
    """The stores in a directory, by where they are to go. Raises StoreError for what is none of ours."""
    source = Directory(directory)
    found: dict[Backend, list[Source]] = {}
    for name, root in sides_in(source.files, source.read().root, f"'{directory}'"):
        side = SIDES[1] if name == "intent" else SIDES[0]
        backend, prefix = _destination(stores, side, name)
        marker = file_at(source.files, root, STORE_FILE)
        assert marker is not None
        layout = Layout.read(marker, f"'{directory}'").of_side(side)
        found.setdefault(backend, []).append(Source(source.files, root, prefix, marker, layout))
    return found


def _take_in(
    context: Context, stack: ExitStack, backend: Backend, contents: Iterable[tuple[str, bytes]]
) -> Filling | None:
    """Write files for a new store, to be made before the end of a block; None where there is a store already.

    Raises StoreError for that, unless an import of a name may have made it.
    """
    is_there = _holds_something(backend, backend.read())
    if is_there and not context.operation("import").is_named:
        raise _exists_already(backend)
    with Meter(context.terminal, "Reading files" if is_there else "Writing files") as meter:
        if not is_there:
            try:
                return stack.enter_context(backend.filled(meter.counted(contents)))
            except RefMoved:
                raise _exists_already(backend) from None
        for _ in meter.counted(contents):
            pass  # its hash tells whether it is the same import
    return None


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


def _make(
    context: Context, backend: Backend, filling: Filling | None, first: Changes, message: str, operation: Operation
) -> bool:
    """Make a store of the files that were written.

    Gives False where that was done before, by an import of this name. As for every other write, an answer of a remote
    that is not success says nothing until one has looked.
    """
    stores, settings = context.stores, context.settings
    retry = Retry("import", None, operation, settings.timeout)
    while True:
        retry.tries += 1
        snapshot = stores.snapshot()
        if retry.look_back(snapshot) is not None:
            return True
        if filling is None or snapshot.version(backend).oid is not None:
            done = None
            if operation.is_named and backend.repository is not None:
                done = retry.find(snapshot, (backend,))
            if done is None:
                raise _exists_already(backend)
            stores.repeated(done[1])
            return False
        retry.write_to(snapshot, backend)
        try:
            filling.make(first, message, f"ocuroot: {message.partition(chr(10))[0]}")
            return True
        except RefMoved as moved:
            retry.after(moved, settings.tell)


def _exists_already(backend: Backend) -> StoreError:
    return StoreError(
        f"{backend.where} exists already: a store is imported as a whole, into a new one",
        hint="name another: git -c ocuroot.state.branch=<branch> ocuroot import <directory>",
    )


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
