"""The pages of the view, asked of the application itself: what they show, on stores of every kind."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from support.delivering import call, deploy, package, prepare, release
from support.program import CONFORMANCE
from support.repositories import Repo, unpack
from support.story import BACKEND, FRONTEND, SEARCH, SHOP
from support.viewing import Browser, application, tell_story, text_of


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return tell_story(tmp_path_factory.mktemp("view") / "shop")


@pytest.fixture(scope="module")
def browser(told: Repo) -> Browser:
    return Browser(application(told.path))


# What the pages show


def test_overview_counts_what_is_there_and_names_what_stopped(browser: Browser) -> None:
    page = browser.json("/")
    assert page["counts"] == {
        "packages": 3,
        "releases": 15 + 1,
        "environments": 3,
        "deployments": 7,
        "unfinished": 4,
        "waiting_for_people": 0,
        "going_on": 4,
        "failed": 1,
        "differences": 4,
    }
    assert [one["run"] for one in page["failed"]] == [f"{BACKEND}/@3/call/smoke/2"]
    assert [one["status"] for one in page["active"]] == [
        "running",
        "paused",
        "pending",
        "pending",
    ]  # ready before waiting
    text = text_of(browser.get("/"))
    assert re.search(r"smoke call of backend/release.ocu.star @3 failed · (4[4-9]|5\d) minutes ago", text)
    assert "waits for &#39; @12/call/smoke &#39;" in text


def test_matrix_has_a_cell_for_each_package_and_environment(browser: Browser) -> None:
    page = browser.json("/deployments")
    assert page["environments"] == ["staging", "production-eu", "production-us"]  # as releases reach them
    rows = {row["package"]: row["cells"] for row in page["items"]}
    assert {package: [cell["label"] for cell in cells] for package, cells in rows.items()} == {
        FRONTEND: ["@12", "@11", "@9"],
        BACKEND: ["@3", "@2", "@2"],
        SEARCH: ["@1", "", ""],
    }
    assert rows[FRONTEND][1]["coming"][0]["release"] == f"{FRONTEND}/@12"
    assert rows[BACKEND][1]["wanted"] == f"{BACKEND}/@3"
    assert "wanted: @3" in text_of(browser.get("/deployments"))
    assert [row["package"] for row in browser.json("/deployments?q=SEARCH")["items"]] == [SEARCH]


def test_environment_says_what_is_there_since_when_and_what_is_coming(browser: Browser) -> None:
    text = text_of(browser.get("/ref/@/environment/production-us"))
    assert "type=prod region=us-east-1" in text
    assert "frontend/release.ocu.star @9 of @12 1 day ago" in text and "@12 waiting" in text


def test_release_is_a_picture_of_its_phases(browser: Browser) -> None:
    page = browser.json(f"/ref/{FRONTEND}/@12")["release"]
    assert [phase["name"] for phase in page["phases"]] == ["build", "staging", "approval", "production"]
    work = {one["name"]: one["status"] for phase in page["phases"] for one in phase["work"]}
    assert work == {
        "build": "complete",
        "test": "complete",
        "staging": "complete",
        "smoke": "running",
        "production-eu": "pending",
        "production-us": "pending",
    }
    text = browser.get(f"/ref/{FRONTEND}/@12")
    # Two pieces of work gather at the gate before `staging`; it is passed, and the one before production is not.
    assert text.count('<path class="wire done"') == 3 + 2
    assert text.count('<path class="wire"') == 3
    assert "deploy to there now staging" in text_of(text) or "staging deploy to there now" in text_of(text)


def test_releases_are_in_the_order_of_their_numbers(browser: Browser) -> None:
    page = browser.json(f"/ref/{FRONTEND}")["package"]
    assert [one["number"] for one in page["releases"]["items"]] == list(range(12, 0, -1))
    assert [one["tags"] for one in page["releases"]["items"] if one["tags"]] == [["v1.9"], ["v1.0"]]


def test_what_was_said_of_a_release_stands_on_its_page(browser: Browser) -> None:
    text = browser.get(f"/ref/{FRONTEND}/@10")
    assert "looks good, no open incidents" in text
    assert 'href="https://tickets.example.com/OPS-412" rel="noreferrer noopener nofollow"' in text


def test_approvals_are_shown_by_environment_and_actor(store: Repo) -> None:
    prepare(store, "production")
    made = release(store, package([deploy("production")]))
    store.ocuroot("set", "//web/+1/custom/approval", "by all")
    for environment in ("production", "staging"):
        store.ocuroot("set", "-f=json", f"//web/+1/custom/approval/{environment}/github:ann", '{"approved": true}')
    store.ocuroot("apply", "--all")
    names = ["approval", "approval/production/github:ann", "approval/staging/github:ann"]
    browser = Browser(application(store.path))
    said = {one["name"]: one["value"] for one in browser.json(f"/ref/{made}")["release"]["custom"]}
    assert said == dict(zip(names, ["by all", {"approved": True}, {"approved": True}]))
    assert [one["name"] for one in browser.json("/custom")["of_releases"]["items"]] == names
    assert "more" not in text_of(browser.get("/ref/shop/-/web"))
    lines = "".join(f'set //web/@1/custom/note{number} "one"\n' for number in range(3))
    store.ocuroot("update", "--stdin", input=lines)
    assert "and 2 more" in text_of(browser.get("/ref/shop/-/web"))


def test_run_has_inputs_output_log_and_its_neighbours(browser: Browser) -> None:
    page = browser.get(f"/ref/{BACKEND}/@3/call/smoke/2")
    text = text_of(page)
    assert "← run 1" in text and "Took 3 min 0 s" in text
    ages = r"waiting (4[7-9]|5\d) minutes ago running (4[7-9]|5\d) minutes ago failed (4[4-9]|5\d) minutes ago"
    assert re.search(ages, text), "the story may be some minutes old"
    assert '<li id="L5" class="err">' in page
    assert '<span class="ansi-red ansi-bold">error:</span>' in page
    # A ref among the inputs is a link, and says which part of the document it means.
    assert f'href="/ref/{BACKEND}/@3/call/build?part=output%2Fimage"' in page
    run = browser.json(f"/ref/{FRONTEND}/@12/deploy/production-eu/1")["run"]
    assert run["dependencies"] == [{"glob": f"{FRONTEND}/@12/call/smoke/*/status/complete", "met": False}]


def test_log_as_text_has_times_and_streams_and_no_escapes(browser: Browser) -> None:
    lines = browser.get(f"/log/{BACKEND}/@3/call/smoke/2/logs").splitlines()
    assert [line.split(" ", 1)[1] for line in lines][3:] == [
        "err warning: the cache is cold",
        "err error: connection to db-1.internal refused",
        "err exit status 1",
    ]


def test_difference_is_that_of_the_command(browser: Browser, told: Repo) -> None:
    commanded = [json.loads(line) for line in told.ocuroot("diff", "--json").splitlines()]
    shown = browser.json("/diff")["items"]
    assert [(one["status"], one["intent"]) for one in shown] == [(one["status"], one["ref"]) for one in commanded]
    page = browser.get("/diff")
    assert '<span class="removed">-   &#34;until&#34;: &#34;2027-01-04&#34;,</span>' in page
    assert '<span class="added">+   &#34;until&#34;: &#34;2027-01-08&#34;,</span>' in page


def test_custom_state_stands_beside_its_intent(browser: Browser) -> None:
    page = browser.json("/custom")
    assert [(one["name"], one["state"] is None, one["intent"] is None) for one in page["of_store"]] == [
        ("banner", True, False),
        ("freeze", False, False),
    ]
    assert [one["ref"] for one in page["of_releases"]["items"]] == [f"{FRONTEND}/@10/custom/approval"]


@pytest.mark.parametrize("glob", ["**/@/deploy/*", "@/environment/*", "**/{call,deploy}/s*", "//**/@1", "nothing/**"])
def test_search_finds_what_match_finds(browser: Browser, told: Repo, glob: str) -> None:
    found = browser.json(f"/search?q={glob}")
    assert sorted(found["items"]) == told.ocuroot("match", glob).splitlines()[:100]


def test_search_says_where_a_pattern_is_malformed_and_helps_where_it_finds_nothing(browser: Browser) -> None:
    assert "column" in text_of(browser.get("/search?q=a/[b"))
    assert "**approval**" in browser.get("/search?q=approval")


def test_link_has_the_page_of_what_it_leads_to(browser: Browser) -> None:
    page = browser.json(f"/ref/{FRONTEND}/@")
    assert (page["kind"], page["resolved"]) == ("release", f"{FRONTEND}/@12")
    assert page["links"] == [f"{FRONTEND}/@"]
    assert "This address is a link" in browser.get(f"/ref/{FRONTEND}/@/deploy/staging")


def test_raw_document_is_what_get_prints(browser: Browser, told: Repo) -> None:
    answer = browser.ask(f"/raw/{FRONTEND}/@12")
    assert answer.content_type == "application/json"
    assert answer.get_data(as_text=True) == told.ocuroot("get", f"{FRONTEND}/@12") + "\n"


# Stores of every kind


def version_3(path: Path) -> Repo:
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "-q")
    repo.git("fetch", "-q", str(CONFORMANCE / "stores" / "v3.bundle"), "refs/heads/*:refs/heads/*")
    repo.git("config", "ocuroot.intent.branch", "intent")
    return repo


@pytest.mark.parametrize("kind", ["story", "v3", "v3 combined", "v3 directory", "v1 directory", "empty"])
def test_no_link_is_dead_and_no_page_asks_another_host(kind: str, tmp_path: Path, told: Repo) -> None:
    environ = {}
    if kind == "story":
        path = told.path
    elif kind == "empty":
        path = tmp_path / "empty"
        path.mkdir()
        Repo(path).git("init", "-q")
        Repo(path).ocuroot("init", "-q")
    elif kind.endswith("directory"):
        path = unpack(kind[:2], tmp_path)
        intent = path / "intent" if kind.startswith("v3") else path / "state"
        environ = {"OCUROOT_STATE": str(path / "state"), "OCUROOT_INTENT": str(intent)}
    else:
        path = version_3(tmp_path / "repo").path
        if "combined" in kind:
            environ = dict.fromkeys(("OCUROOT_STATE", "OCUROOT_INTENT"), "combined")
    pages = 0
    most = 200 if environ else 900  # the same store once more, in another form
    for address, text in Browser(application(path, **environ)).walk(most=most):
        pages += 1
        loaded = re.findall(r'<(?:script|link|img|iframe|source|use)[^>]*(?:src|href)="([^"]*)"', text)
        assert all(one.startswith("/static/") for one in loaded), (address, loaded)
        assert not re.search(r"<[^>]+ (?:style|on[a-z]+)=", text), address
    assert pages > (10 if kind == "empty" else 150)


def test_story_of_the_original_shows_in_its_own_words(tmp_path: Path) -> None:
    browser = Browser(application(version_3(tmp_path / "repo").path))
    package = f"{SHOP}.git/-/frontend/package.ocu.star"
    page = browser.json(f"/ref/{package}/@r2")["release"]
    statuses = {one["name"]: one["status"] for phase in page["phases"] for one in phase["work"]}
    assert statuses == {"build": "complete", "staging": "", "production": "paused", "production2": ""}
    assert browser.json(f"/ref/{package}/@2")["kind"] == "release"  # in either spelling
    run = browser.json(f"/ref/{package}/@r1/call/build/1")["run"]
    assert run["output"]["image"] == "registry.example.com/shop:1"
    assert "building <frontend/package.ocu.star> & co" in browser.get(f"/log/{package}/@r1/task/build/1/logs")
    assert browser.json(f"/ref/{package}/+/deploy/staging")["kind"] == "intent"


def test_documents_of_any_shape_have_a_page(store: Repo) -> None:
    package = "r/-/p"
    odd = [
        "null",
        "1",
        '"text"',
        "[]",
        "[[], {}]",
        "{}",
        '{"package": 3}',
        '{"package": {"phases": [null, 1, {"work": [[], {"call": 1}, {"deploy": {}}]}]}}',
    ]
    lines = [f"set {package}/@{number} {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set {package}/@1/call/build/{number} {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set {package}/@1/call/build/{number}/functions/1 {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set {package}/@1/call/build/{number}/logs {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set {package}/@1/call/build/{number}/status/failed {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set @/environment/e{number} {value}" for number, value in enumerate(odd, 1)]
    lines += [f"set {package}/+/deploy/e{number} {value}" for number, value in enumerate(odd, 1)]
    lines += [f"link {package}/@/deploy/e1 {package}/@1", f"link {package}/@/deploy/e2 {package}/@1/call/build/3"]
    store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
    assert sum(1 for _ in Browser(application(store.path)).walk()) > 60


def test_damaged_document_spoils_its_own_page_only(store: Repo) -> None:
    store.ocuroot("set", "+/custom/good", "1")
    blob = store.git("hash-object", "-w", "--stdin", input="{not json")
    tree = store.git("ls-tree", "-r", "state") + f"\n100644 blob {blob}\trefs/+/custom/bad/@object.json"
    tree += f"\n100644 blob {blob}\trefs/r/-/p/@1/call/x/1/logs/@object.json"
    store.git("read-tree", "--empty")
    store.git("update-index", "--index-info", input=tree + "\n")
    commit = store.git("commit-tree", "-p", "state", "-m", "break it", store.git("write-tree"))
    store.git("update-ref", "refs/heads/state", commit)
    browser = Browser(application(store.path))
    assert "damaged store" in browser.get("/ref/+/custom/bad")
    assert browser.json("/ref/+/custom/good")["body"] == "1"
    for page in ("/", "/custom", "/deployments", "/packages", "/work", "/diff", "/ref/r/-/p/@1/call/x/1"):
        browser.get(page)


# Following the branch


def test_what_was_pruned_has_a_page_that_says_where_it_went(store: Repo) -> None:
    update = "".join(f'set shop/-/web/@{n} {{"commit": "c{n}", "package": {{"phases": []}}}}\n' for n in (1, 2))
    store.ocuroot("update", "--stdin", input=update + "link shop/-/web/@ shop/-/web/@2\n")
    tip = store.git("rev-parse", "state")
    store.ocuroot("prune", "-q", "--keep-releases=1")
    browser = Browser(application(store.path))
    page = browser.get("/ref/shop/-/web/@1")
    assert f"git ocuroot get --at {tip[:12]} shop/-/web/@1" in text_of(page)
    assert browser.json("/ref/shop/-/web/@1")["pruned"] == tip
    for address in (f"/commit/{tip}", "/history/shop/-/web/@1"):
        assert f'href="{address}"' in page
        browser.get(address)
    assert browser.ask("/ref/shop/-/web/@3").status_code == 404
    assert browser.json("/ref/shop/-/web")["package"]["tags"] == []
    browser.get("/ref/shop/-/web/@pruned")


def test_change_shows_in_the_next_answer_and_in_the_tip(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    browser = Browser(application(told.path))
    before = browser.get("/tip")
    assert before == told.git("rev-parse", "state")
    tag = browser.ask("/custom").headers["ETag"]
    assert browser.ask("/custom", If_None_Match=tag).status_code in (200, 304)  # 200 where a minute has just ended
    json_tag = browser.ask("/custom.json").headers["ETag"]
    assert browser.ask("/custom.json", If_None_Match=json_tag).status_code in (200, 304)
    told.ocuroot("set", "+/custom/banner", "Closed on Monday")
    assert browser.get("/tip") == told.git("rev-parse", "state") != before
    assert browser.ask("/custom.json", If_None_Match=json_tag).status_code == 200
    assert "Closed on Monday" in browser.get("/custom")


def test_the_work_of_a_package_stands_in_the_order_of_its_phases(store: Repo) -> None:
    prepare(store, "staging")
    work = release(store, package([call("zeta")], [call("alpha"), call("beta")], [deploy("staging")]))
    store.run("run", "exec", "-q", f"{work}/call/zeta", "--", "true")
    browser = Browser(application(store.path))
    (row,) = browser.json("/packages")["items"]
    assert row["status"] == ["complete", "pending", "pending", "pending"]
    assert [[one["name"] for one in phase["work"]] for phase in row["phases"]] == [
        ["zeta"],
        ["alpha", "beta"],
        ["staging"],
    ]
    assert 'aria-label="zeta: complete; alpha: waiting; beta: waiting; staging: waiting; "' in browser.get("/packages")


def test_what_is_kept_is_of_the_tree_that_is_shown(store: Repo) -> None:
    """Everything the view remembers, over a branch that moves forth, back, and to another history."""

    def shown(browser: Browser) -> tuple[object, ...]:
        packages = browser.json("/packages")["items"]
        work = browser.json("/work")["items"]
        cells = [[cell["label"] for cell in row["cells"]] for row in browser.json("/deployments")["items"]]
        return (
            [(row["package"], row["releases"], row["failed"], row["status"]) for row in packages],
            [(one["run"], one["status"]) for one in work],
            cells,
            browser.json("/search?q=r/**")["total"],
            [one["ref"] for one in browser.json("/ref/r/-/p")["package"]["releases"]["items"]],
            [one["intent"] for one in browser.json("/diff")["items"]],
        )

    browser = Browser(application(store.path))
    run = "r/-/p/@1/call/build/1"
    tips, answers = [], []
    for lines in (
        [f"set {run} {{}}", f"set {run}/status/running {{}}", "set r/-/p/@1 {}", "set @/environment/e {}"],
        [f"delete {run}/status/running", f"set {run}/status/failed {{}}"],
        ["set r/-/p/@2 {}", "set r/-/p/@2/deploy/e/1 {}", "link r/-/p/@/deploy/e r/-/p/@2/deploy/e/1"],
        ["set r/-/q/@1 {}", "set +/custom/x 1", 'set r/-/p/+/deploy/e {"release": "r/-/p/@1"}'],
        ["link r/-/p/@/deploy/e r/-/p/@1", "delete r/-/q/@1", "delete +/custom/x"],
    ):
        store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
        tips.append(store.git("rev-parse", "state"))
        answers.append(shown(browser))
        assert answers[-1] == shown(Browser(application(store.path)))
    assert len({str(answer) for answer in answers}) == len(answers)
    # Back to what was shown before, and to a history that shares no commit but holds one of the trees.
    other = store.git("commit-tree", "-m", "of its own", f"{tips[2]}^{{tree}}")
    for tip, answer in ((tips[0], answers[0]), (tips[4], answers[4]), (other, answers[2]), (tips[1], answers[1])):
        store.git("update-ref", "refs/heads/state", tip)
        assert shown(browser) == answer


def test_fixed_revision_stays_as_it_was(tmp_path: Path) -> None:
    told = tell_story(tmp_path / "shop")
    old = told.git("rev-parse", "state")
    told.ocuroot("set", "+/custom/banner", "Closed on Monday")
    browser = Browser(application(told.path, at=old))
    assert "Scheduled maintenance" in browser.get("/custom")
    assert f'data-fixed="{old}"' in browser.get("/")


def test_requests_at_once_answer_as_one_by_one(browser: Browser) -> None:
    addresses = ["/deployments.json", f"/ref/{FRONTEND}.json", "/diff.json", "/search.json?q=**", "/work.json"] * 6
    wanted = {address: browser.get(address) for address in addresses}
    wrong: list[str] = []

    def ask(mine: list[str]) -> None:
        own = Browser(browser.client.application)
        wrong.extend(address for address in mine if own.get(address) != wanted[address])

    threads = [threading.Thread(target=ask, args=(addresses[start:],)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_lists_are_paged_and_lose_nothing(store: Repo) -> None:
    lines = [f"set r/-/p{number}/@{release} {{}}" for number in range(120) for release in (1, 2)]
    lines += [f"link r/-/p{number}/@/deploy/prod r/-/p{number}/@1" for number in range(120)]
    store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
    browser = Browser(application(store.path))
    for address, key in (("/packages", "package"), ("/deployments", "package")):
        rows = [row[key] for page in (1, 2, 3) for row in browser.json(f"{address}?page={page}")["items"]]
        assert rows == sorted(f"r/-/p{number}" for number in range(120))
    assert browser.json("/packages?page=99")["page"] == 3
    refs = [ref for page in range(1, 5) for ref in browser.json(f"/search?q=r/**&page={page}")["items"]]
    assert len(set(refs)) == len(refs) == 360


def test_a_commit_of_a_time_that_no_calendar_has_is_shown(store: Repo) -> None:
    store.ocuroot("set", "+/custom/gate", "true")
    commit = store.git("cat-file", "commit", "state").replace("> ", "> 999999", 2)
    store.git("update-ref", "refs/heads/state", store.git("hash-object", "-t", "commit", "-w", "--stdin", input=commit))
    browser = Browser(application(store.path))
    assert browser.json("/commits")["commits"][0]["time"].startswith("@999999")
    assert "@999999" in browser.get("/history/+/custom/gate")
    assert "@999999" in store.ocuroot("log")


def test_long_log_begins_at_its_end_and_links_to_each_line(store: Repo) -> None:
    run = "r/-/p/@1/call/build/1"
    entries = [
        {"timestamp": "2026-01-05T09:00:00Z", "message": f"line {number}", "stream": 1} for number in range(2500)
    ]
    store.ocuroot("update", "--stdin", input=f"set {run} {{}}\nset {run}/logs {json.dumps(entries)}\n")
    browser = Browser(application(store.path))
    page = browser.get(f"/ref/{run}")
    assert "line 2499" in page and "line 1499" not in page
    whole = browser.json(f"/ref/{run}/logs")["log"]
    assert (whole["first"], whole["last"], whole["earlier"], whole["later"]) == (1501, 2500, 501, 0)
    assert "from-end" in browser.get(f"/ref/{run}/logs")
    # Each line has an address that stays, whatever is printed after it.
    shown = browser.get(f"/ref/{run}/logs?line=700")
    assert '<li id="L700" class=" aim">' in shown and '<li id="L680">' in shown and "from-end" not in shown
    earlier = browser.json(f"/ref/{run}/logs?start={whole['earlier']}")["log"]
    assert (earlier["first"], earlier["last"], earlier["earlier"], earlier["later"]) == (501, 1500, 1, 1501)
    for odd in ("start=99999", "line=99999", "start=-1", "line=x", "start=0"):
        assert browser.json(f"/ref/{run}/logs?{odd}")["log"]["items"]
    found = browser.json(f"/ref/{run}/logs?find=LINE+77")["log"]
    assert [one["number"] for one in found["items"]] == [78, *range(771, 781)]
    assert (found["found"], found["total"]) == (11, 2500)
    assert "11 lines of 2500 hold" in browser.get(f"/ref/{run}/logs?find=LINE+77")
    assert browser.json(f"/ref/{run}/logs?find=nothing")["log"]["items"] == []


def test_failed_run_shows_its_last_lines_at_once(store: Repo) -> None:
    run = "r/-/p/@1/call/build/1"
    entries = [{"timestamp": "2026-01-05T09:00:00Z", "message": f"line {number}", "stream": 1} for number in range(90)]
    lines = [f"set {run} {{}}", f"set {run}/status/failed {{}}", f"set {run}/logs {json.dumps(entries)}"]
    store.ocuroot("update", "--stdin", input="\n".join(lines) + "\n")
    page = Browser(application(store.path)).get(f"/ref/{run}")
    assert "line 89" in page and "line 40" in page and "line 39" not in page
    assert "All 90 lines" in page


def test_log_as_text_is_whole(store: Repo) -> None:
    run = "r/-/p/@1/call/build/1"
    entries = [{"timestamp": "2026-01-05T09:00:00Z", "message": f"{number}", "stream": 1} for number in range(2500)]
    store.ocuroot("update", "--stdin", input=f"set {run} {{}}\nset {run}/logs {json.dumps(entries)}\n")
    browser = Browser(application(store.path))
    assert len(browser.get(f"/log/{run}/logs").splitlines()) == 2500
