"""The functions of a run beyond its first: what `next(…)` of code goes on with (design 14.8).

The first is the run's own, and holds its status; others are added as they are asked for, each with its inputs. The last
of them is what is executed.
"""

from __future__ import annotations

from . import model, vocabulary
from .inputs import fill
from .model import Function
from .queries import records_of
from .run_queries import read_step
from .vocabulary import ModelError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ..store.snapshot import Snapshot
    from ..store.transaction import Transaction
    from .addresses import RunRef
    from .fields import Fields
    from .model import Inputs


MOST_FUNCTIONS: Final = 100
"""Functions of one run; more of them follow from each other without end."""


def last_step(snapshot: Snapshot, run: RunRef) -> tuple[int, Function]:
    """The number of the last function of a run, and that function."""
    number = records_of(snapshot).last_number(snapshot, run)
    return number, read_step(snapshot, run, number)


def add_step(tx: Transaction, run: RunRef, fn: Fields, inputs: Inputs) -> list[str]:
    """Let a run go on with another function; gives the names of the inputs it still waits for. Raises ModelError."""
    number, before = last_step(tx, run)
    if number >= MOST_FUNCTIONS:
        raise ModelError(f"'{run}' went on with {number} functions, and asks for more: does one ask for itself?")
    filled, missing = fill(tx, inputs)
    status = vocabulary.PENDING if missing else vocabulary.RUNNING
    history: list[Fields] = [{"time": model.timestamp(), "status": status}]
    _write(tx, run, number + 1, Function(fn, status, [], filled, history=history))
    if number > 1:
        _enter(tx, run, number, before, vocabulary.COMPLETE)
    else:
        _write(tx, run, number, before)  # it holds the status of the run, but is marked as one that is over
    return missing


def fill_last(tx: Transaction, run: RunRef) -> None:
    """Give the inputs of the function that a paused run goes on with their values."""
    number, step = last_step(tx, run)
    step.inputs, _ = fill(tx, {name: given.unfilled() for name, given in step.inputs.items()})
    if number > 1:
        _write(tx, run, number, step)


def follow(tx: Transaction, run: RunRef, status: str) -> None:
    """Let the last function of a run, where it has several, have the status to which the run goes."""
    number, step = last_step(tx, run)
    status = vocabulary.PENDING if status == vocabulary.PAUSED else status
    if number > 1 and step.status != status:
        _enter(tx, run, number, step, status)


def _enter(tx: Transaction, run: RunRef, number: int, step: Function, status: str) -> None:
    step.status = status
    step.history = [*step.history, {"time": model.timestamp(), "status": status}]
    _write(tx, run, number, step)


def _write(tx: Transaction, run: RunRef, number: int, step: Function) -> None:
    records_of(tx).put_function(tx, run, number, step)
