"""`git ocuroot prune`: take old releases out of the live tree (design 7)."""

from __future__ import annotations

from ...errors import UsageError
from ...formats.documents import dump
from ...sync.remotes import shared_tips
from ..arguments import absolute_glob
from ..options import COMMON, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ...backends.base import Backend
    from ...delivery.prune import PruneResult
    from ...git.objects import Oid
    from ..context import Context

_KEPT: Final = 100
"""Releases of each package that are kept where nothing else is said."""
_SECONDS: Final = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def run(context: Context, *globs: str, keep_releases: int | None, keep: str | None, dry_run: bool, json: bool) -> int:
    from ...delivery import prune
    from ...delivery.retention import Keep

    kept = _KEPT if keep_releases is None and keep is None else keep_releases or 0
    limits = Keep(kept, None if keep is None else read_duration(keep))
    patterns = [absolute_glob(context, glob) for glob in globs]
    shared = shared_tips(context.stores, context.settings)
    tips: dict[Backend, Oid] = {branch: tip for branch, (_, tip) in shared.items() if tip is not None}
    if dry_run:
        result = prune.dry_run(context.snapshot(), patterns, limits, tips)
    else:
        result = prune.prune(context.stores, patterns, limits, context.operation("prune", of_job=False), tips)
    status = _report(context, result, json=json, verb="would prune" if dry_run else "pruned")
    for branch, (remote, tip) in shared.items():
        if tip is None and result.gone:
            context.terminal.warning(
                f"nothing is known of {branch.where} on '{remote}': what was pruned before the first push may be in no "
                "history that others get",
                f"to share it, push before pruning: git ocuroot push {remote}",
            )
    return status


def read_duration(text: str) -> float:
    """Seconds, from `90d`, `12w` or `36h`. Raises UsageError."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 10) or unit not in _SECONDS:
        raise UsageError(f"option '--keep' takes a duration as in 90d, 12w or 36h, not '{text}'")
    return float(int(number) * _SECONDS[unit])


def _report(context: Context, result: PruneResult, *, json: bool, verb: str) -> int:
    """Print the releases that went, how many others stay, and at `-v` why; gives the exit status, 1 for problems."""
    from ..reports import report_problems

    terminal = context.terminal
    count = 0
    for release in result.releases():
        count += 1
        if json:
            terminal.json(dump({"ref": release, "commit": result.commit}, None))
        else:
            terminal.record(terminal.name(release))
    for kept in result.kept:
        terminal.detail(f"'{kept.ref}' stays: {'; '.join(dict.fromkeys(kept.reasons))}")
    if not count:
        terminal.remark("nothing to prune")
    else:
        words = f"{count} release{'s' if count > 1 else ''} of {len(result.gone)} package"
        where = f"; 'git ocuroot get --at {result.commit[:12]} <ref>' reads them" if verb == "pruned" else ""
        terminal.remark(f"{verb} {words}{'s' if len(result.gone) > 1 else ''}{where}")
    if result.kept:
        why = "" if terminal.verbose else "; '-v' says why each does"
        one = len(result.kept) == 1
        terminal.remark(f"{len(result.kept)} old release{' stays' if one else 's stay'}{why}")
    if result.unshared:
        one = len(result.unshared) == 1
        terminal.remark(
            f"{len(result.unshared)} of these would go once {'it is' if one else 'they are'} pushed: 'git ocuroot push'"
        )
    return report_problems(terminal, result.problems)


COMMAND = Command(
    "prune",
    "Take old releases out of the live tree, in one commit: all packages, or those that match a pattern. They stay in "
    "history, and whoever asks for one is told where it went. Their numbers are not given again.",
    "[<options>] [<glob>...]",
    run,
    (
        Option(
            "--keep-releases",
            metavar="<n>",
            number=True,
            help="keep the <n> newest releases of each package; by default 100, unless --keep says what is kept",
        ),
        Option("--keep", metavar="<duration>", help="keep releases in which something was done since: 90d, 12w, 36h"),
        Option("--dry-run", help="only say what would be pruned"),
        Option("--json", help="print a JSON line for each release that was pruned: ref, commit"),
        Option("-z", help="end records with NUL"),
    ),
    common=COMMON,
    notes="Says how many old releases stay, and with -v why each does.\n"
    "Never pruned, however old: the newest release; one that is deployed, tagged, linked to or held; one with\n"
    "runs that have not ended, or have failed and nobody has dealt with that; one that an intent names, or a run or\n"
    "a deployment elsewhere takes an input from; one that cannot be read; of a local branch that is shared by hand,\n"
    "one that others do not have as it is, until 'git ocuroot push'.\n"
    "Exit status: 0, also where nothing is to be pruned; 1 where something was left out or no package matches.",
)
