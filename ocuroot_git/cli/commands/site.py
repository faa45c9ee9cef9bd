"""`git ocuroot site`: the pages of `view` as files, which any web server serves, or none (design 10).

Flask is imported only here, when the command runs.
"""

from __future__ import annotations

from ...errors import Fatal, UsageError
from ..arguments import absolute_glob
from ..options import READING, Command, Option
from ..progress import Meter
from ..reports import report_cut_history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def run(
    context: Context,
    *,
    out: str | None,
    at: str | None,
    base: str | None,
    packages: str | None,
    releases: int | None,
) -> int:
    if not out:
        raise UsageError("option '--out' is missing: the directory to write to")
    try:
        from ...web.published import Published
        from ...web.site import Choice, Site, SiteView
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "flask":
            raise
        raise Fatal(
            f"the site needs the Python package '{error.name}', which is not installed",
            hint="pip install 'ocuroot-git[view]'",
        ) from None
    chosen = Choice(absolute_glob(context, packages) if packages is not None else None)
    if base is not None:
        chosen = chosen._replace(base=_directory(base))
    if releases is not None:
        chosen = chosen._replace(releases=releases)
    view = SiteView(lambda: context.stores, at, chosen)
    terminal = context.terminal
    with Published(out, terminal.warning) as target, Meter(terminal, "Writing pages of packages") as meter:
        site = Site(view, target, chosen, meter)
        site.write()
    site.remember()
    total = len(target.files)
    if site.is_cut:
        report_cut_history(terminal)
    terminal.detail(f"{site.made} pages were made")
    terminal.remark(
        f"'{out}' has {total} files: {target.written} written, {total - target.written} as they were, "
        f"{target.removed} removed"
    )
    return 0


def _directory(url: str) -> str:
    """The address of the site, with the `/` at its end. Raises UsageError for what is no such address."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        is_one = False
    if not is_one or not url.isprintable() or any(char in url for char in ' "<>?#'):
        raise UsageError(
            f"option '--base' takes the address of a directory, not '{url}'", hint="https://example.com/shop/"
        )
    return url if url.endswith("/") else f"{url}/"


COMMAND = Command(
    "site",
    "Write the pages of 'view' as files, which any web server serves, or a browser opens from the disk, each with its "
    "JSON beside it. Run again, it writes what has changed, and removes what no longer belongs to the site; files that "
    "it did not write it leaves alone.",
    "--out <directory> [<options>]",
    run,
    (
        Option("--out", metavar="<directory>", help="the directory to write to; made if it is not there"),
        Option("--at", metavar="<rev>", help="the stores as they were at a revision (state~3, an id) or a date"),
        Option("--base", metavar="<url>", help="where the site will be, for the feed: its addresses are whole then"),
        Option("--packages", metavar="<glob>", help="only of packages that match a pattern (repo/-/path, //path)"),
        Option("--releases", metavar="<n>", number=True, help="releases of a package with pages of all (default: 10)"),
    ),
    common=READING,
    most=0,
)
