"""`git ocuroot freeze`: let no deployment start, now, or in windows of time (design 13)."""

from __future__ import annotations

import time

from ...errors import UsageError
from ..arguments import absolute_glob
from ..options import WRITING, Command, Option
from ..reports import report_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(
    context: Context,
    *targets: str,
    all: bool,
    since: str | None,
    until: str | None,
    rrule: str | None,
    duration: str | None,
    timezone: str | None,
    packages: list[str],
    allow: list[str],
    name: str | None,
    cancel_pending: bool,
) -> int:
    from ...delivery import freeze_requests, freezing
    from ...delivery.addresses import gate_ref
    from ...delivery.gate_documents import Gate
    from ...formats.refs import INTENT, STATE, Ref

    if bool(targets) == all:
        raise UsageError("name environments, or attributes that they have, or give --all")
    if not context.options.message:
        raise UsageError("say why: -m <text>", hint="whoever meets the gate is told")
    document = freeze_requests.gate_document(
        context.stores,
        targets,
        context.options.message,
        packages=[absolute_glob(context, glob) for glob in packages],
        actors=[actor.strip() for text in allow for actor in text.split(",") if actor.strip()],
        when=freeze_requests.When(since, until, rrule, duration, timezone),
    )
    gate = Gate.read(document, name or freeze_requests.name_for(targets), "")
    is_open, ends = gate.at(time.time())
    if gate.problem is not None:
        raise UsageError(gate.problem, hint=gate.hint)
    Ref.parse(gate_ref(INTENT, gate.name))  # raises for what can be no name
    done = freezing.freeze(
        context.stores,
        document,
        gate.name,
        is_fixed=name is not None,
        cancels=cancel_pending,
        operation=context.operation("freeze"),
    )
    context.terminal.result(gate_ref(STATE, done.result["name"]))
    _tell_when(context, is_open=is_open, until=ends)
    for ref in done.result["cancelled"]:
        context.terminal.remark(f"{ref}: cancelled")
    for glob in freezing.unmatched(context.snapshot(), gate):
        context.terminal.warning(f"no package matches '{glob}' yet")
    for going_on in freezing.running(context.snapshot(), gate) if is_open else ():
        context.terminal.remark(f"{going_on}: goes on, because it was started before")
    report_left(context.terminal, done)
    return 0


def _tell_when(context: Context, *, is_open: bool, until: float | None) -> None:
    from ...formats.times import format_local

    if is_open:
        when = f"until {format_local(until)}" if until is not None else "until it is thawed"
        context.terminal.remark(f"closed {when}")
    elif until is not None:
        context.terminal.remark(f"it closes at {format_local(until)}")


COMMAND = Command(
    "freeze",
    "Let no deployment start in some environments, from now on or in windows of time, until it is thawed. Runs that "
    "are going on are not touched.",
    "[<options>] -m <why> (--all | <environment>... | <attribute>=<value>...)",
    run,
    (
        Option("--all", help="all environments"),
        Option("--from", metavar="<time>", name="since", help="from then on (default: now)"),
        Option("--until", metavar="<time>", help="only until then"),
        Option("--rrule", metavar="<rule>", help="again and again, as a rule of RFC 5545 says when it begins"),
        Option("--duration", metavar="<length>", help="how long each time, such as 15h or 2d"),
        Option("--timezone", metavar="<zone>", help="whose clock counts (default: this machine's)"),
        Option("--package", metavar="<glob>", name="packages", many=True, help="only packages that match"),
        Option("--allow", metavar="<actor>,…", many=True, help="who may start a run all the same, by --override"),
        Option("--name", metavar="<name>", help="what to call it (default: after what it is about)"),
        Option("--cancel-pending", help="cancel the runs that wait to start there"),
    ),
    common=WRITING,
    notes="""
Prints the ref of the gate. A time is 2026-12-20, '2026-12-20 17:00', 2026-12-20T17:00:00Z, or so long from now: 2h, 3d.
A rule is, for example, 'FREQ=WEEKLY;BYDAY=FR;BYHOUR=17' with --duration 63h: from Friday at five to Monday at eight.
Exit status: 0; 1 where there is no such environment; 3 where a gate of that name says something else.
""",
)
