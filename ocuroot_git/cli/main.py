"""`git ocuroot`: find the command, read its options, run it, and turn errors into exit statuses (design 6).

The one place that prints errors and knows signals. Commands are imported only when they are run.
"""

from __future__ import annotations

import os
import sys

from .. import __version__
from ..errors import Error, UsageError
from .terminal import Terminal, silence_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from .options import Command, Group, Parsed

COMMANDS: Final = {
    "init": "make the stores and write the configuration",
    "status": "show where the stores are and what is in them",
    "get": "print documents",
    "match": "list the refs that match patterns",
    "set": "say what is wanted: write an intent",
    "delete": "delete an intent",
    "diff": "compare intent with state",
    "apply": "make state follow intent",
    "deploy": "take down what is deployed",
    "deployments": "show what is deployed where, since when and by whom",
    "promote": "let one environment want what is deployed in another",
    "rollback": "let an environment want what was deployed there before",
    "undo": "take back what one commit did",
    "hold": "keep releases from being deployed, and let them go",
    "metrics": "show how fast and how well software is delivered",
    "incident": "write down what went wrong after a deployment, and when it was over",
    "package": "show what a package defines, and check it",
    "release": "make releases, list and show them",
    "run": "carry out the work of a release and record it",
    "logs": "show what runs have printed",
    "work": "show what is to be done, and do it",
    "freeze": "let no deployment start",
    "thaw": "let deployments start again",
    "approve": "let a release be deployed, or not",
    "gate": "show what keeps deployments from starting",
    "prune": "take old releases out of the live tree",
    "resolve": "print the refs behind links",
    "parse": "show the parts of a ref",
    "log": "show who changed what, and when",
    "blame": "show who gave each field of a document its value",
    "watch": "tell what changes, as it comes",
    "update": "change documents and links of any kind, all or nothing",
    "fetch": "get what others wrote",
    "push": "give others what was written here",
    "sync": "bring the local stores and those of a remote together",
    "fsck": "check the stores",
    "cache": "show, check or forget what is remembered",
    "export": "copy the stores to a directory",
    "import": "fill a new store from a directory",
    "view": "show the stores in a browser",
    "site": "write the pages of view as files",
}
"""The commands, in the order in which help lists them. Each is a module in `commands/`."""

_USAGE: Final = "usage: git ocuroot [<common options>] <command> [<options>]\n"


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command line; gives the exit status. Prints every error, and never a traceback unless asked to."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    environ = os.environ if environ is None else environ
    terminal = Terminal(environ)
    try:
        try:
            status = _dispatch(words, terminal, environ)
            terminal.finish()
            return status
        except KeyboardInterrupt as interrupt:
            from .signals import die_of

            return die_of(interrupt)
        except BrokenPipeError:
            silence_stdout()
            return 141
        except Error as error:
            _trace(terminal)
            terminal.error("fatal: ", error.message, error.hint)
            return error.status
        except Exception as error:  # a fault of ours: the user gets one line all the same
            _trace(terminal)
            terminal.error(
                "fatal: ",
                f"unexpected {type(error).__name__}: {error}",
                "GIT_TRACE_OCUROOT=1 shows where; please report it",
            )
            return 128
    except BrokenPipeError:
        silence_stdout()
        return 141


def load(name: str) -> Command | Group:
    """The command of a name, or the group of commands."""
    module = f"{__package__}.commands.{'import_' if name == 'import' else name}"
    __import__(module)
    command: Command | Group = sys.modules[module].COMMAND
    return command


def _dispatch(words: list[str], terminal: Terminal, environ: Mapping[str, str]) -> int:
    from .options import leading

    if words[:1] == ["help"] and len(words) > 1:
        words = [*words[1:], "--help"]
    found: Command | Group | None = None
    try:
        front = leading(words)
        if words[:1] == ["state"]:
            del words[0]  # Ocuroot's documented commands: `state get`, `state match`, …
            front += leading(words)
        if words and words[0] in COMMANDS:
            found = load(words.pop(0))
            found = command = found.select(words)
            words[:0] = front
            parsed = command.parse(words)
            if parsed.values["help"]:
                terminal.write(command.usage().encode())
                return 129 if "-h" in words else 0
            return _run(command, parsed, terminal, environ)
    except UsageError as error:
        terminal.error("error: ", error.message, error.hint)
        terminal.complain("", f"see 'git ocuroot {found.name + ' ' if found is not None else ''}-h'")
        return error.status
    if not words or words[0] in ("-h", "--help", "help"):
        terminal.write(_overview().encode())
        return 0 if words else 129
    if words[0] in ("--version", "version"):
        terminal.record(f"git-ocuroot version {__version__}")
        return 0
    from ..formats.spelling import nearest

    hint = nearest(words[0], COMMANDS) or "'git ocuroot -h' lists the commands"
    terminal.error("fatal: ", f"'{words[0]}' is not a git-ocuroot command", hint)
    return 129


def _run(command: Command, parsed: Parsed, terminal: Terminal, environ: Mapping[str, str]) -> int:
    from .context import Context
    from .options import CommonOptions

    options = CommonOptions(parsed.values)
    terminal.quiet, terminal.verbose = options.quiet, options.verbose
    terminal.end = "\0" if options.z else "\n"
    writes = any(option.name == "message" for option in command.options)  # as all have that make a commit
    context = Context(options, parsed.request(), terminal, environ, writes=writes)
    try:
        return command.run(context, *parsed.arguments, **parsed.own())
    finally:
        if context.are_stores_open:
            terminal.flush()
            context.warn_of_name()
            context.stores.finish()


def _overview() -> str:
    lines = [f"{_USAGE}", "The state of software delivery, kept in git.", ""]
    width = max(map(len, COMMANDS))
    lines += [f"   {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    lines += ["", "'git ocuroot <command> -h' shows the options of one, 'git help ocuroot' the manual page."]
    return "\n".join(lines) + "\n"


def _trace(terminal: Terminal) -> None:
    """Where the error came from, for whoever asked for a trace."""
    from ..git.tracing import is_tracing, trace

    if is_tracing(terminal.environ):
        import traceback

        trace(terminal.environ, traceback.format_exc().rstrip())
