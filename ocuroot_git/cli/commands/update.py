"""`git ocuroot update --stdin`: plumbing that changes documents and links of any kind, all or nothing."""

from __future__ import annotations

from ...errors import Error, Fatal, UsageError
from ...formats.documents import parse
from ...git.objects import ABSENT
from ..arguments import checked_oid
from ..options import RELATIVE, WRITING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...store.transaction import Transaction
    from ..context import Context

    Step = Callable[[Transaction], None]

ARGUMENTS = {
    "set": ("ref", "JSON"),
    "create": ("ref", "JSON"),
    "delete": ("ref",),
    "verify": ("ref", "id or 'absent'"),
    "link": ("ref", "target"),
    "unlink": ("ref",),
    "depend": ("ref", "dependency"),
    "undepend": ("ref", "dependency"),
}


def run(context: Context, *, stdin: bool) -> int:
    if not stdin:
        raise UsageError("update reads its instructions from stdin: give --stdin")
    records = list(context.terminal.read_records())
    steps = list(_steps(context, iter(records), context.terminal.ends_with_nul))

    def change(transaction: Transaction) -> None:
        transaction.prefetch(ref for _, refs, _ in steps for ref in refs)
        for where, _, step in steps:
            try:
                step(transaction)
            except Error as error:
                error.message = f"{where}: {error.message}"
                raise

    operation = context.operation("update", stdin=records)
    context.stores.transact(change, command="update", message=context.options.message, operation=operation)
    return 0


def _steps(context: Context, records: Iterator[str], nul: bool) -> Iterator[tuple[str, list[str], Step]]:
    """Where each instruction stands, its refs, and itself. All are parsed before the first is carried out."""
    for number, record in enumerate(records, 1):
        where = f"{'instruction' if nul else 'line'} {number}"
        if not record.strip() and not nul:
            continue
        verb, _, rest = record.partition(" ")
        if verb not in ARGUMENTS:
            known = ", ".join(ARGUMENTS)
            raise Fatal(f"{where}: unknown instruction '{verb}'", hint=f"the instructions are {known}")
        names = ARGUMENTS[verb]
        try:
            words = [rest, *(next(records, "") for _ in names[1:])] if nul else _split(rest, len(names))
            for name, word in zip(names, words):
                if not word:
                    raise Fatal(f"'{verb}' lacks the {name}")
            context.check_size(words[-1])
            refs = [word for name, word in zip(names, words) if name in ("ref", "target", "dependency")]
            yield where, refs, _step(verb, words)
        except Error as error:
            error.message = f"{where}: {error.message}"
            raise


def _split(text: str, count: int) -> list[str]:
    """The words of a line: the first ends at a space, or is a JSON string in quotes; the last is all the rest."""
    if text.startswith('"'):
        end = 1
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        first, rest = str(parse(text[: end + 1])), text[end + 1 :]
    else:
        first, _, rest = text.partition(" ")
    rest = rest.strip()
    if count == 1:
        if rest:
            raise Fatal(f"there is more after the ref: '{rest}'", hint='put a ref with spaces in quotes: "a b"')
        return [first]
    return [first, rest]


def _step(verb: str, words: list[str]) -> Step:
    ref = words[0]
    if verb in ("set", "create"):
        value = parse(words[1])
        if verb == "set":
            return lambda transaction: transaction.set(ref, value)
        return lambda transaction: transaction.create(ref, value)
    if verb == "verify":
        oid = checked_oid(words[1]) or ABSENT
        return lambda transaction: transaction.verify(ref, oid)
    if verb in ("delete", "unlink"):
        return lambda transaction: getattr(transaction, verb)(ref)
    target = words[1]
    if target.startswith('"'):
        target = str(parse(target))
    return lambda transaction: getattr(transaction, verb)(ref, target)


COMMAND = Command(
    "update",
    "Read instructions from stdin and carry them out in one commit, all or nothing. May change state.",
    "--stdin [-z] [<options>]",
    run,
    (
        Option("--stdin", help="read the instructions from stdin"),
        Option("-z", help="arguments end with NUL: <verb> SP <ref> NUL [<argument> NUL]"),
    ),
    common=(*RELATIVE, *WRITING),
    most=0,
    notes="""
Instructions, one a line; a ref with spaces stands in double quotes:
    set <ref> <json>         create <ref> <json>      delete <ref>
    verify <ref> <oid>       verify <ref> absent
    link <ref> <target>      unlink <ref>
    depend <ref> <dep>       undepend <ref> <dep>
What -m says is also the subject of the commit.
Exit status: 0; 1 where something to be changed is not there; 3 where create or verify does not hold.
""",
)
