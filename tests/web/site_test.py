"""`git ocuroot site`: the pages as files. What is in the directory, what of it is written again, and what never is."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.damaged import loose_path
from support.delivering import prepare
from support.original_stores import v1_branch, v3_combined, v3_directory
from support.program import run_program
from support.repositories import SHOP, Repo, begin
from support.sites import example, files_of, walk, write_site
from support.story import BACKEND, FRONTEND, SEARCH
from support.viewing import tell_story

from ocuroot_git.ledger.remembered import SITE
from ocuroot_git.opening import open_stores
from ocuroot_git.store.memory import FILE
from ocuroot_git.web.badges import badge
from ocuroot_git.web.feed import feed
from ocuroot_git.web.site_names import badge_file, name_of, page_file, relative

FEW = ("--packages", SEARCH, "--releases", "1")
"""For a site of few pages, where it matters only what is in the directory."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return tell_story(tmp_path_factory.mktemp("site") / "shop")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """The store of twelve packages and five environments."""
    return example(tmp_path_factory.mktemp("site") / "shop")


@pytest.fixture(scope="module")
def published(told: Repo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "new" / "out"
    remark = write_site(told, out)
    assert (
        remark
        == f"'{out}' has {len(files_of(out)) - 1} files: {len(files_of(out)) - 1} written, 0 as they were, 0 removed\n"
    )
    return out


# What is in it


def test_no_link_is_dead_and_nothing_is_asked_of_others(published: Path) -> None:
    assert walk(published) > 1000


def test_the_store_of_twelve_packages(shop: Repo, tmp_path: Path) -> None:
    """Written twice: whole pages the first time, and nothing the second, when only history is remembered."""
    out = tmp_path / "out"
    write_site(shop, out, "--releases", "1")
    assert walk(out) > 10_000
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with closing(sqlite3.connect(shop.path / ".git" / "ocuroot" / FILE)) as memory, memory:
        forgotten = memory.execute("DELETE FROM derived WHERE kind = ?", (SITE,))  # else it would be seen at once
        assert forgotten.rowcount == 1
    remark = write_site(shop, out, "--releases", "1")
    assert " 0 written, " in remark and remark.endswith(" 0 removed\n")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_each_page_has_its_policy_and_nothing_of_a_server(published: Path) -> None:
    policy = "default-src &#39;none&#39;; style-src &#39;self&#39;; script-src &#39;self&#39;; img-src &#39;self&#39;; "
    for file, data in files_of(published).items():
        if file.endswith(".html"):
            text = data.decode()
            assert f'http-equiv="Content-Security-Policy" content="{policy}' in text, file
            for only_served in ("data-tip", "data-fixed", "Show how it was", "/tip", "?at=", "/do", str(published)):
                assert only_served not in text, (file, only_served)
            assert not re.search(r"\d (minute|hour|day|month|year)s? ago", re.sub("<pre.*?</pre>", "", text)), file


def test_times_are_exact(published: Path) -> None:
    text = (published / page_file(f"/ref/{BACKEND}/@3/call/smoke/2")).read_text()
    assert re.search(r'<time datetime="[^"]*" title="[^"]*">\d{4}-\d\d-\d\d \d\d:\d\d UTC</time>', text)


def test_each_page_has_its_json(told: Repo, published: Path) -> None:
    for file in files_of(published):
        if file.endswith("index.html"):
            twin = published / file.replace("index.html", "index.json")
            assert "tip" not in json.loads(twin.read_text()), file
    overview = json.loads((published / "index.json").read_text())
    assert overview["counts"]["packages"] == 3
    body = json.loads((published / page_file(f"/ref/{FRONTEND}/@12", "json")).read_text())["body"]
    assert body == told.value(f"{FRONTEND}/@12")


def test_documents_without_a_page_are_in_the_json_of_their_package(told: Repo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_site(told, out, "--releases", "1")
    assert not (out / page_file(f"/ref/{FRONTEND}/@3")).exists()
    assert (out / page_file(f"/ref/{FRONTEND}/@9")).exists(), "it is deployed"
    assert walk(out)
    found = json.loads((out / page_file(f"/ref/{FRONTEND}").replace(".html", ".documents.json")).read_text())
    refs = set(told.ocuroot("match", f"{FRONTEND}/{{@,+}}*/**", f"{FRONTEND}/@*").splitlines())
    assert found.keys() >= {ref for ref in refs if not ref.endswith("/logs")}
    assert found[f"{FRONTEND}/@3"] == told.value(f"{FRONTEND}/@3")


def test_only_some_packages(told: Repo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_site(told, out, "--packages", "**/{backend,search}/*")
    assert walk(out)
    files = files_of(out)
    assert not [file for file in files if file.startswith(("commit", "metrics")) or "frontend" in file]
    counts = json.loads(files["index.json"])["counts"]
    assert (counts["packages"], counts["releases"]) == (2, 4)
    assert b"frontend" not in b"".join(files[file] for file in files if file.count("/") < 2 and "diff" not in file)


def test_the_search_has_what_has_pages(told: Repo, published: Path) -> None:
    text = (published / "static" / "search-index.js").read_text()
    index = json.loads(text.removeprefix("window.ocurootIndex = ").removesuffix(";\n"))
    assert index["groups"] == ["Packages", "Environments", "Releases", "Commits of the store"]
    found = {(group, text): (detail, file) for group, text, detail, file in index["entries"]}
    assert all((published / file).is_file() for _, file in found.values())
    assert (0, BACKEND) in found and found[1, "staging"][0] == "type=staging region=eu-west-1"
    assert found[2, f"{FRONTEND}/@9"][0].split()[0] == "v1.9"
    newest = told.git("log", "-1", "--format=%s%n%an %h", "--abbrev=10", "state").split("\n")
    assert found[3, newest[0]][0] == newest[1]


@pytest.mark.parametrize("make", [v1_branch, v3_directory, v3_combined])
def test_the_stores_of_ocuroot(repo: Repo, tmp_path: Path, make: Callable[[Repo], None]) -> None:
    make(repo)
    out = tmp_path / "out"
    write_site(repo, out)
    assert walk(out)
    assert len([page for page in out.glob("ref/**/index.html") if page.parent.name.startswith("@")]) > 3
    assert len(list(out.glob("badge/**/*.svg"))) >= 1


def test_where_history_is_cut_it_is_said(shop: Repo, tmp_path: Path) -> None:
    shallow = Repo(tmp_path / "shallow")
    shop.git("clone", "-q", "--depth", "1", "-b", "state", shop.path.as_uri(), str(shallow.path))
    shallow.git("config", "ocuroot.repoAlias", "shop")
    out = tmp_path / "out"
    assert "history begins later here" in write_site(shallow, out, "--packages", "**/web.json", "--releases", "1")
    assert walk(out)


# The same bytes, and no more than has changed


def test_the_same_commit_gives_the_same_bytes(told: Repo, published: Path, tmp_path: Path) -> None:
    time.sleep(1.1)
    other = tmp_path / "elsewhere"
    told.git("clone", "-q", "--mirror", str(told.path), str(other))
    clone = Repo(other)
    clone.git("remote", "set-url", "origin", "https://github.com/example/shop.git")
    out = tmp_path / "out"
    write_site(clone, out)
    assert files_of(out) == files_of(published)


def test_what_has_changed_is_written_and_no_more(tmp_path: Path) -> None:
    """Each time the directory is what it would be if it were written anew."""
    repo = tell_story(tmp_path / "shop")
    out = tmp_path / "out"
    write_site(repo, out, "--releases", "1")
    first = repo.git("rev-parse", "state")
    changes = [
        f'set {FRONTEND}/@13 {{"commit": "{"c" * 40}"}}',  # an older one loses its pages
        'set @/environment/qa {"name": "qa", "attributes": {}}',
        f'set {SEARCH}/@1/custom/sees "{FRONTEND}/@14"\nset {BACKEND}/@1/custom/sees "@/custom/later/x"',
        # What documents of other packages name.
        f'set {FRONTEND}/@14 {{"commit": "{"d" * 40}"}}\nset @/custom/later/x 1',
    ]
    for number, line in enumerate(changes):
        untouched = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
        repo.ocuroot("update", "--stdin", input=f"{line}\n")
        before = files_of(out)
        write_site(repo, out, "--releases", "1")
        anew = tmp_path / f"anew-{number}"
        write_site(repo, anew, "--releases", "1")
        after = files_of(out)
        assert after == files_of(anew), line
        for path, moment in untouched.items():
            file = str(path.relative_to(out))
            if before[file] == after.get(file):
                assert path.stat().st_mtime_ns == moment, file
    write_site(repo, out, "--releases", "1", "--at", first)
    write_site(repo, tmp_path / "then", "--releases", "1", "--at", first)
    assert files_of(out) == files_of(tmp_path / "then")


def test_a_run_that_was_killed_is_completed(told: Repo, published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for files in (10, 200):
        process = begin(told, "site", "--out", str(out))
        while process.poll() is None and (not out.exists() or len(list(out.rglob("*.html"))) < files):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    (out / ".ocuroot-site.tmp").write_text("half of a page")
    write_site(told, out)
    assert files_of(out) == files_of(published)


def test_a_run_for_which_there_is_no_room_is_completed(told: Repo, tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""
    out = tmp_path / "out"

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    done = run_program("site", "--out", str(out), *FEW, cwd=told.path, preexec_fn=limit)
    assert done.returncode == 128 and "cannot write" in done.stderr and "Traceback" not in done.stderr
    write_site(told, out, *FEW)
    assert walk(out)
    assert not list(out.glob("*.tmp")) and not list(out.glob("*.journal"))


def test_a_package_of_many_releases_has_several_pages(store: Repo, tmp_path: Path) -> None:
    with open_stores(str(store.path)).transaction() as tx:
        for number in range(1, 121):
            tx.set(f"shop/-/web/@{number}", {"commit": "1" * 40})
    write_site(store, tmp_path / "out", "--releases", "2")
    assert walk(tmp_path / "out")
    assert (tmp_path / "out/ref/shop/-/web/index.page-3.html").is_file()
    assert len(list((tmp_path / "out/ref/shop/-/web").glob("@*/index.html"))) == 2


# What is not ours


def test_what_others_put_there_stays(told: Repo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "static").mkdir(parents=True)
    for file in ("CNAME", "static/mine.css", ".nojekyll"):
        (out / file).write_text("" if file == ".nojekyll" else "mine")
    write_site(told, out, "--releases", "1")
    (out / "ref" / "mine.txt").write_text("mine")
    gone = out / page_file(f"/ref/{SEARCH}/@1")
    gone.write_text("mended by hand")
    told.git("tag", "-f", "whole", "state")
    done = told.run("site", "--out", str(out), "--packages", BACKEND)
    assert done.returncode == 0 and "was changed: it stays" in done.stderr, done.stderr
    kept = {file for file, data in files_of(out).items() if data in (b"mine", b"mended by hand")}
    assert kept == {"CNAME", "static/mine.css", "ref/mine.txt", str(gone.relative_to(out))}
    assert not list(out.glob("commit/*")), "and empty directories go"


@pytest.mark.parametrize(
    "file", ["index.html", "ocuroot-site.json", "deployments/index.html", "ref", "static/view.css"]
)
def test_what_is_in_the_way_is_not_written_over(told: Repo, tmp_path: Path, file: str) -> None:
    out = tmp_path / "out"
    (out / file).parent.mkdir(parents=True)
    (out / file).write_text("mine")
    done = told.run("site", "--out", str(out), *FEW)
    assert done.returncode == 128 and str(out / file) in done.stderr, done.stderr
    assert (out / file).read_text() == "mine"


@pytest.mark.parametrize("file", ["ref", "static", "index.html", "ocuroot-site.json", "ocuroot-site.journal"])
def test_no_link_within_is_followed(told: Repo, tmp_path: Path, file: str) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    out.mkdir()
    (out / file).symlink_to(outside if "." not in file else outside / "new")
    done = told.run("site", "--out", str(out), *FEW)
    assert done.returncode == 128 and str(out / file) in done.stderr, done.stderr
    assert not list(outside.iterdir())


def test_the_directory_itself_may_be_named_by_a_link(told: Repo, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(tmp_path)
    write_site(told, tmp_path / "named", *FEW)
    assert (tmp_path / "index.html").is_file()


def test_a_second_run_at_once_is_refused(told: Repo, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    done = told.run("site", "--out", str(out))
    os.close(descriptor)
    assert (done.returncode, done.stderr) == (3, f"fatal: another run writes to '{out}'\n")


# Names


HOSTILE = (
    *("web", "Web", "WEB", "index.html", "index.json", "documents.json", "con", "CON.txt", "a.", "a..", ".hidden"),
    *("100%", "what?page=2", "with space", "c:d", "x" * 250, "x" * 249 + "y", "a\\b", "é", "e\u0301", "É"),
    *("=web", "_77eb", "a/b", "a/B", "A/b", "static", "ref", "a+b", "web.svg", "\"'<b>&", "中文\U0001f680"),
)


def test_packages_of_any_name_have_pages_of_their_own(store: Repo, tmp_path: Path) -> None:
    prepare(store, "staging", "Staging")
    with open_stores(str(store.path)).transaction() as tx:
        for path in HOSTILE:
            tx.set(f"shop/-/{path}/@1", {"commit": "1" * 40})
            tx.set(f"shop/-/{path}/@1/call/build/1", {"type": "call"})
    out = tmp_path / "out"
    write_site(store, out)
    assert walk(out)
    files = files_of(out)
    assert len({file.casefold() for file in files}) == len(files)
    releases = [file for file in files if file.endswith("/@1/index.html")]
    assert len(releases) >= len(HOSTILE)
    for file in files:
        assert re.fullmatch(r"[a-z0-9@=_./-]+", file) and len(file) < 240, file
        assert not any(part.endswith((".", " ")) for part in file.split("/")), file


def test_names_of_files() -> None:
    assert name_of("release.ocu.star") == "release.ocu.star"
    assert name_of("MyApp") == "=my=app"
    assert name_of("a b") == "a_20b" and name_of("") == "_"
    names = [
        name_of(one) for one in (*HOSTILE, ".", "..", "aux", "AUX", "aux.js", "NUL", "index.", "index", "a_", "=A")
    ]
    assert len({name.casefold() for name in names}) == len(names)
    assert page_file("/") == "index.html"
    assert page_file("/work?status=failed&page=2", "json") == "work/index.page-2.status-failed.json"
    assert page_file("/timeline?environment=qa&package=shop%2F-%2Fweb") == "timeline/qa/shop/-/web/index.html"
    assert page_file("/timeline?package=qa") != page_file("/timeline?environment=qa")
    assert relative("ref/a/b/index.html", "ref/a/c/index.html") == "../c/index.html"
    assert relative("index.html", "work/index.html") == "work/index.html"


# The command


def test_what_cannot_be_asked_for(told: Repo, tmp_path: Path) -> None:
    for arguments, status, said in (
        ([], 129, "option '--out' is missing"),
        (["--out", str(tmp_path / "out"), "--at", "nonsense"], 1, "nonsense"),
        (["--out", str(tmp_path / "out"), "--packages", "nothing/**"], 1, "fatal: no package matches 'nothing/**'"),
        (["--out", __file__], 128, f"cannot write '{__file__}'"),
    ):
        done = told.run("site", *arguments)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


def test_a_store_in_a_directory_has_a_site(told: Repo, tmp_path: Path) -> None:
    told.ocuroot("export", "-q", str(tmp_path / "store"))
    environ = {**os.environ, "OCUROOT_STATE": str(tmp_path / "store"), "OCUROOT_INTENT": str(tmp_path / "store")}
    out = tmp_path / "out"
    done = told.run("site", "--out", str(out), env=environ)
    assert done.returncode == 0, done.stderr
    assert walk(out)


def test_pages_of_packages_that_are_as_they_were_are_not_made_again(tmp_path: Path) -> None:
    repo = tell_story(tmp_path / "shop")
    out = str(tmp_path / "out")

    def made() -> int:
        return int(re.findall(r"(\d+) pages were made", repo.run("site", "-v", "--out", out).stderr)[0])

    every, again = made(), made()
    assert again == 0

    def made_anyhow() -> int:
        repo.ocuroot("cache", "-q", "--clear")
        return made()

    lists = made_anyhow()
    assert 0 < lists < every / 2
    repo.ocuroot("update", "--stdin", input=f'set {SEARCH}/@1/custom/note "of search"\n')
    assert lists < made() < every / 2
    assert made_anyhow() == lists + 1  # the commit has a page
    gate = '{"kind": "deny", "packages": ["other/-/**"]}'
    repo.ocuroot("update", "--stdin", input=f"set @/custom/gate/others {gate}\nset @/custom/note 1\n")
    assert made() <= lists + 6  # of no package
    assert made() == 0


def test_a_site_that_is_as_it_was_is_left_alone_and_no_other(store: Repo, tmp_path: Path) -> None:
    """What is in the directory, how it was asked for, what is configured, and what the repository at hand has."""
    source = Repo(tmp_path / "source")
    source.path.mkdir()
    source.git("init", "-q")
    source.git("commit", "-q", "--allow-empty", "-m", "Search for more")
    named = json.dumps({"commit": source.git("rev-parse", "HEAD")})
    store.ocuroot("update", "--stdin", input=f"set {SHOP}/@1 {{}}\nset other/-/one/@1 {{}}\n")
    store.ocuroot("update", "--stdin", input=f"set {SHOP}/@1 {named}\n")
    out = tmp_path / "out"

    def made(*options: str) -> int:
        done = store.run("site", "-v", "--out", str(out), "--releases", "1", *options)
        assert done.returncode == 0, done.stderr
        return int(re.findall(r"(\d+) pages were made", done.stderr)[0])

    assert made() > 0 and made() == 0
    files = files_of(out)
    (out / ".nojekyll").unlink()
    assert made() > 0 and files_of(out) == files
    (out / page_file(f"/ref/{SHOP}")).unlink()
    assert made() > 0 and files_of(out) == files
    (out / "index.json").write_text("mended by hand")
    assert made() > 0 and files_of(out) == files
    (out / "ocuroot-site.journal").write_text(f"{'0' * 64} index.html\n")
    assert made() > 0 and made() == 0 and files_of(out) == files
    for options in (("--base", "https://shop.example.com/"), ("--at", "state~1"), ("--packages", SHOP), ()):
        assert made(*options) > 0, options
    assert made() == 0 and files_of(out) == files
    # The source comes here: who made the commit, and why, is known now.
    store.git("fetch", "-q", str(source.path), "HEAD")
    assert made() > 0 and "Search for more" in (out / page_file(f"/ref/{SHOP}")).read_text()
    # An object that is lost, and found again.
    oid = store.oid(f"state:refs/{SHOP}/@1/@object.json")
    lost = loose_path(store.path / ".git", oid)
    lost.rename(tmp_path / "lost")
    assert store.run("site", "--out", str(out)).returncode == 128
    (tmp_path / "lost").rename(lost)
    assert made() > 0 and made() == 0
    # What is to be masked from now on.
    store.git("config", "http.https://example.com/.extraHeader", "Authorization: more-for-less")
    assert made() > 0
    # History that begins later: there may be more of it the next time.
    store.ocuroot("cache", "-q", "--clear")
    (store.path / ".git" / "shallow").write_text(store.git("rev-parse", "state") + "\n")
    assert made() > 0 and made() > 0


# Badges


def test_badges_say_what_is_where(told: Repo, published: Path) -> None:
    files = files_of(published)
    badges = {file: data.decode() for file, data in files.items() if file.startswith("badge/")}
    assert len(badges) == 3 * 3
    for file, text in badges.items():
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg", file
        assert "style" not in text and "href" not in text and "script" not in text

    def said(package: str, environment: str) -> tuple[str, str]:
        text = badges[badge_file(package, environment)]
        return re.findall('aria-label="([^"]*)"', text)[0], re.findall('fill="(#[^"]*)"', text)[1]

    assert said(FRONTEND, "staging") == ("staging: @12", "#17733f")
    assert said(FRONTEND, "production-us") == ("production-us: v1.9", "#1a62b8")
    assert said(SEARCH, "production-eu") == ("production-eu: not deployed", "#56606f")


def test_a_badge_is_well_formed_whatever_is_in_it() -> None:
    for label, value in (("a&b<c>\"'", "]]>\x00\ud800"), ("x" * 500, "中文\u202e"), ("", "")):
        found = ElementTree.fromstring(badge(label, value, "failed"))
        texts = [one.text or "" for one in found.iter("{http://www.w3.org/2000/svg}text")]
        assert len(texts) == 2 and all(len(text) <= 40 for text in texts)
    assert badge_file("a/x.svg", "b") != badge_file("a", "x.svg") and "/x_2esvg/" in badge_file("a/x.svg", "b")


# The feed

ATOM = "{http://www.w3.org/2005/Atom}"


def texts(element: ElementTree.Element, *names: str) -> list[str]:
    """The texts of children that must be there once each."""
    found = [element.findall(ATOM + name) for name in names]
    assert all(len(one) == 1 for one in found), names
    return [one[0].text or "" for one in found]


def test_the_feed_of_deployments(shop: Repo, tmp_path: Path) -> None:
    """What RFC 4287 asks for, and the deployments that the command tells of."""
    out, based = tmp_path / "out", tmp_path / "based"
    write_site(shop, out, "--releases", "1", "--packages", "//web.json")
    write_site(shop, based, "--releases", "1", "--packages", "//web.json", "--base", "https://shop.example.com/state")
    top = ElementTree.fromstring((out / "feed.xml").read_text())
    assert top.tag == f"{ATOM}feed"
    id_, title, updated = texts(top, "id", "title", "updated")
    assert title == "Deployments of shop" and id_.startswith("urn:uuid:")
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    assert moment.fullmatch(updated)
    entries = top.findall(f"{ATOM}entry")
    told = shop.ocuroot("deployments", "--history", "--json", "-n", "50", "//web.json").splitlines()
    assert len(entries) == len(told) == 50
    ids = []
    for entry, event in zip(entries, map(json.loads, told)):
        its_id, its_title, its_time, content = texts(entry, "id", "title", "updated", "content")
        ids.append(its_id)
        assert moment.fullmatch(its_time) and its_time == event["time"]
        assert event["environment"] in its_title and its_title.startswith("web.json")
        assert (": failed" in its_title) == (event["status"] == "failed")
        assert event["from"] is None or event["from"].rpartition("/")[2] in content
        (author,) = entry.findall(f"{ATOM}author")
        assert texts(author, "name") == [event["actor"].removeprefix("local:")]
        (link,) = entry.findall(f"{ATOM}link")
        assert link.get("rel") == "alternate" and (out / str(link.get("href"))).is_file()
    assert len({id_, *ids}) == len(ids) + 1
    whole = ElementTree.fromstring((based / "feed.xml").read_text())
    assert [texts(entry, "id") for entry in whole.findall(f"{ATOM}entry")] == [[one] for one in ids]
    links = [str(link.get("href")) for link in whole.iter(f"{ATOM}link")]
    assert all(link.startswith("https://shop.example.com/state/") for link in links)
    assert "https://shop.example.com/state/feed.xml" in links
    others = {file: data for file, data in files_of(based).items() if file not in ("feed.xml", "ocuroot-site.json")}
    assert others.items() <= files_of(out).items()


def test_a_feed_is_xml_whatever_is_in_it() -> None:
    row = {
        **dict.fromkeys(
            ("package", "release", "from", "run_ref", "environment", "reason", "actor"), "<&\x00\ud800]]>\"'"
        ),
        "tags": ["\x1b[31m"],
        "status": "failed",
        "type": "up",
        "time": "@99999999999999",
        "store_commit": "1" * 40,
    }
    top = ElementTree.fromstring(feed("\ufffe<", "2026-01-05T09:00:00Z", [row], lambda one: "a&b", None).encode())
    assert "\ufffd" in texts(top, "title")[0]


@pytest.mark.parametrize(
    "base", ["shop", "ftp://x/", "https://", "https://x/?a=b", "https://x/#a", "https://x/ y", "//x/"]
)
def test_what_is_no_address_of_a_site(told: Repo, tmp_path: Path, base: str) -> None:
    done = told.run("site", "--out", str(tmp_path / "out"), "--base", base)
    assert done.returncode == 129 and "--base" in done.stderr
    assert not (tmp_path / "out").exists()
