"""`git ocuroot cache`: what is remembered of the stores, so that it need not be read again (design 9)."""

from __future__ import annotations

from ...errors import Fatal, UsageError
from ...formats.documents import dump
from ..options import READING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...store.memory import Memory
    from ..context import Context


def run(context: Context, *, stat: bool, verify: bool, clear: bool, json: bool) -> int:
    if stat + verify + clear != 1:
        raise UsageError("give one of --stat, --verify and --clear")
    memory = context.stores.surroundings.memory
    if memory is None:
        raise Fatal(
            "there is nothing remembered here, outside of a git repository",
            hint="stores in directories are read anew each time",
        )
    if stat:
        return _show(context, memory, json=json)
    return _clear(context, memory) if clear else _verify(context, memory, json=json)


def _show(context: Context, memory: Memory, *, json: bool) -> int:
    kinds = memory.kinds()
    count = sum(kinds.values())
    if json:
        report = {"file": memory.path, "bytes": memory.size, "most": memory.most, "entries": count, "kinds": kinds}
        context.terminal.json(dump(report))
        return 0
    terminal = context.terminal
    terminal.record(f"file     {terminal.name(memory.path)}")
    terminal.record(f"size     {_size(memory.size)} of {_size(memory.most)} at most")
    terminal.record(f"entries  {count}")
    for kind, number in kinds.items():
        terminal.record(f"{number:>7}  {kind}")
    return 0


def _size(number: int) -> str:
    return f"{number} bytes" if number < 1024 else f"{number >> 10} KiB" if number < 1 << 20 else f"{number >> 20} MiB"


def _clear(context: Context, memory: Memory) -> int:
    size = memory.size
    try:
        memory.clear()
    except OSError as error:
        raise Fatal(f"cannot remove '{memory.path}': {error.strerror}") from None
    context.terminal.remark(f"removed {_size(size)}" if size else "there was nothing remembered")
    return 0


def _verify(context: Context, memory: Memory, *, json: bool) -> int:
    from ...ledger.remembered import check
    from ..progress import Meter

    with Meter(context.terminal, "Working out what is remembered") as meter:
        checked = check(context.stores, memory, meter)
    terminal = context.terminal
    for kind, id_ in checked.wrong:
        if json:
            terminal.json(dump({"kind": kind, "id": id_}, None))
        else:
            terminal.record(f"{kind}\t{id_}")
    left = [f"{checked.gone} whose trees are gone"] if checked.gone else []
    left += [f"{checked.of_others} of other versions"] if checked.of_others else []
    rest = f"; not checked: {', '.join(left)}" if left else ""
    terminal.remark(f"{checked.right} right, {len(checked.wrong)} wrong{rest}")
    if checked.wrong:
        terminal.complain("hint: ", "'git ocuroot cache --clear' forgets everything; please report what was wrong")
    return 1 if checked.wrong else 0


COMMAND = Command(
    "cache",
    "Show, check or forget what is remembered of the stores in this repository, so that it need not be read again. It "
    "may be forgotten at any time: everything is worked out anew from the stores, which takes a while once.",
    "[<options>] (--stat | --verify | --clear)",
    run,
    (
        Option("--stat", help="say where it is, how large, and how much of what it holds"),
        Option("--verify", help="work everything out anew, compare, and print the kind and the id of what differs"),
        Option("--clear", help="forget everything"),
        Option("--json", help="print JSON"),
    ),
    common=READING,
    most=0,
    notes="Exit status: 0; 1 where --verify finds a difference.",
)
