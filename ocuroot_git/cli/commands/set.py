"""`git ocuroot set`: say what is wanted."""

from __future__ import annotations

from ...errors import Conflict, Fatal, UsageError
from ...formats.documents import Document, DocumentError, dump, parse
from ...git.objects import ABSENT
from ..arguments import checked_oid, intent_ref
from ..options import RELATIVE, WRITING, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...formats.refs import Ref
    from ...store.transaction import Transaction
    from ..context import Context


def run(
    context: Context,
    intent: str,
    value: str,
    *,
    format: str | None,
    if_absent: bool,
    if_match: str | None,
) -> int:
    if if_absent and if_match:
        raise UsageError("--if-absent and --if-match exclude each other")
    ref = intent_ref(context, intent)
    expected = ABSENT if if_absent else checked_oid(if_match)
    document = read_document(context, value, format)
    if ref.is_global and ref.type == "environment":
        _check_environment(ref, document)
    elif format is None and _reads_as_json(document):
        context.terminal.warning(
            "the value is kept as a string, although it reads as JSON", "-f json keeps the JSON, -f string is quiet"
        )

    def change(transaction: Transaction) -> None:
        if if_absent and transaction.exists(ref):
            raise Conflict(f"'{ref}' exists already")
        if expected is not None:
            transaction.verify(ref, expected)
        transaction.set(ref, document)

    held = {"stdin": document} if value == "-" else {}
    operation = context.operation("set", **held)
    context.stores.transact(change, command="set", message=context.options.message, operation=operation)
    return 0


def read_document(context: Context, value: str, form: str | None) -> Document:
    """The document that a value on the command line (`-`: stdin) stands for, in one of the three formats."""
    text = context.read_value(value)
    context.check_size(text)
    if form in (None, "string"):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Fatal("the value is not UTF-8") from None
        return text
    if form == "starlark":
        from ...config.repo_file import evaluate_value

        text = evaluate_value(text)
    return parse(text)


def _reads_as_json(text: str) -> bool:
    """Whether a text is a JSON object or array."""
    if text.strip()[:1] not in ("{", "["):
        return False
    try:
        parse(text)
    except DocumentError:
        return False
    return True


def _check_environment(ref: Ref, document: Document) -> None:
    """Raise Fatal for what 'apply' could not make an environment of: another shape, or another name than the ref's."""
    from ...delivery.expiry import read_wanted

    try:
        read_wanted(document, str(ref))
    except Fatal as error:
        if isinstance(document, str):
            error.hint = "-f json takes the value as JSON"
        error.hint = error.hint or f'such as {{"name": {dump(ref.name)}, "attributes": {{"type": "prod"}}}}'
        raise


COMMAND = Command(
    "set",
    "Make the intent at a ref be a value; '-' reads it from stdin. Setting what is there already changes nothing.",
    "[<options>] <intent-ref> (<value> | -)",
    run,
    (
        Option("-f", "--format", choices=("string", "json", "starlark"), help="what the value is (default: string)"),
        Option("--if-absent", help="only where there is no such document yet"),
        Option("--if-match", metavar="<oid>", help="only where the document is this blob"),
    ),
    common=(*RELATIVE, *WRITING),
    negatives=True,
    least=2,
    most=2,
    notes="A value that begins with '-', and is no number, stands after '--'.\n"
    "An environment is an object with its name and attributes, which are strings.\n"
    "What -m says is also the subject of the commit.\n"
    "Exit status: 0; 3 where --if-absent or --if-match does not hold, or the race was lost.",
)
