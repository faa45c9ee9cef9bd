"""The inputs of work: those of the release, overridden by the intent, and filled in when a run starts (design 7)."""

from __future__ import annotations

from ..formats.documents import MISSING
from ..formats.refs import INTENT, Ref
from . import model
from .addresses import RunRef, WorkRef
from .model import Function, Input, Intent
from .problems import BAD
from .queries import records_of
from .run_queries import read_function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..store.snapshot import Snapshot
    from .fields import Fields
    from .model import Inputs


def fill(snapshot: Snapshot, inputs: Inputs) -> tuple[Inputs, list[str]]:
    """The inputs with their values, and the names of those whose ref leads to nothing and that have no default."""
    filled: Inputs = {}
    missing = []
    for name, given in inputs.items():
        value, is_by_default = given.value, False
        if given.ref is not None:
            found = snapshot.look_up(given.ref)
            value = found.value if found.found else given.default
            is_by_default = not found.found
        if value is MISSING:
            missing.append(name)
        filled[name] = Input(value, given.ref, given.default, given.others, is_by_default)
    return filled, missing


def with_overrides(snapshot: Snapshot, work: WorkRef, function: Function) -> tuple[Fields, Inputs]:
    """What the intent overrides for a deployment, if it names this very release, and all inputs as it gives them."""
    own = {name: given.unfilled() for name, given in function.inputs.items()}
    intent = read_intent(snapshot, work)
    if intent is None or snapshot.resolve(intent.release) != work.release:
        return {}, own
    given = model.read_inputs(intent.input, f"'{work.intent}'", work.release)
    overrides = records_of(snapshot).overriding(snapshot, work, intent.input)
    return overrides, {**own, **{name: one.unfilled() for name, one in given.items()}}


def missing_documents(snapshot: Snapshot, reference: str) -> list[str]:
    """The intents of custom documents that the inputs of a run refer to, and that are not there; none where it cannot
    be told. `reference` is the run's ref."""
    found: list[str] = []
    try:
        run = RunRef.parse(reference)
        _, inputs = with_overrides(snapshot, run.work, read_function(snapshot, run))
        for name, given in inputs.items():
            if given.ref is None or not fill(snapshot, {name: given})[1]:
                continue
            wanted = Ref.parse(given.ref).replace(marker=INTENT, fragment="")
            if wanted.type == "custom" and not wanted.is_relative and not snapshot.exists(wanted):
                found.append(str(wanted))
    except BAD:
        return []
    return list(dict.fromkeys(found))


def read_intent(snapshot: Snapshot, work: WorkRef) -> Intent | None:
    """What is wanted in an environment, its release made absolute; None where nothing is. Raises ModelError."""
    found = snapshot.look_up(work.intent) if snapshot.has_intent() else None
    if found is None or not found.found:
        return None
    intent = Intent.read(found.value, work.intent)
    intent.release = str(Ref.parse(intent.release).absolute(Ref.parse(work.intent)))
    return intent
