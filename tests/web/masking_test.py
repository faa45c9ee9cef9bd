"""What `logs` masks stands nowhere on the page, nor in a site: in no document, message, history, JSON or index."""

from __future__ import annotations

import json
from pathlib import Path

from support.delivering import call, deploy, package, prepare, release
from support.repositories import Repo
from support.sites import files_of, walk, write_site
from support.viewing import Browser, application

from ocuroot_git.redaction import learn
from ocuroot_git.web.masking import masked, masked_page
from ocuroot_git.web.site_names import page_file

TOLD = "https://bob:letmein7@example.com/x hunter22"
"""A password in a URL, and a secret that is known because the configuration has it."""
MASKED = "https://***@example.com/x ***"
REMOTE = "https://ann:hunter22@git.example.com/shop.git"


def test_documents_are_masked_wholly_and_names_for_urls_alone() -> None:
    learn(REMOTE)
    assert masked({TOLD: [TOLD, 1], MASKED: None, "x": (TOLD, {})}) == {
        MASKED + "'": [MASKED, 1],
        MASKED: None,
        "x": (MASKED, {}),
    }
    assert masked("https://bob:let\x1b[1mmein7@example.com") == "https://***@example.com"
    page = {
        "environment": "hunter22",
        "run": TOLD,
        "reason": TOLD,
        "is": TOLD,
        "wanted": TOLD,
        "items": [{"body": TOLD}],
    }
    assert masked_page(page) == {
        "environment": "hunter22",
        "run": MASKED,
        "reason": MASKED,
        "is": MASKED,
        "wanted": MASKED,
        "items": [{"body": MASKED}],
    }
    assert masked_page({"wanted": "hunter22"}) == {"wanted": "hunter22"}


def test_what_logs_mask_stands_nowhere(store: Repo, tmp_path: Path) -> None:
    store.git("remote", "add", "origin", REMOTE)
    store.git("config", "ocuroot.repoAlias", "shop")
    prepare(store, "staging")
    environment = json.dumps({"name": "qa", "attributes": {"x": TOLD}})
    store.ocuroot("update", "--stdin", input=f"set @/environment/qa {environment}\n")
    one = release(store, package([call("build", TOLD)], [deploy("staging", TOLD)]))
    script = f"echo '{TOLD}'; seq 1500; echo 'u={TOLD}' >$OCUROOT_OUTPUT; echo 'w={TOLD.split()[0]}' >>$OCUROOT_OUTPUT"
    store.run("run", "exec", "-q", f"{one}/call/build", "--", "sh", "-c", script)
    for value in ({TOLD: TOLD, "x": [TOLD, {"hunter22": 1}]}, TOLD):
        store.ocuroot("update", "-m", TOLD, "--stdin", input=f"set @/custom/told {json.dumps(value)}\n")
    tip = store.git("commit-tree", "-p", "state", "-m", f"{TOLD}\n\nOcuroot-Reason: {TOLD}", "state^{tree}").strip()
    store.git("update-ref", "refs/heads/state", tip)
    write_site(store, tmp_path / "out")
    assert walk(tmp_path / "out")
    told = files_of(tmp_path / "out")
    text = told[page_file(f"/ref/{one}/call/build/1/logs", "txt")].decode()
    assert MASKED in text and text.endswith(" 1500\n")
    browser = Browser(application(store.path))
    refs = (f"{one}/call/build/1/logs", f"{one}/call/build/1", one, "@/custom/told", "@/environment/qa")
    pages = ["/", "/custom", "/commits", f"/commit/{tip}", "/search?q=example"]
    pages += [f"/{kind}/{ref}" for ref in refs for kind in ("ref", "history", "raw")] + [f"/log/{refs[0]}"]
    for page in pages:
        told |= {page: browser.ask(page).data, f"{page}.json": browser.ask(page, Accept="application/json").data}
    assert browser.ask("/raw/@/custom/told").get_json() == MASKED
    assert [address for address, data in told.items() if b"letmein7" in data or b"hunter22" in data] == []
    for guess, found in (("bob:", 0), ("hunter", 0), ("example.com", 1)):
        assert browser.json(f"/ref/{one}/call/build/1/logs?find={guess}")["log"]["found"] == found
        assert [group["name"] for group in browser.json(f"/search?q={guess}")["groups"]] == [
            *(["Environments"] if found else []),
            *(["Commits of the store"] if found else []),
        ]
