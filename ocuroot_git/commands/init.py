"""`git ocuroot init`: make the stores, and write the configuration that names them."""

from __future__ import annotations

from ..errors import Fatal
from ..git import run as run_git
from ..layout import SIDES, STORE_FILE, Layout, StoreError
from ..objects import Moved
from ..options import Command, Option
from ..places import Branch
from ..tree import is_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config import Settings
    from ..context import Context
    from ..options import Parsed
    from ..places import Place


def run(context: Context, options: Parsed) -> int:
    settings = context.stores.settings
    settings.repository  # noqa: B018  (raises where there is no repository)
    wanted = {"state": options.branch, "intent": options.intent_branch}
    for side in SIDES:
        _check_branch(settings, side, wanted[side])
        if wanted[side]:
            settings.configure(side, branch=wanted[side])
    layout = Layout(int(options.dialect))
    made = {place: _make(context, place, layout) for place in {settings.place(side)[0]: None for side in SIDES}}
    for side in SIDES:
        place = settings.place(side)[0]
        if isinstance(place, Branch) and (wanted[side] or side == "state"):
            key = f"ocuroot.{side}.branch"
            if settings.config.get(key) != place.name:
                run_git(["-C", settings.repository.git_dir, "config", key, place.name], context.environ)
    for place, what in made.items():
        context.terminal.remark(f"{what} {place.where}")
    return 0


def _make(context: Context, place: Place, layout: Layout) -> str:
    """Make a store at a place where there is none; says what was done, for a sentence with the place."""
    try:
        existing = place.read()
        if existing.root is None or (place.repository is None and not place.files.children(existing.root)):
            remote = context.stores.settings.remote_branch(place)
            oid = place.repository.tip(remote) if remote is not None and place.repository is not None else None
            if remote is not None and oid is not None and isinstance(place, Branch):
                short = remote.removeprefix("refs/remotes/")
                place.adopt(oid, f"ocuroot: branch from {short}")
                return f"Took the store of '{short}' as"
            place.create(_first_files(context, place, layout))
            return "Made a store on"
    except Moved:
        pass  # another process was faster, and made the same first commit
    root = place.read().root
    sides = [place.files.child(root, side) for side in SIDES]
    if not is_store(place.files, root) and not all(is_store(place.files, side) for side in sides):
        raise StoreError(
            f"{place.where} exists, and is no store: it has no '{STORE_FILE}'",
            hint="name another branch: git ocuroot init --branch <branch>",
        )
    return "There is a store already on"


def _first_files(context: Context, place: Place, layout: Layout) -> dict[str, bytes | None]:
    """The files of the first commit: in dialect 3 state and intent are two trees, below each other or on their own."""
    settings = context.stores.settings
    sides = [side for side in SIDES if settings.place(side)[0] == place]
    prefixes = {side: settings.place(side)[1] for side in sides}
    files: dict[str, bytes | None] = {}
    for side in sides:
        prefix = prefixes[side] + "/" if prefixes[side] else ""
        if layout.version > 1 and len(sides) == 2 and prefixes["state"] == prefixes["intent"]:
            prefix += f"{side}/"
        files[prefix + STORE_FILE] = Layout(layout.version, side).store_file()
    return files


def _check_branch(settings: Settings, side: str, branch: str | None) -> None:
    if not branch:
        return
    said = settings.spec(side).source  # type: ignore[arg-type]
    if said.startswith("OCUROOT_"):
        raise Fatal(
            f"the environment names the {side} store ({said}), and would win over the configuration",
            hint=f"unset {said}",
        )
    run_git(["check-ref-format", "--branch", branch], settings.environ)


COMMAND = Command(
    "init",
    "Make the stores, and write the configuration that names them. Where they exist already, say so and change "
    "nothing; where only a remote-tracking branch has one, take it.",
    "[<options>]",
    run,
    (
        Option("--branch", metavar="<branch>", help="the branch of the state store (default: state)"),
        Option("--intent-branch", metavar="<branch>", help="the branch of the intent store (default: that of state)"),
        Option(
            "--dialect", choices=("1", "3"), default="1", help="how refs are spelled: 3 is what Ocuroot 0.3.17 reads"
        ),
    ),
    most=0,
)
