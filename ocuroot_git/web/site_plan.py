"""Which pages a site has: what is bounded of a store of any size, and what a package's pages depend on (design 10).

Lists are followed page by page, as links lead to them. Documents are known before: those of the store itself, and of
each package those that belong to none of its releases, and to its newest ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from ..delivery.addresses import release_number
from ..delivery.lenient import split_work
from ..delivery.vocabulary import CALL, DEPLOY, PRUNED
from ..formats.layout import OBJECT_FILE, REFS, StoredRef
from ..formats.refs import INTENT, STATE, version_key
from ..git.objects import Oid
from . import addresses, metrics
from .site_names import page_file, relative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..backends.base import Node
    from ..delivery.overview import Package
    from ..store.tree import StoreTree
    from .facts import Facts

LISTS = ("/", "/deployments", "/environments", "/packages", "/work", "/custom", "/diff", "/timeline", "/metrics")
"""The pages that there always are; `/commits` is another where the commits are shown."""
_MOST_TAGS = 20
"""Tags of a package that have pages: as many as the page of the package names."""
_WORK = (CALL, DEPLOY, "task")
_LISTED = ("page", "status")
_MOST_CUSTOM = 4
"""Pages of custom documents, of which each release may have several: the newest."""


class Plan:
    """The pages there are, and the file of each. `todo` are the lists that links led to and that are to be written."""

    def __init__(self, *, has_commits: bool) -> None:
        """`has_commits`: whether commits are shown, and what is counted of all packages together."""
        self.has_commits = has_commits
        self.refs: set[str] = set()
        """The refs that have a page."""
        self.packages: set[str] = set()
        """Those of them that are packages."""
        self.logs: set[str] = set()
        """Those of them that are logs."""
        self.commits: dict[Oid, None] = {}
        """The commits that have a page, the newest first."""
        self.commit_lists: set[str] = set()
        """The commits with which a list of commits begins."""
        self.timelines: set[tuple[str, str]] = set()
        """The environments and packages of which there is a timeline; an empty name is that of all."""
        self.todo: list[str] = []
        self._asked: set[str] = set()

    def ask(self, address: str) -> None:
        """Let a list be written, once."""
        if address not in self._asked:
            self._asked.add(address)
            self.todo.append(address)

    def file_of(self, address: str) -> str:
        """The file of a page by its address; empty where there is no such page."""
        path, _, query = address.partition("?")
        head, _, rest = path[1:].partition("/")
        if head in ("ref", "raw", "log"):
            return self._file_of_ref(head, path, unquote(rest, errors="surrogateescape"), query)
        if head == "commit":
            return page_file(path) if Oid(rest) in self.commits else ""
        return self._file_of_list(path, dict(parse_qsl(query)))

    def _file_of_ref(self, head: str, path: str, ref: str, query: str) -> str:
        if ref not in self.refs:
            return ""
        asked = dict(parse_qsl(query)) if query else {}
        page = f"/ref/{path.partition('/')[2].partition('/')[2]}"
        if head == "log":
            return page_file(page, "txt") if ref in self.logs else ""
        if head == "raw" or "all" in asked:
            return page_file(page, "json")
        if asked.get("page", "1") == "1":
            return page_file(page) if not {"start", "find"} & asked.keys() else ""
        page = f"{page}?page={asked['page']}"
        if ref not in self.packages:  # whose lists are written with them
            self.ask(page)
        return page_file(page)

    def _file_of_list(self, path: str, asked: dict[str, str]) -> str:
        if path == "/search":
            return page_file(path) if not asked else ""
        if path not in LISTS and not (path == "/commits" and self.has_commits):
            return ""
        asked = {name: value for name, value in asked.items() if (name, value) != ("page", "1")}
        if path == "/timeline":
            if (asked.get("environment", ""), asked.get("package", "")) not in self.timelines or "page" in asked:
                return ""
        elif path == "/metrics":
            known = (
                asked.get("days", metrics.USUAL) in metrics.TIMES and asked.get("by", metrics.BOTH) in metrics.CHOICES
            )
            if not known or not self.has_commits:
                return ""
            usual = (("days", metrics.USUAL), ("by", metrics.BOTH))
            asked = {name: value for name, value in asked.items() if (name, value) not in usual}
        elif path == "/commits":
            if asked.get("logs") or asked.get("side", "state") != "state":
                return ""
            asked = {"from": asked["from"]} if "from" in asked else {}
            if asked and asked["from"] not in self.commit_lists:
                return ""
        elif asked.keys() - set(_LISTED) or (path == "/custom" and int(asked.get("page", "1")) > _MOST_CUSTOM):
            return ""
        address = f"{path}?{addresses.query_of(asked)}" if asked else path
        if not asked.get("package"):  # those of packages are written with them
            self.ask(address)
        return page_file(address)


class Written:
    """How a page that is written leads to others: see `addresses.Served`."""

    def __init__(self, plan: Plan, address: str) -> None:
        self._plan = plan
        self._page = address.partition("?")[0]
        self._file = page_file(address)
        self.twin = page_file(address, "json").rpartition("/")[2]
        """The name of the file beside it that has the JSON."""
        self.led_to: set[str] = set()
        """The addresses that were asked about."""

    def link(self, address: str) -> str:
        """What leads to an address; empty where the site has no such page."""
        if address[:1] not in ("/", "?"):
            return address
        address, hash_sign, place = address.partition("#")
        if address[:1] == "?":
            address = self._page + address
        self.led_to.add(address)
        file = self._plan.file_of(address)
        return f"{relative(self._file, file)}{hash_sign}{place}" if file else ""

    def static(self, name: str) -> str:
        """What leads to a style sheet, a script or a picture of ours."""
        return self.file(f"static/{name}")

    def file(self, file: str) -> str:
        """What leads to a file of the site."""
        return relative(self._file, file)


def shown_releases(facts: Facts, package: Package, newest: int) -> set[int]:
    """The releases of a package whose documents have pages: the newest, those deployed now, and those under way."""
    deployed = {release_number(split_work(run)[0]) for run in package.deployed.values()}
    under_way = {one.number for one in facts.unfinished_of(package.ref)}
    return ({*package.numbers[-newest:], *deployed, *under_way}) & set(package.numbers)


def refs_of_package(facts: Facts, package: Package, releases: set[int]) -> Iterator[str]:
    """The refs of a package that have pages."""
    yield package.ref
    for tree in _trees(facts):
        top = tree.node(f"{REFS}/{package.ref}")
        if top is None or not tree.files.is_tree(top):
            continue
        tags = []
        for node in tree.files.children(top):
            head = tree.files.name(node)
            number = tree.layout.release_number(STATE + head[1:])
            if head[:1] not in (STATE, INTENT) or not tree.files.is_tree(node) or head == f"{STATE}{PRUNED}":
                continue
            if number is None and head not in (STATE, INTENT):
                tags.append((head, node))
            elif number is None or number in releases:
                yield from _shown(tree, f"{package.ref}/{head}", node)
        for head, node in sorted(tags, key=lambda tag: version_key(tag[0]), reverse=True)[:_MOST_TAGS]:
            yield from _shown(tree, f"{package.ref}/{head}", node)


def refs_of_store(facts: Facts) -> Iterator[str]:
    """The refs of the store itself that have pages: environments, gates, custom documents, and what is wanted."""
    for tree in _trees(facts):
        for head in (STATE, INTENT):
            node = tree.node(f"{REFS}/{head}")
            if node is not None and tree.files.is_tree(node):
                yield from _shown(tree, head, node)


def documents_of_package(facts: Facts, package: str) -> Iterator[tuple[str, StoreTree, StoredRef]]:
    """The documents of a package in both stores, but for logs, in byte order: each as it is shown, and where it is."""
    for tree in _trees(facts):
        top = tree.node(f"{REFS}/{package}")
        if top is None or not tree.files.is_tree(top):
            continue
        heads = sorted((tree.files.name(node), node) for node in tree.files.children(top) if tree.files.is_tree(node))
        for head, node in heads:
            if head[:1] in (STATE, INTENT):
                for stored in sorted(_objects(tree, f"{package}/{head}", node, is_whole=True)):
                    if addresses.is_addressable(stored) and not is_log(stored):
                        yield tree.layout.shown(StoredRef(stored)), tree, StoredRef(stored)


def is_log(stored: str) -> bool:
    """Whether a ref is that of a run's log."""
    segments = stored.split("/")
    return segments[-1] == "logs" and len(segments) > 4 and segments[-4] in _WORK


