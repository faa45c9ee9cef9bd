"""The page's numbers beside those of the commands, of one repository."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from support.repositories import Repo
from support.viewing import Browser, application

Document = dict[str, Any]


class Commands:
    """What the commands say of the stores of a repository, asked as processes."""

    def __init__(self, repo: Repo, **environ: str) -> None:
        self._repo = repo
        self._environ = {"environ": environ} if environ else {}
        self.status: Document = json.loads(self._ask("status", "--json"))
        self.is_own_dialect = self.status["state"]["dialect"] == 1
        self.todo = self._lines("work", "list", "--json")
        self.differences = self._lines("diff", "--json")
        self.refs = self._ask("match", "-z", "**").split("\0")[:-1]
        self.releases: list[Document] = []
        self.releases_left_out: set[str] = set()
        if self.is_own_dialect:
            done = self._run("release", "list", "--json")
            self.releases = [json.loads(line) for line in done.stdout.split("\n") if line]
            left_out = re.findall(r"^warning: '([^']*/@[0-9]+)' is left out", done.stderr, re.M)
            self.releases_left_out = set(left_out)

    def _run(self, *arguments: str) -> Any:
        done = self._repo.run(*arguments, **self._environ)
        assert done.returncode in (0, 1), (arguments, done.stderr)
        return done

    def _ask(self, *arguments: str) -> str:
        return str(self._run(*arguments).stdout)

    def _lines(self, *arguments: str) -> list[Document]:
        return [json.loads(line) for line in self._ask(*arguments).split("\n") if line]

    @property
    def packages(self) -> set[str]:
        """The packages that have any ref."""
        heads = (re.match(r"(.+?)/[@+]", ref) for ref in self.refs)
        return {head[1] for head in heads if head is not None}

    @property
    def deployed(self) -> dict[str, str]:
        """What the links say that is deployed: the ref of the run by that of the link.

        In other dialects they lead to the work, whose document names the run; the work counts where that is missing.
        """
        found = {}
        for line in self._deploy_links():
            run = line["resolved"]
            is_one = line["found"] and re.search(r"/@r?[0-9]+/deploy/[^/]+(/[0-9]+)?$", run)
            if is_one and isinstance(line["value"], dict) and line["value"].get("type") != "down":
                named = line["value"].get("run_ref", run)
                found[line["ref"]] = named if named in self.refs else run
        return found

    def _deploy_links(self) -> list[Document]:
        pattern = "**/@/deploy/*"
        done = self._repo.run("match", "--values", "--state", pattern, **self._environ)
        if done.returncode == 0:
            return [json.loads(line) for line in done.stdout.split("\n") if line]
        # One of them is damaged: each is asked for by itself.
        found = []
        for ref in self._ask("match", "-z", "--state", pattern).split("\0")[:-1]:
            done = self._repo.run("get", "--batch", input=f"{ref}\n", **self._environ)
            found += [json.loads(done.stdout)] if done.returncode == 0 else []
        return found

    @property
    def runs(self) -> dict[str, Document]:
        return {one["ref"]: one for one in self.todo if one["kind"] == "run"}


def items_of(browser: Browser, address: str) -> list[Document]:
    """The entries of a list, of all its pages."""
    found: list[Document] = []
    page = 1
    while True:
        answer = browser.json(f"{address}?page={page}")
        found += answer["items"]
        if page >= answer["pages"]:
            return found
        page += 1


def require_agreement(repo: Repo, browser: Browser | None = None, **environ: str) -> Document:
    """Fail where the page says anything else than the commands; gives the page's counts.

    `browser` is one that may have shown the stores before; without it a new one asks.
    """
    says = Commands(repo, **environ)
    browser = browser or Browser(application(repo.path, **environ))
    overview = browser.json("/")
    counts: Document = overview["counts"]
    work = items_of(browser, "/work")
    rows = {row["package"]: row for row in items_of(browser, "/packages")}

    differences = [(one["status"], one["intent"]) for one in items_of(browser, "/diff")]
    assert differences == [(one["status"], one["ref"]) for one in says.differences]
    assert counts["differences"] == len(says.differences) == (says.status["work"] or {}).get("pending intents", 0)

    assert rows.keys() == says.packages
    assert counts["packages"] == len(says.packages)

    deployed = {
        f"{row['package']}/@/deploy/{cell['environment']}": cell["run"]
        for row in items_of(browser, "/deployments")
        for cell in row["cells"]
        if cell["run"]
    }
    assert deployed == says.deployed
    assert counts["deployments"] == len(deployed) == sum(len(row["deployed"]) for row in rows.values())

    if says.is_own_dialect:
        agree_about_runs(says, counts, work)
        releases = Counter([one["package"] for one in says.releases])
        releases.update(ref.rpartition("/")[0] for ref in says.releases_left_out)
        assert {name: row["releases"] for name, row in rows.items() if row["releases"]} == dict(releases)
        assert counts["releases"] == len(says.releases) + len(says.releases_left_out)
        left_out = {problem["ref"] for problem in says.status.get("problems", [])}
        assert overview["left_out"]["total"] == len(left_out)
        assert {one["ref"] for one in overview["left_out"]["items"]} <= left_out
    else:
        agree_about_markers(says, counts, work)
    return counts


def agree_about_runs(says: Commands, counts: Document, work: list[Document]) -> None:
    states = Counter(f"{one['state']} runs" for one in says.runs.values())
    status: Document = dict(says.status["work"] or {})
    status.pop("pending intents", None)
    assert states == Counter(status)
    assert counts["failed"] == states["failed runs"]
    assert counts["unfinished"] == sum(states.values()) - states["failed runs"]
    shown = {one["run"]: (one["state"], one["waits_for"]) for one in work}
    assert shown == {ref: (one["state"], one["waits_for"]) for ref, one in says.runs.items()}


def agree_about_markers(says: Commands, counts: Document, work: list[Document]) -> None:
    """Of runs in other dialects the commands say nothing but where their markers are: of each work the last one's."""
    last: dict[str, tuple[int, str, str]] = {}
    for ref in says.refs:
        found = re.match(r"(.*/@r[0-9]+/(?:task|call|deploy)/[^/]+)/([0-9]+)/status/([^/]+)$", ref)
        if found is not None and int(found[2]) > last.get(found[1], (0,))[0]:
            last[found[1]] = int(found[2]), f"{found[1]}/{found[2]}", found[3]
    wanted = {run: status for _, run, status in last.values() if status not in ("complete", "cancelled")}
    assert {one["run"]: one["status"] for one in work} == wanted
    assert counts["unfinished"] + counts["failed"] == len(wanted)
