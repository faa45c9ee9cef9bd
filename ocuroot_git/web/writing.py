"""The pages at which something is done (`view --write`): what is to be done and why, once more, and how it ended.

`/do` lists the actions, `/do/<action>?…` shows one and writes nothing; a POST of the form that this shows does it. The
form is sealed with all that it does, and with the name of the operation: sent twice, it is done once (design 10).
"""

from __future__ import annotations

import secrets
import shlex
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Response, render_template, request

from ..delivery.gate_list import list_gates
from ..delivery.holds import all_holds, hold_on
from ..delivery.inputs import missing_documents
from ..delivery.problems import Problems
from ..delivery.queries import environments
from ..delivery.vocabulary import DEPLOY, FAILED, OPEN
from ..errors import Error, Fatal, NotFound, UsageError
from ..formats.documents import dump, parse
from ..formats.operation import Origin, name_operation
from .actions import ACTIONS
from .gate_actions import ALL
from .masking import masked
from .security import ACTIONS as ADDRESS
from .security import MAY_WRITE, MOST_BYTES
from .statuses import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from ..backends.operations import Carried
    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from .action import Action
    from .facts import Facts
    from .keys import Keys

_LONGEST_FIELD = 2000
_LONGEST_REASON = 1000
_LONGEST_FORM = 8000
"""Bytes that the fields of an action may have in an address, all together."""
_AGAIN = "again"
"""In the query of an address: the fields are shown to be changed, although all that has to be said was said."""
_MOST_LISTED = 200
"""Gates and held releases that the list of actions shows."""


def may_write() -> bool:
    """Whether this request is of somebody who may change something, at a page that shows the present."""
    return bool(request.environ.get(MAY_WRITE)) and not request.args.get("at")


def install(app: Flask, open_stores: Callable[[], Stores], keys: Keys) -> None:
    """Give an application the pages at which something is done."""
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    writer = _Writer(open_stores, keys)
    app.jinja_env.globals.update(actions_of=actions_of, action_address=address)
    app.add_url_rule("/do", "actions", writer.overview)
    app.add_url_rule(f"{ADDRESS}<name>", "action", writer.ask)
    app.add_url_rule(f"{ADDRESS}<name>", "do", writer.carry_out, methods=["POST"])


def address(name: str, /, **values: str) -> str:
    """The address of an action; fields that are not named are asked for there."""
    return f"{ADDRESS}{name}?{urlencode(values)}" if values else f"{ADDRESS}{name}"


class _Writer:
    """Answers for the actions. One at a time is carried out: they are all of one person."""

    def __init__(self, open_stores: Callable[[], Stores], keys: Keys) -> None:
        self._open_stores = open_stores
        self._keys = keys
        self._turn = threading.Lock()

    def overview(self) -> Response:
        """The page of all actions, with the gates and holds there are."""
        _require_right()
        snapshot = self._open_stores().snapshot()
        problems = Problems()
        return self._page(
            "actions.html",
            snapshot,
            gates=list_gates(snapshot)[:_MOST_LISTED],
            holds=all_holds(snapshot, problems)[:_MOST_LISTED],
            environments=sorted(environments(snapshot, problems))[:_MOST_LISTED],
            all=ALL,
        )

    def ask(self, name: str) -> Response:
        """What an action would do, and the form that does it; or the form for what it needs to know."""
        _require_right()
        kind = _kind(name)
        stores = self._open_stores()
        snapshot = stores.snapshot()
        given = {
            field.name: request.args[field.name].strip()[:_LONGEST_FIELD]
            for field in kind.fields
            if field.name in request.args
        }
        if request.args.get(_AGAIN) or any(field.is_asked_for(given) for field in kind.fields):
            return self._fields(snapshot, kind, given, None)
        action = kind(given)
        try:
            if len(urlencode(given)) > _LONGEST_FORM:
                raise UsageError("this is more than a form can say", hint="the command takes it")
            action.settle(stores)
            action.words()
            looked = action.look(stores)
        except Error as error:
            return self._fields(snapshot, kind, given, error)
        what = {
            "action": name,
            "values": action.values,
            "looked": looked.id,
            "at": _tip(snapshot),
            "operation": f"view-{secrets.token_hex(16)}",
        }
        return self._confirmation(snapshot, action, dump(what, None), looked.lines, is_idle=looked.is_idle)

    def carry_out(self, name: str) -> Response:
        """Do what a form says that we made, and tell how it ended."""
        _require_right()
        text, token = request.form.get("what", ""), request.form.get("token", "")
        if not self._keys.is_sealed(text, token):
            raise Refused("this form is not one that this view has shown", hint="begin at the page anew")
        what: Any = parse(text)
        if what["action"] != name:
            raise Refused("this form is for something else")
        action = _kind(name)(what["values"])
        reason = request.form.get("reason", "").strip()[:_LONGEST_REASON]
        if action.needs_reason and not reason:
            snapshot = self._open_stores().snapshot()
            return self._confirmation(snapshot, action, text, [], problem="say why, for whoever meets it", status=400)
        with self._turn:
            return self._carry_out(action, what, reason)

    def _carry_out(self, action: Action, what: dict[str, Any], reason: str) -> Response:
        stores = self._open_stores()
        stores.surroundings.reason = reason or None
        repeated: list[Carried] = []
        stores.repeated = repeated.append
        operation = name_operation(what["operation"], None, "", [action.command, what["values"]])
        operation.origin = Origin.of(reason=reason)
        ended: dict[str, Any] = {"error": None, "lines": [], "refs": [], "commits": []}
        status = 200
        try:
            done = action.perform(stores, reason, what["looked"], operation)
            ended.update(lines=done.lines, refs=done.refs)
            found = [stores.commit_of(one, action.command) for one in (operation.step("intent"), operation)]
            ended["commits"] = [commit for commit in dict.fromkeys(found) if commit is not None]
        except Error as error:
            ended["error"], status = error, status_of(error)
        finally:
            stores.finish()
        return self._page(
            "ended.html",
            stores.snapshot(),
            status=status,
            action=action,
            command_line=action.command_line(reason),
            is_repeated=bool(repeated),
            again=address(action.name, **action.values),
            at_commit=what["at"],
            **ended,
        )

    def _fields(self, snapshot: Snapshot, kind: type[Action], given: dict[str, str], error: Error | None) -> Response:
        names = sorted(environments(snapshot, Problems()))[:_MOST_LISTED]
        return self._page(
            "fields.html",
            snapshot,
            status=200 if error is None else status_of(error),
            kind=kind,
            given=given,
            error=error,
            known=[*names, ALL] if kind.name == "freeze" else names,
        )

    def _confirmation(
        self,
        snapshot: Snapshot,
        action: Action,
        what: str,
        lines: list[str],
        *,
        is_idle: bool = False,
        problem: str = "",
        status: int = 200,
    ) -> Response:
        return self._page(
            "confirm.html",
            snapshot,
            status=status,
            action=action,
            command_line=action.command_line(),
            otherwise=_otherwise(action),
            what=what,
            token=self._keys.seal(what),
            lines=lines,
            is_idle=is_idle,
            problem=problem,
            at_commit=_tip(snapshot),
            longest_reason=_LONGEST_REASON,
        )

    def _page(self, template: str, snapshot: Snapshot, status: int = 200, **values: Any) -> Response:
        """A page that does not follow the branch: what it shows is what will be done."""
        backend, _ = snapshot.backend_of(snapshot.side("state"))
        text = render_template(
            template,
            tip="",
            at=None,
            now=datetime.now(timezone.utc),
            repository=snapshot.base.repo,
            where=backend.where,
            has_history=backend.repository is not None,
            **{**values, "lines": masked(values.get("lines"))},
        )
        return Response(text, status=status)


