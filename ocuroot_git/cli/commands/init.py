"""`git ocuroot init`: make the stores, and write the configuration that names them."""

from __future__ import annotations

import os
import random
import time

from ...backends.base import CREATE, node_at
from ...backends.branch import Branch
from ...backends.remote import Remote
from ...config.naming import ALIAS_KEY, URL_OF_ORIGIN, remember_name
from ...config.settings import DEFAULT_BRANCH
from ...errors import Conflict, Fatal
from ...formats.layout import SIDES, STORE_FILE, Layout, StoreError
from ...git.committer import FIRST_MESSAGE
from ...git.locks import refuse_left
from ...git.objects import RefMoved
from ...git.program import GitError
from ...git.program import run as run_git
from ...opening import another_store_hint
from ...redaction import has_secret
from ...store.tree import is_store
from ...sync.remotes import find_shared
from ..options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...backends.base import Backend, Version
    from ...config.settings import Settings
    from ...formats.layout import Side
    from ..context import Context

_CONFIG_IS_LOCKED = 255
"""The exit status of `git config` for that."""


def run(
    context: Context,
    *,
    branch: str | None,
    remote: str | None,
    intent_branch: str | None,
    intent_remote: str | None,
    dialect: str,
) -> int:
    settings = context.settings
    _ = settings.name  # before anything is made: a store without a name for this repository would be of little use
    wanted: dict[Side, str | None] = {"state": branch, "intent": intent_branch}
    intent_remote = intent_remote or (remote if intent_branch else None)
    remotes: dict[Side, str | None] = {"state": remote, "intent": intent_remote}
    for side in SIDES:
        _check_branch(settings, side, wanted[side] or (remotes[side] and DEFAULT_BRANCH))
        if wanted[side] or remotes[side]:
            settings.configure(side, branch=wanted[side], remote=remotes[side])
    layout = Layout(int(dialect))
    made = {
        backend: _make(context, backend, layout)
        for backend in {context.stores.backend(side)[0]: None for side in SIDES}
    }
    if settings.repository_or_none is not None:
        _write_configuration(context, wanted, remotes)
    for backend, what in made.items():
        context.terminal.remark(f"{what} {backend.where}")
    return 0


def _write_configuration(context: Context, wanted: dict[Side, str | None], remotes: dict[Side, str | None]) -> None:
    """Say in the configuration of the repository where its stores are, and what it is called."""
    settings, name = context.settings, context.settings.name
    for side in SIDES:
        backend = context.stores.backend(side)[0]
        if isinstance(backend, Branch) and (wanted[side] or side == "state"):
            _configure(settings, f"ocuroot.{side}.branch", backend.name)
        elif isinstance(backend, Remote) and (named := remotes[side]):
            _configure(settings, f"ocuroot.{side}.branch", backend.location.branch)
            _configure(settings, f"ocuroot.{side}.remote", named)
            if has_secret(named):
                context.terminal.warning(
                    f"the password or token in the URL of the {side} store stands in the repository's configuration "
                    "now; a credential helper keeps it better"
                )
    if name.source != URL_OF_ORIGIN and not settings.config.stored(ALIAS_KEY):
        _write_config(settings, ALIAS_KEY, name.text)  # it holds here alone, and must not change with the surroundings
    remember_name(settings.repository, name.text)


def _configure(settings: Settings, key: str, value: str) -> None:
    if settings.config.get(key) != value:
        _write_config(settings, key, value)


def _make(context: Context, backend: Backend, layout: Layout) -> str:
    """Make the stores that are not there yet; says what was done, for a sentence with the place."""
    deadline = time.monotonic() + context.settings.timeout
    refusal: Fatal | None = None
    while True:
        version = backend.read()
        missing = _missing(context, backend, version)
        if not missing:
            return "There is a store already on"
        if refusal is not None:
            raise refusal
        try:
            return _create(context, backend, _first_files(context, missing, layout), version)
        except RefMoved as moved:
            refusal = moved.refusal
            # Another process made the same first commit, or is about to and holds the lock of the branch.
            if time.monotonic() > deadline:
                raise Conflict(f"lost the race for '{moved}'; nothing changed", hint="try again") from None
        _pause()


