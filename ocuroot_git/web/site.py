"""The page as files: what `git ocuroot site` writes, of one commit, by the templates of the page itself (design 10)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from flask import Response, g

from .. import __version__
from ..delivery import lenient
from ..delivery.addresses import release_number
from ..delivery.claims import newest_time
from ..delivery.lenient import split_work
from ..delivery.vocabulary import FAILED
from ..errors import Error, NotFound
from ..formats.documents import dump, to_bytes
from ..formats.globs import Glob
from ..formats.layout import SIDES, Damaged, StoredRef
from ..formats.refs import STATE, Ref, RefError
from ..formats.times import format_seconds
from ..git.objects import Oid
from ..ledger.deployments import no_package
from ..ledger.remembered import SITE
from . import addresses, ansi, changes, site_plan, timelines
from .app import View, pages_of, render
from .badges import badge
from .details import Subject
from .environments import environment_names
from .feed import FILE, feed
from .lists import goes_to
from .logs import log_text
from .masking import masked, masked_page
from .releases import RELEASES, tags
from .site_facts import Gathered, NoDeployments, SiteFacts, Uses, WatchedSnapshot, digest, edges_of, state_of
from .site_names import badge_file, directory_of, file_beside, page_file
from .site_plan import LISTS, Plan, Written
from .site_search import INDEX, index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..delivery.overview import Package
    from ..store.stores import Stores
    from .facts import Facts
    from .published import Published

    Progress = Callable[[int, int], None]

RELEASES_SHOWN = 10
"""Releases of a package whose documents have pages, unless somebody asks for another number."""
_COMMIT_LISTS = 4
"""Lists of commits that a site has."""
_STATIC = Path(__file__).parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'"
"""The content security policy of every page: no frames, no connections, nothing from elsewhere, nothing inline."""
DOCUMENTS = "documents.json"
"""Beside the page of a package: all its documents."""


class Choice(NamedTuple):
    """What of the stores a site shows: the packages that match a pattern (None: all), of each so many releases.

    `base` is the address, with a `/` at its end, at which the site will be; None where nobody says.
    """

    packages: str | None = None
    releases: int = RELEASES_SHOWN
    base: str | None = None


class SiteView(View):
    """The view of one commit, with what a site shows of it."""

    def __init__(self, open_stores: Callable[[], Stores], at: str | None, choice: Choice) -> None:
        super().__init__(open_stores, at)
        self._glob = Glob(choice.packages) if choice.packages is not None else None
        self._shared: dict[str, Any] = {}
        self._first = self.snapshot()
        for side in SIDES:
            self._first.side_or_none(side)  # which version of it is read is settled here
        self.current = self.begin_anew()

    def begin_anew(self) -> SiteFacts:
        """Facts that have read nothing yet: what was read for one package is of no use to the next."""
        watched = WatchedSnapshot(self._first.surroundings, self._first.versions)
        watched.is_past = True  # what a site says must not hang on when it is made
        self.current = SiteFacts(watched, self.memory, self._glob, self._shared)
        return self.current

    def gather(self) -> None:
        """Read the deployments there have been."""
        facts = self.current
        backend, _ = facts.snapshot.backend_of(facts.state)
        if backend.repository is None:
            self._shared["ledger"] = NoDeployments()
            return
        changes.fetch_history(backend)
        self._shared["ledger"] = Gathered(facts.snapshot, facts.is_chosen)

    def facts(self, patience: float | None = None, at: str | None = None) -> SiteFacts:
        return self.current

    def answer(self, template: str, read: Callable[[Facts], dict[str, Any]]) -> Response:
        page = masked_page(read(self.current))
        if page.get("kind") == "log":
            page["body"] = None  # its lines are shown without secrets
        g.twin = page
        return Response(render(template, self.current, None, "", page))


class Site:
    """Writes the pages of a view to a directory."""

    def __init__(self, view: SiteView, target: Published, choice: Choice, progress: Progress) -> None:
        self._view = view
        self._target = target
        self._choice = choice
        self._progress = progress
        self._app = pages_of(view)
        facts = view.current
        backend, _ = facts.snapshot.backend_of(facts.state)
        self._commit = facts.snapshot.version(backend).oid
        # Commits tell of all packages.
        self._plan = Plan(has_commits=backend.repository is not None and choice.packages is None)
        self._releases: dict[str, set[int]] = {}
        self._refs: dict[str, list[str]] = {}
        self._program = _program()
        self.made = 0
        """How many pages were made; those of a package that is as it was are not."""
        self._app.jinja_env.globals.update(
            is_site=True,
            site=self._about(),
            documents=file_beside("", DOCUMENTS),
            badges_of=self._badges_of,
            top_file=lambda name: g.pages.file(name),
        )
        self._app.context_processor(lambda: {"twin": g.pages.twin})

        self._made_of = self._all_it_is_made_of()

    @property
    def is_cut(self) -> bool:
        """Whether history begins later here than elsewhere, so that deployments before that are not told."""
        return self.made > 0 and self._view.current.ledger().is_cut

    def write(self) -> None:
        """Write all there is, unless it is there already.

        Raises what `Published` raises, and Fatal for a page that cannot be made; NotFound where no package matches, so
        that a pattern with a slip in it takes no pages away.
        """
        if self._is_there():
            return
        view, plan = self._view, self._plan
        view.gather()
        packages = dict(sorted(view.current.packages().items()))
        if self._choice.packages is not None and not packages:
            raise no_package(self._choice.packages)
        self._make_plan(packages)
        self._write_static()
        self._target.write(f"static/{INDEX}", index(view.current, plan, self._releases))
        self._write_page("/search")
        self._target.write(".nojekyll", b"")
        for address in (*LISTS, *(["/commits"] if plan.has_commits else [])):
            plan.file_of(address)
        for place in plan.timelines:
            if not place[1]:
                plan.ask(addresses.of_timeline(*place) if place[0] else "/timeline")
        own = {ref for refs in self._refs.values() for ref in refs}
        self._write_pages([addresses.of_ref(ref) for ref in sorted(plan.refs - own)])
        self._write_pages([addresses.of_commit(oid) for oid in sorted(plan.commits)])
        for number, (name, package) in enumerate(packages.items()):
            self._progress(number, len(packages))
            self._write_package(name, package)
        view.begin_anew()
        self._write_feed()
        while plan.todo:
            self._write_pages([plan.todo.pop()])

    def remember(self) -> None:
        """Remember what all this was made of, for the next run; to be called once the last file is in its place."""
        memory = self._view.current.snapshot.surroundings.memory
        is_whole = self.made > 0 and not self.is_cut and not self._target.has_others
        # What came while it was made may be in it or not.
        if memory is not None and is_whole and self._made_of is not None and self._made_of == self._all_it_is_made_of():
            memory.put(SITE, {self._made_of: self._target.digest.encode()})

    def _is_there(self) -> bool:
        """Whether the directory has just what would be written: a run of the same on the same made it."""
        memory = self._view.current.snapshot.surroundings.memory
        if memory is None or self._made_of is None:
            return False
        known = memory.get(SITE, [self._made_of]).get(self._made_of)
        return known is not None and known.decode() == self._target.digest and self._target.keep_all()

    def _all_it_is_made_of(self) -> str | None:
        """A digest of everything on which what is written hangs; None where there is more than can be told.

        The commits are not all: a document may be damaged and mended, the source of a release may be fetched, and
        history may have ended before.
        """
        facts = self._view.current
        stores = []
        for tree in (facts.state, facts.intent or facts.state):
            backend, directory = facts.snapshot.backend_of(tree)
            stores.append([facts.snapshot.version(backend).oid, directory, backend.where])
        marks = facts.snapshot.surroundings.marks()
        if marks is None or None in (store[0] for store in stores):
            return None
        return digest([self._program, self._choice, stores, facts.snapshot.base.repo, marks])

    # What there is

    def _make_plan(self, packages: dict[str, Package]) -> None:
        view, plan = self._view, self._plan
        facts = view.current
        plan.packages.update(packages)
        plan.refs.update(site_plan.refs_of_store(facts))
        plan.refs.update(f"@/environment/{name}" for name in environment_names(facts))
        for name, package in packages.items():
            shown = self._releases[name] = site_plan.shown_releases(facts, package, self._choice.releases)
            refs = self._refs[name] = list(dict.fromkeys(site_plan.refs_of_package(facts, package, shown)))
            plan.refs.update(refs)
            plan.logs.update(filter(site_plan.is_log, refs))
            repository = name.partition("/-/")[0]
            if repository != name:
                plan.refs.add(f"{repository}/-")
        ledger = facts.ledger()
        if isinstance(ledger, Gathered):
            plan.timelines.update(ledger.places())
            plan.timelines.add(("", ""))
        backend, _ = facts.snapshot.backend_of(facts.state)
        start = self._commit if plan.has_commits else None
        for _ in range(_COMMIT_LISTS):
            if start is None:
                break
            page = changes.commit_page(facts.snapshot, backend, start)
            plan.commits.update(dict.fromkeys(one["commit"] for one in page["commits"]))
            start = page["next"]
            if start is not None:
                plan.commit_lists.add(start)

    def _about(self) -> dict[str, Any]:
        """What the overview says of the site."""
        seconds = newest_time(self._view.current.snapshot)
        return {
            "commit": self._commit,
            "time": format_seconds(seconds),
            "policy": POLICY,
            "feed": FILE if self._commit is not None else "",
        }

    # Files

    def _write_static(self) -> None:
        for file in sorted(_STATIC.iterdir()):
            self._target.write(f"static/{file.name}", file.read_bytes())
        self._target.write("static/colours.css", ansi.style_sheet().encode())

    def _write_feed(self) -> None:
        """The feed of the newest deployments, where there is history to tell of."""
        facts = self._view.current
        if ("", "") not in self._plan.timelines:
            return
        rows = masked_page(timelines.timeline(facts, "", "", 1))["items"]
        name = facts.snapshot.base.repo
        self._target.write(FILE, to_bytes(feed(name, self._about()["time"], rows, self._page_of, self._choice.base)))

    def _page_of(self, row: dict[str, Any]) -> str:
        """The page of a deployment: that of its run, or the timeline of its environment."""
        run = addresses.of_ref(row["run_ref"]) if addresses.is_addressable(row["run_ref"]) else ""
        return self._plan.file_of(run) or page_file(addresses.of_timeline(row["environment"], ""))

    def _write_pages(self, pages: list[str]) -> None:
        for address in pages:
            self._write_page(address)

    def _write_page(self, address: str) -> Written:
        """A page, and its JSON."""
        self.made += 1
        written = Written(self._plan, address)
        with self._app.test_request_context(address):
            g.pages = written
            text = self._app.full_dispatch_request().get_data()
            twin = g.get("twin")
        self._target.write(page_file(address), text)
        if twin is None:
            twin = {"error": "there is no such page"}
        self._target.write(page_file(address, "json"), to_bytes(dump(twin) + "\n"))
        return written

    def _write_package(self, name: str, package: Package) -> None:
        """All that is of one package, unless it is there already."""
        facts = self._view.begin_anew()
        key = self._key(name, package, facts)
        known: Any = self._target.known.get(name)
        is_same = (
            known is not None
            and (known["key"], known["state"]) == (key, state_of(facts, known["heads"]))
            and known["sources"] == self._here(facts, known["sources"])
        )
        if is_same and self._target.keep(known["files"]):
            self._target.notes[name] = known
            return
        before = set(self._target.files)
        uses = Uses(name)
        facts.begin(uses)
        for address in self._pages_of(name, package):
            for led_to in self._write_page(address).led_to:
                self._note_link(uses, led_to)
        facts.begin(None)
        for ref in self._refs[name]:
            if ref in self._plan.logs:
                self._write_log(facts, ref)
        for environment in self._with_badge(name):
            self._target.write(badge_file(name, environment), to_bytes(_badge(facts, package, environment)))
        self._write_documents(facts, name)
        if not uses.is_everything:
            heads = sorted(uses.heads)
            files = sorted(self._target.files.keys() - before)
            self._target.notes[name] = {
                "key": key,
                "heads": heads,
                "state": state_of(facts, heads),
                "sources": self._here(facts, sorted(uses.sources)),
                "files": files,
            }

    def _here(self, facts: SiteFacts, commits: Iterable[str]) -> dict[str, bool]:
        """Which commits of the source are here, so that their pages say who made them, and why."""
        code = facts.snapshot.surroundings.code
        return {commit: code is not None and code.has(Oid(commit)) for commit in commits}

    def _note_link(self, uses: Uses, address: str) -> None:
        """Whether another package's document has a page hangs on that package."""
        if address.startswith("/ref/"):
            try:
                uses.ref(Ref.parse(unquote(address.partition("?")[0][5:], errors="surrogateescape")))
            except RefError:
                uses.everything()

    def _pages_of(self, name: str, package: Package) -> list[str]:
        pages = [addresses.of_ref(ref) for ref in self._refs[name]]
        count = -(-len(package.numbers) // RELEASES)
        pages += [addresses.of_ref(name, page=number) for number in range(2, count + 1)]
        return pages + [addresses.of_timeline(*place) for place in sorted(self._plan.timelines) if place[1] == name]

    def _key(self, name: str, package: Package, facts: SiteFacts) -> str:
        """What the pages of a package are made of, but for what they say of other packages."""
        events = list(facts.ledger().of("", name))
        return digest(
            [
                self._program,
                self._choice._replace(base=None),
                [tree.tree_id(f"refs/{name}") if tree is not None else None for tree in (facts.state, facts.intent)],
                edges_of(facts, StoredRef(name)),
                package.values(),
                sorted(self._releases[name]),
                self._with_badge(name),
                [one.values() for one in facts.unfinished_of(name)],
                [event.to_line() for event in events],
                sorted(place for place in self._plan.timelines if place[1] == name),
                sorted({event.commit for event in events} & self._plan.commits.keys()),
                facts.snapshot.base.repo,
            ]
        )

    def _with_badge(self, name: str) -> list[str]:
        """The environments in which a package has a badge: those that have a document, and where it was or is to be."""
        facts = self._view.current
        package = facts.package(name)
        documented = lenient.names(facts.state, f"{STATE}/environment")
        return sorted({*documented, *package.deployed, *package.unreadable, *package.wanted})

    def _badges_of(self, name: str) -> list[tuple[str, str]]:
        """The environments of a package, with what leads from the page that is made to its badge there."""
        return [(one, g.pages.file(badge_file(name, one))) for one in self._with_badge(name)]

    def _write_log(self, facts: SiteFacts, ref: str) -> None:
        try:
            text = log_text(facts, Subject(facts, ref).stored)
        except NotFound:
            text = ""
        self._target.write(page_file(addresses.of_ref(ref), "txt"), to_bytes(text))

    def _write_documents(self, facts: SiteFacts, name: str) -> None:
        """All documents of a package, those of releases without pages too."""
        parts = []
        for shown, tree, stored in site_plan.documents_of_package(facts, name):
            try:
                found = tree.object(stored)
            except Error:
                continue  # `fsck` tells of it
            if found is not None:
                value = found.body if found.kind == "ref" else {"link": tree.layout.shown_target(found.target or "")}
                parts.append(f"{dump(shown, None)}: {dump(masked(value), None)}")
        text = "{\n" + ",\n".join(parts) + "\n}\n"
        self._target.write(file_beside(directory_of("ref", *name.split("/")), DOCUMENTS), to_bytes(text))


def _badge(facts: Facts, package: Package, environment: str) -> str:
    """The badge of a package: its tag or number there, and whether that is the newest, or a later one failed there."""
    run = package.deployed.get(environment, "")
    if not run:
        return badge(environment, "unknown" if environment in package.unreadable else "not deployed", "none")
    release = StoredRef(split_work(run)[0])
    number = release_number(release)
    runs = [one for one in facts.unfinished_of(package.ref) if goes_to(one, environment) and one.number >= number]
    has_failed = any(one.status == FAILED for one in runs)
    is_newest = bool(package.numbers) and number == package.numbers[-1]
    try:
        names = tags(release, facts.state.object(release))
    except Damaged:
        names = []
    value = names[-1] if names else release.rpartition("/")[2]
    return badge(environment, value, "failed" if has_failed else "newest" if is_newest else "older")


def _program() -> str:
    """A digest of what makes pages of what the stores say."""
    parts = [__version__]
    for file in sorted((*_TEMPLATES.iterdir(), *_STATIC.iterdir(), *Path(__file__).parent.parent.rglob("*.py"))):
        if file.is_file():
            parts.append(sha256(file.read_bytes()).hexdigest())
    return digest(parts)