class Refused(Fatal):
    """A request that is not answered."""


def _require_right() -> None:
    if not may_write():
        raise Refused(
            "only who started this view may change something here",
            hint="open the address that it printed; after a link from elsewhere, load the page again",
        )


def _kind(name: str) -> type[Action]:
    if name not in ACTIONS:
        raise NotFound(f"there is no action '{name}'")
    return ACTIONS[name]


def _otherwise(action: Action) -> str:
    """The address at which the fields of an action are changed before it is done; empty where there is nothing to."""
    given = {name: value for name, value in action.values.items() if value}
    return address(action.name, **given, **{_AGAIN: "1"}) if any(one.is_extra for one in action.fields) else ""


def _tip(snapshot: Snapshot) -> str:
    """The commit of the state that is looked at; empty where a store has none."""
    backend, _ = snapshot.backend_of(snapshot.side("state"))
    return str(snapshot.version(backend).oid or "")


# On the pages of what there is


def actions_of(facts: Facts, page: dict[str, Any]) -> list[tuple[str, str]]:
    """The actions that the page of a ref offers: what each is called there, and its address."""
    found: list[tuple[str, str]] = []
    if page["kind"] == "release":
        found = _of_release(facts, page["release"])
    elif page["kind"] == "run":
        run = page["run"]
        if run["status"] in OPEN:
            found = [(f"Give {ref}", address("give", ref=ref)) for ref in missing_documents(facts.snapshot, run["ref"])]
            found.append(("Cancel", address("cancel", run=run["ref"])))
        elif run["status"] == FAILED and not run["next"]:
            found = [("Retry", address("retry", run=run["ref"]))]
    elif page["kind"] == "environment":
        name = page["environment"]["name"]
        found = [
            ("Freeze", address("freeze", environment=shlex.quote(name))),
            ("Promote what is deployed here", address("promote", source=name)),
            ("Roll back", address("rollback", environment=name)),
        ]
        gates = [one.gate for one in list_gates(facts.snapshot)]
        names = {gate.name for gate in gates if isinstance(gate.environments, list) and name in gate.environments}
        found += [(f"Thaw {gate}", address("thaw", gate=gate)) for gate in sorted(names)[:_MOST_LISTED]]
    return found


def _of_release(facts: Facts, release: dict[str, Any]) -> list[tuple[str, str]]:
    ref = release["ref"]
    try:
        is_held = hold_on(facts.snapshot, ref) is not None
    except Error:
        is_held = True  # damage may hide one: it is told where it is asked for
    found = [("Let go", address("lift", release=ref)) if is_held else ("Hold", address("hold", release=ref))]
    work = [one for phase in release["phases"] for one in phase["work"]]
    if any(one["status"] == FAILED for one in work):
        found.append(("Retry what failed", address("retry", run=ref)))
    for name in dict.fromkeys(one["name"] for one in work if one["kind"] == DEPLOY):
        found += [
            (f"Approve for {name}", address("approve", release=ref, environment=name)),
            (f"Reject for {name}", address("reject", release=ref, environment=name)),
        ]
        if name not in release["deployed"]:
            found.append((f"Roll {name} back to this", address("rollback", environment=name, to=ref)))
    return found