def _missing(context: Context, backend: Backend, version: Version) -> list[Side]:
    """The sides whose stores are to lie there, and do not. Raises StoreError where other files lie there."""
    files, missing = backend.files, []
    for side in SIDES:
        its_backend, prefix = context.stores.backend(side)
        if its_backend != backend:
            continue
        root = node_at(files, version.root, prefix)
        if root is None or (files.is_tree(root) and not any(True for _ in files.children(root))):
            missing.append(side)
        elif not files.is_tree(root) or not (is_store(files, root) or is_store(files, files.child(root, side))):
            what = f"{backend.where}, directory '{prefix}'" if prefix else backend.where
            hint = _another_hint(context, side)
            raise StoreError(f"{what} exists, and is no store: it has no '{STORE_FILE}'", hint=hint)
    return missing


def _another_hint(context: Context, side: Side) -> str:
    location = context.settings.location(side)
    if location.directory is not None or location.source.startswith("OCUROOT_"):
        return another_store_hint(context.settings, side)
    return f"name another branch: git ocuroot init --{'' if side == 'state' else 'intent-'}branch <branch>"


def _create(context: Context, backend: Backend, files: dict[str, bytes | None], version: Version) -> str:
    """Make a store where there is none, as `_make` does. Raises RefMoved."""
    if version.root is not None and any(True for _ in backend.files.children(version.root)):
        with backend.write_lock():
            backend.write(version, files, FIRST_MESSAGE, CREATE)  # in a directory beside what there is
        return "Made a store on"
    found = find_shared(context.settings, backend) if isinstance(backend, Branch) and version.oid is None else None
    if found is not None and isinstance(backend, Branch):
        tracking, oid = found
        backend.adopt(oid, f"ocuroot: branch from {tracking}")
        return f"Took the store of '{tracking}' as"
    backend.create(files, version)
    return "Made a store on"


def _first_files(context: Context, sides: list[Side], layout: Layout) -> dict[str, bytes | None]:
    """The files of new stores: in dialect 3 state and intent are two trees, below each other or on their own."""
    prefixes = {side: context.stores.backend(side)[1] for side in sides}
    files: dict[str, bytes | None] = {}
    for side in sides:
        prefix = prefixes[side] + "/" if prefixes[side] else ""
        if layout.spells_intents_as_state and len(sides) == 2 and prefixes["state"] == prefixes["intent"]:
            prefix += f"{side}/"
        files[prefix + STORE_FILE] = layout.of_side(side).store_file()
    return files


def _write_config(settings: Settings, key: str, value: str) -> None:
    """Set a key of the configuration. Where another process holds its lock, git gives up at once; this waits for it."""
    deadline = time.monotonic() + settings.timeout
    while True:
        try:
            run_git(["-C", settings.directory, "config", key, value], settings.environ)
            return
        except GitError as error:
            if error.exit_status != _CONFIG_IS_LOCKED or time.monotonic() > deadline:
                raise
            refuse_left(os.path.join(settings.repository.common_dir, "config.lock"))
        _pause()


def _pause() -> None:
    time.sleep(random.uniform(0.001, 0.02))


def _check_branch(settings: Settings, side: Side, branch: str | None) -> None:
    if not branch:
        return
    variable = f"OCUROOT_{side.upper()}"
    if settings.location(side).source == variable:
        raise Fatal(
            f"the environment names the {side} store ({variable}), and would win over the configuration",
            hint=f"unset {variable}",
        )
    run_git(["check-ref-format", "--branch", branch], settings.environ)


COMMAND = Command(
    "init",
    "Make the stores, and write the configuration that names them. Where they exist already, say so and change "
    "nothing; where a remote has one, take it.",
    "[<options>]",
    run,
    (
        Option("--branch", metavar="<branch>", help="the branch of the state store (default: state)"),
        Option("--remote", metavar="<remote>", help="keep the state store there: the name of a remote, or a URL"),
        Option("--intent-branch", metavar="<branch>", help="the branch of the intent store (default: that of state)"),
        Option("--intent-remote", metavar="<remote>", help="keep the intent store there"),
        Option("--offline", help="make them without asking whether the remote has them"),
        Option(
            "--dialect", choices=("1", "3"), default="1", help="how refs are spelled: 3 is what Ocuroot 0.3.17 reads"
        ),
    ),
    most=0,
)