def _trees(facts: Facts) -> list[StoreTree]:
    return [facts.state] if facts.intent is None or facts.intent is facts.state else [facts.state, facts.intent]


def _shown(tree: StoreTree, top: str, node: Node) -> Iterator[str]:
    for stored in _objects(tree, top, node):
        shown = tree.layout.shown(StoredRef(stored))
        if addresses.is_addressable(shown):
            yield shown


def _objects(tree: StoreTree, top: str, node: Node, *, is_whole: bool = False) -> Iterator[str]:
    """The stored refs at and below a directory that have an object, or are work or a run without one.

    Unless `is_whole` without those that the pages of releases and runs tell of: when the commit was made, what a run's
    functions did and how it stands.
    """
    todo = [(top, node, 0, "")]
    while todo:
        ref, directory, depth, kind = todo.pop()
        has_object = False
        for child in tree.files.children(directory, checked=False):
            name = tree.files.name(child)
            if not tree.files.is_tree(child):
                has_object = has_object or name == OBJECT_FILE
            else:
                todo.append((f"{ref}/{name}", child, depth + 1, kind or name))
        is_work = kind in _WORK and depth in (2, 3)
        is_told_elsewhere = kind == "commit" or (kind in _WORK and depth > 3 and not is_log(ref))
        if is_work or (has_object and (is_whole or not is_told_elsewhere)):
            yield ref
