"""`git ocuroot view`: the stores in a browser, local, and read-only but for `--write` (design 10).

Flask and waitress are imported only here, when the command runs.
"""

from __future__ import annotations

from ...backends.base import Access
from ...config.settings import DEFAULT_BRANCH, Settings
from ...errors import Fatal, UsageError
from ...formats.layout import SIDES
from ...opening import stores_of
from ..options import READING, Command, Option
from ..progress import Meter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...store.snapshot import Snapshot
    from ...store.stores import Stores
    from ..context import Context

_CONTACT = 4.0
"""Seconds for which one contact with a remote store serves, unless `--max-age` says otherwise."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


def run(
    context: Context,
    *,
    port: int | None,
    host: str,
    no_browser: bool,
    at: str | None,
    remote: str | None,
    write: bool,
) -> int:
    if write and host not in _LOOPBACK:
        raise UsageError(
            f"option '--write' serves this machine alone, and '{host}' is reached by others",
            hint="reach it from elsewhere by 'ssh -L 3000:127.0.0.1:3000 <host>'",
        )
    if write and at is not None:
        raise UsageError("option '--at' shows what was, in which '--write' could change nothing")
    try:
        from ...web.app import View, create_app
        from ...web.keys import Keys
        from ...web.server import address_of, listen, serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("flask", "waitress"):
            raise
        raise Fatal(
            f"the view needs the Python package '{error.name}', which is not installed",
            hint="pip install 'ocuroot-git[view]'",
        ) from None
    if port is not None and port > 65535:
        raise UsageError(f"option '--port' is at most 65535, not {port}")
    open_stores = _opener(context, remote)
    keys = Keys() if write else None
    app = create_app(open_stores, bound=host, at=at, keys=keys)
    view: View = app.extensions["view"]
    # A store that cannot be read is said so here and now. What this reads is kept: the first page will be fast.
    with Meter(context.terminal, "Reading packages") as meter:
        facts = view.facts()
        facts.packages(meter)
    if write:
        _require_history(facts.snapshot)
    if host not in _LOOPBACK:
        context.terminal.warning(f"whoever reaches '{host}' can read the stores: the view asks for no password")
    listener = listen(host.strip("[]"), port)
    address = address_of(listener)
    context.terminal.record(address if keys is None else keys.address(address))
    context.terminal.flush()
    if keys is not None:
        context.terminal.remark("whoever opens this address can change what the stores say, in your name")
    context.terminal.remark("Ctrl-C ends it")
    view.begin()
    if not no_browser and _has_screen(context):
        from ...git.program import browse

        browse(address if keys is None else keys.address_for_program(address), context.environ)
    serve(app, listener)
    return 0


def _opener(context: Context, remote: str | None) -> Callable[[], Stores]:
    """What opens the stores, anew for each thread; `--remote` counts as if the environment named it."""
    environ = dict(context.environ)
    if remote:
        branch = context.settings.location("state").branch or DEFAULT_BRANCH
        environ["OCUROOT_STATE"] = f"{remote}#{branch}"
        environ.pop("OCUROOT_INTENT", None)
    options = context.options
    max_age = _CONTACT if options.max_age is None else options.max_age

    def settings() -> Settings:
        return Settings(".", environ, "", "", Access(offline=options.offline, max_age=max_age))

    first = settings()

    def open_stores() -> Stores:
        own = settings()
        first.share_repo_file(own)
        return stores_of(own)

    first.share_repo_file(settings())  # here, while there is one thread
    return open_stores


def _require_history(snapshot: Snapshot) -> None:
    """Raise Fatal where a form that is sent twice could not be told from two."""
    for side in SIDES:
        backend, _ = snapshot.surroundings.backend(side)
        if backend.repository is None:
            raise Fatal(
                f"the page cannot change {backend.where}, which has no history: a form sent twice would be done twice",
                hint="without --write the page shows it",
            )


def _has_screen(context: Context) -> bool:
    """Whether a person is there, with a screen on which a browser could open a window."""
    import sys

    if not context.terminal.is_interactive:
        return False
    return sys.platform == "darwin" or bool(context.environ.get("DISPLAY") or context.environ.get("WAYLAND_DISPLAY"))


COMMAND = Command(
    "view",
    "Show the stores in a browser: what is deployed where, releases as pipelines, logs, history. "
    "For this machine only, up to date by itself, and read-only unless you say otherwise. Prints the address.",
    "[<options>]",
    run,
    (
        Option("--port", metavar="<n>", number=True, help="listen at this port (default: 3000 or the next free one)"),
        Option("--host", metavar="<host>", default="127.0.0.1", help="listen at this address (default: 127.0.0.1)"),
        Option("--no-browser", help="print the address, and open no browser"),
        Option(
            "--at",
            metavar="<rev>",
            help="show the stores as they were at a revision (state~3, an id) or a date (yesterday)",
        ),
        Option("--remote", metavar="<remote>", help="show the state store that this remote has"),
        Option("--write", help="let the page approve, reject, promote, roll back, hold, freeze, retry and cancel"),
    ),
    common=READING,
    most=0,
)
