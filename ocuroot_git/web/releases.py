"""Packages, releases, work, runs and logs, as their pages show them. Plain JSON values.

Every function takes the `Facts` of one snapshot and a stored ref of the state store.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from ..delivery import lenient
from ..delivery.addresses import release_number
from ..delivery.lenient import split_work
from ..delivery.tags import tags_in
from ..delivery.vocabulary import DEPLOY, FAILED, OPEN, PRUNED
from ..formats.layout import REFS, Damaged, StoredRef
from ..formats.operation import Origin
from ..formats.refs import STATE, version_key
from .addresses import is_web_address
from .lists import package_row, paged, waits_for
from .logs import LAST_LINES, LINES, Part, log
from .phases import phases_of
from .source import source_commit
from .standing import APPROVAL, READY, of_status, standing

if TYPE_CHECKING:
    from ..delivery.overview import Unfinished
    from ..formats.documents import Document
    from ..formats.layout import StoredObject
    from .facts import Facts

Page = dict[str, Any]

RELEASES = 50
_MOST_BUTTONS = 4
_IS_BY_GATE = re.compile(r"approval\b").match


# Packages and releases


def package(facts: Facts, ref: str, number: int) -> Page:
    """A package with its releases, the newest first: commit, tags, and how each phase fares."""
    known = facts.package(ref)
    page = paged(known.numbers[::-1], number, RELEASES)
    page["items"] = [_release_row(facts, ref, one) for one in page["items"]]
    others = [
        name
        for name in facts.names(facts.state, ref)
        if name[0] == STATE
        and name not in (STATE, f"{STATE}{PRUNED}")
        and facts.state.layout.release_number(name) is None
    ]
    return {
        "row": package_row(facts, known),
        "releases": page,
        "tags": [f"{ref}/{name}" for name in sorted(others, key=version_key, reverse=True)],
        "deployed": known.deployed,
    }


def _release_row(facts: Facts, package: str, number: int) -> Page:
    stored = f"{package}/{facts.state.layout.release_segment(number)}"
    try:
        found = facts.state.object(StoredRef(stored))
    except Damaged:
        found = None
    body = lenient.fields(found.body) if found is not None and found.kind == "ref" else {}
    commit = lenient.text(body.get("commit"))
    return {
        "ref": stored,
        "number": number,
        "commit": commit,
        "source": source_commit(facts, package, commit),
        "time": facts.time(f"{stored}/commit/{commit}") if commit else "",
        "tags": tags(stored, found),
        "phases": phases_of(facts, stored, body),
        "custom": list(facts.release(stored).custom),
    }


def tags(stored: str, found: StoredObject | None) -> list[str]:
    """The tags of a release, in the order of versions."""
    return sorted(tags_in(stored, found), key=version_key)


def release(facts: Facts, stored: str) -> Page:
    """A release as a pipeline: phases, work, status, times, and what was said of it in custom documents."""
    found = facts.state.object(StoredRef(stored))
    body = lenient.fields(found.body) if found is not None else {}
    commit = lenient.text(body.get("commit"))
    known = facts.release(stored)
    phases = phases_of(facts, stored, body)
    package = stored.rpartition("/")[0]
    standings = {one.run: standing(one) for one in facts.unfinished_of(package) if one.status in OPEN}
    for phase in phases:
        for one in phase["work"]:
            one["standing"] = standings.get(one["run"], of_status(one["status"]))
            one |= _times(facts, one["run"] or one["ref"], one["status"])
            one["superseded"] = _superseded(facts, one["run"], one["status"])
            one["type"] = lenient.text(lenient.fields(facts.body(one["run"] or one["ref"])).get("type"))
    numbers = facts.package(package).numbers
    number = release_number(stored)
    segment = facts.state.layout.release_segment
    earlier = [one for one in numbers if one < number]
    later = [one for one in numbers if one > number]
    return {
        "ref": stored,
        "package": package,
        "number": number,
        "commit": commit,
        "source": source_commit(facts, package, commit),
        "time": facts.time(f"{stored}/commit/{commit}") if commit else "",
        "tags": tags(stored, found),
        "phases": phases,
        "previous": f"{package}/{segment(earlier[-1])}" if earlier else "",
        "next": f"{package}/{segment(later[0])}" if later else "",
        "deployed": sorted(
            name for name, run in facts.package(package).deployed.items() if run.startswith(f"{stored}/")
        ),
        "custom": [
            {"name": name, "ref": f"{stored}/custom/{name}", "value": facts.body(f"{stored}/custom/{name}")}
            for name in known.custom
        ],
        "ops": facts.names(facts.state, f"{stored}/op"),
    }


# Work and runs


def _times(facts: Facts, run: str, status: str) -> Page:
    """When a run started, and when it came to its present status."""
    history = [step for function in lenient.functions_of(facts.state, run) for step in function.history]
    marked = facts.time(f"{run}/status/{status}") if status else ""
    started = next((step["time"] for step in history if step["status"] == "running"), "")
    reached = next((step["time"] for step in reversed(history) if step["status"] == status), "")
    return {"start": started, "time": marked or reached}


def _superseded(facts: Facts, run: str, status: str) -> str:
    """What took the place of a run that was cancelled, in words (`superseded by …/@6`); empty where nothing did."""
    if status != "cancelled" or not run:
        return ""
    reasons = [function.ended_by for function in lenient.functions_of(facts.state, run)]
    return next((reason for reason in reasons if reason.startswith("superseded by ")), "")


def work(facts: Facts, stored: str) -> Page:
    """A piece of work: its runs, the newest first."""
    runs = []
    for number in reversed(lenient.run_numbers(facts.state, stored)):
        run = f"{stored}/{number}"
        status = lenient.status_of(facts.state, run)
        runs.append({"ref": run, "number": number, "status": status, **_times(facts, run, status)})
    head, _, below = split_work(stored)
    return {"ref": stored, "release": head, "name": below, "runs": runs}


def origin_of(marker: Document) -> tuple[str, str, str]:
    """By whom a run came to its status, in which run of a CI system, and why, as its marker says it."""
    said = lenient.fields(marker)
    origin = Origin.kept(*(lenient.line(said.get(key)) or None for key in ("actor", "run", "reason")))
    actor, run, reason = (text or "" for text in origin.values())
    return actor, run, reason


def _next_step(stored: str, release: str, name: str, unfinished: Unfinished | None, status: str) -> list[str]:
    """What a person may do about a run: in words, and the command; nothing where that cannot be said."""
    if status == FAILED:
        return ["Make it again", f"git ocuroot run retry {shlex.quote(stored)}"]
    word = standing(unfinished) if unfinished is not None else ""
    if unfinished is not None and word == APPROVAL and unfinished.word == DEPLOY:
        command = f"git ocuroot approve {shlex.quote(release)} --environment {shlex.quote(name)}"
        # An input that is called so is given by other means.
        return ["Approve it", command] if any(map(_IS_BY_GATE, unfinished.reasons)) else []
    return ["Start what is ready", "git ocuroot work any"] if word == READY else []


def run_page(facts: Facts, stored: str) -> Page:
    """A run: what it does, its inputs and outputs, what it waits for, its log, and the runs before and after it."""
    body = facts.body(stored)
    head, word, rest = split_work(stored)
    name, _, number = rest.partition("/")
    status = lenient.status_of(facts.state, stored)
    functions = lenient.functions_of(facts.state, stored)
    work = f"{head}/{word}/{name}"
    unfinished = None
    if status in OPEN:
        mine = facts.unfinished_of(head.rpartition("/")[0])
        unfinished = next((one for one in mine if one.run == stored), None)
    runs = lenient.run_numbers(facts.state, work)
    marker = facts.body(f"{stored}/status/{status}") if status else None
    actor, ci_run, reason = origin_of(marker)
    return {
        "ref": stored,
        "release": head,
        "work": work,
        "kind": "deploy" if word == "deploy" else "call",
        "name": name,
        "number": int(number),
        "type": lenient.text(lenient.fields(body).get("type")),
        "status": status,
        "superseded": _superseded(facts, stored, status),
        **_times(facts, stored, status),
        "marker": marker,
        "actor": actor,
        "ci_run": ci_run,
        "reason": reason,
        "next_step": _next_step(stored, head, name, unfinished, status),
        "history": [step for function in functions for step in function.history],
        "inputs": {key: value for function in functions for key, value in function.inputs.items()},
        "output": (output := lenient.output(body)),
        "addresses": _addresses_in(output),
        "source": source_commit(facts, head.rpartition("/")[0], _commit_of(facts, head)),
        "commands": [function.command for function in functions if function.command],
        "functions": [{"name": one.name, "position": one.position} for one in functions if one.name],
        "dependencies": [
            {"glob": glob, "met": lenient.is_met(facts.snapshot, glob)}
            for function in functions
            for glob in function.dependencies
        ],
        "state": unfinished.state if unfinished is not None else "",
        "standing": standing(unfinished) if unfinished is not None else of_status(status),
        "waits_for": waits_for(facts, unfinished) if unfinished is not None else [],
        "previous": f"{work}/{max(n for n in runs if n < int(number))}" if any(n < int(number) for n in runs) else "",
        "next": f"{work}/{min(n for n in runs if n > int(number))}" if any(n > int(number) for n in runs) else "",
        "in_releases": _in_releases(facts, head, word, name),
        "log": log(facts, f"{stored}/logs", Part(size=LAST_LINES if status == FAILED else LINES)),
        "is_deployed": stored in facts.package(head.rpartition("/")[0]).deployed.values(),
    }


def _commit_of(facts: Facts, release: str) -> str:
    return lenient.text(lenient.fields(facts.body(release)).get("commit"))


def _addresses_in(output: Document) -> list[tuple[str, str]]:
    """The outputs that are addresses of the web, by name, as far as buttons can be."""
    found = [(name, value) for name, value in lenient.fields(output).items() if isinstance(value, str)]
    return [(name, value) for name, value in found if is_web_address(value)][:_MOST_BUTTONS]


def _in_releases(facts: Facts, release: str, word: str, name: str) -> Page:
    """The same work in the releases before and after."""
    package = release.rpartition("/")[0]
    numbers, here = facts.package(package).numbers, release_number(release)
    segment = facts.state.layout.release_segment
    made = {"previous": "", "next": ""}
    if here in numbers:
        at = numbers.index(here)
        for key, other in (("previous", at - 1), ("next", at + 1)):
            if 0 <= other < len(numbers):
                ref = f"{package}/{segment(numbers[other])}/{word}/{name}"
                made[key] = ref if facts.state.node(f"{REFS}/{ref}") is not None else ""
    return made
