"""`watch --format cdevents`: each event is valid by the published schemas and tells what happened, in each dialect."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from support.delivering import call, deploy, package, prepare, release, want_environment, work_any
from support.original_stores import v1_branch, v3_branches, v3_combined
from support.program import FIXTURES
from support.repositories import Repo
from support.watching import ZEROS, Events, watch_once

SCHEMAS = {
    schema["$id"]: schema
    for schema in map(json.loads, (path.read_text() for path in (FIXTURES / "cdevents" / "schemas").rglob("*.json")))
}
REGISTRY: Any = Registry().with_resources((name, Resource.from_contents(one)) for name, one in SCHEMAS.items())
BY_TYPE = {
    kind: Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker())
    for schema in SCHEMAS.values()
    if "context" in schema.get("properties", {})
    for kind in schema["properties"]["context"]["properties"]["type"]["enum"]
}
DIGEST = "sha256:" + "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"


def told(repo: Repo, *arguments: str) -> Events:
    """The CDEvents since a commit (by default: all), each of which must be valid."""
    found = watch_once(repo, "--format=cdevents", *(arguments or ("--since", ZEROS)))
    for event in found:
        BY_TYPE[event["context"]["type"]].validate(event)
        assert event["context"]["specversion"] == "0.5.1"
    identities = [event["context"]["id"] for event in found]
    assert len(set(identities)) == len(identities)
    return found


def brief(found: Events) -> list[str]:
    return [" ".join(parts(event)) for event in found]


def parts(event: dict[str, Any]) -> Iterator[str]:
    yield event["context"]["type"].removeprefix("dev.cdevents.").removesuffix(".0.3.0")
    yield event["subject"]["id"].removeprefix("shop/-/")
    content = event["subject"]["content"]
    if "environment" in content:
        yield content["environment"]["id"]
    if "outcome" in content:
        yield content["outcome"]


def since(repo: Repo, action: object) -> Events:
    """The events of what an action does."""
    start = repo.oid("state")
    assert callable(action)
    action()
    return told(repo, "--since", start)


@pytest.fixture(params=[1, 3])
def shop(repo: Repo, request: pytest.FixtureRequest) -> Repo:
    repo.ocuroot("init", "-q", "--dialect", str(request.param))
    return prepare(repo, "production")


def spelled(repo: Repo, lines: list[str]) -> list[str]:
    """Refs of dialect 1 as the store spells them."""
    is_late = "/@r1" in repo.ocuroot("match", "**/@*")
    return [line.replace("/@", "/@r").replace("/call/", "/task/") if is_late else line for line in lines]


def build(image: str) -> dict[str, Any]:
    return package([call("build", f"echo image={image} >> $OCUROOT_OUTPUT")], [deploy("production")])


def test_a_life(shop: Repo) -> None:
    assert brief(told(shop)) == ["environment.created production"]
    image = f"ghcr.io/example/Web:1.2@{DIGEST}"
    first = since(shop, lambda: (release(shop, build(image)), work_any(shop)))
    purl = f"pkg:oci/web@{DIGEST.replace(':', '%3A')}?repository_url=ghcr.io/example/Web&tag=1.2"
    assert brief(first) == spelled(
        shop,
        [
            "pipelinerun.queued web/@1",
            "pipelinerun.started web/@1",
            "taskrun.started web/@1/call/build/1",
            "taskrun.finished web/@1/call/build/1 success",
            f"artifact.published {purl}",
            "taskrun.started web/@1/deploy/production/1",
            "service.deployed web production",
            "taskrun.finished web/@1/deploy/production/1 success",
            "pipelinerun.finished web/@1 success",
        ],
    )
    (service,) = [event for event in first if event["context"]["type"].startswith("dev.cdevents.service")]
    assert service["subject"]["content"]["artifactId"] == purl
    assert service["customData"]["release"].endswith(spelled(shop, ["/@1"])[0])
    assert service["context"]["source"] == "/shop"
    assert (
        service["context"]["id"] == f"{service['customData']['commit']}:shop/-/web/@/deploy/production:service.deployed"
    )

    second = brief(since(shop, lambda: (release(shop, build("none")), work_any(shop))))
    assert "service.upgraded web production" in second
    assert not [line for line in second if line.startswith("artifact")]

    ref = spelled(shop, ["shop/-/web/@1"])[0]
    intent = "shop/-/web/+/deploy/production"
    back = since(shop, lambda: (shop.ocuroot("set", "-f=json", intent, json.dumps({"release": ref})), work_any(shop)))
    assert brief(back) == spelled(
        shop,
        [
            "taskrun.started web/@1/deploy/production/2",
            "service.rolledback web production",
            "taskrun.finished web/@1/deploy/production/2 success",
        ],
    )
    (event,) = [event for event in back if event["context"]["type"].startswith("dev.cdevents.service")]
    assert (event["customData"]["release"], event["customData"]["from"]) == (ref, ref.replace("1", "2"))
    assert event["subject"]["content"]["artifactId"] == purl

    def move() -> None:
        want_environment(shop, "production", type="prod", region="eu")
        work_any(shop)

    changed = since(shop, move)
    assert brief(changed)[:1] == ["environment.modified production"]
    gone = brief(since(shop, lambda: (shop.ocuroot("delete", "+/environment/production"), work_any(shop))))
    assert "service.removed web production" in gone and "environment.deleted production" in gone
    assert not [line for line in gone if line.startswith("pipelinerun")]


def test_failures_retries_and_cancelled_runs(shop: Repo) -> None:
    definition = package([call("build", "test -e ok"), call("lint")], [deploy("production")])
    release(shop, definition)
    work = spelled(shop, ["web/@1/call/build/1", "web/@1/deploy/production/1", "web/@1"])
    found = since(shop, lambda: shop.run("work", "any"))
    assert f"taskrun.finished {work[0]} failure" in brief(found)
    assert not [line for line in brief(found) if line.startswith("pipelinerun.finished")]  # the deployment waits
    found = since(shop, lambda: shop.ocuroot("run", "cancel", f"shop/-/{work[1]}"))
    assert brief(found) == [f"taskrun.finished {work[1]} cancel", f"pipelinerun.finished {work[2]} failure"]
    assert "build" in found[1]["subject"]["content"]["errors"]
    (shop.path / "ok").touch()
    found = since(shop, lambda: (shop.ocuroot("run", "retry", f"shop/-/{work[0]}"), work_any(shop)))
    assert brief(found)[0] == f"pipelinerun.started {work[2]}"
    assert brief(found)[-1] == f"pipelinerun.finished {work[2]} cancel"


def test_patterns_choose_by_what_changed(shop: Repo) -> None:
    release(shop, build("none"))
    work_any(shop)
    assert brief(told(shop, "--since", ZEROS, "**/@/deploy/production")) == ["service.deployed web production"]


@pytest.mark.parametrize("make", [v1_branch, v3_branches, v3_combined])
def test_stores_of_the_original(repo: Repo, make: object) -> None:
    assert callable(make)
    make(repo)
    assert {event["context"]["type"] for event in told(repo)} >= {
        "dev.cdevents.environment.created.0.3.0",
        "dev.cdevents.service.deployed.0.3.0",
    }


@pytest.mark.parametrize(
    ("value", "purl"),
    [
        (DIGEST, f"pkg:generic/shop/web@1?checksum={DIGEST}"),
        (f"app@{DIGEST}", f"pkg:oci/app@{DIGEST.replace(':', '%3A')}"),
        (
            f"localhost:5000/a/app@{DIGEST}",
            f"pkg:oci/app@{DIGEST.replace(':', '%3A')}?repository_url=localhost:5000/a/app",
        ),
        (f"pkg:npm/%40a/b@{DIGEST}?x=y", f"pkg:npm/%40a/b@{DIGEST.replace(':', '%3A')}?x=y"),
        ("sha256:abc", None),
        (f"see {DIGEST}", None),
        (f"pkg:@{DIGEST}", None),
        (f"pkg:npm/a\x01b@{DIGEST}", None),
        (f'pkg:npm/a@{DIGEST}?x="y"', None),
        (f"ghcr.io/a/@{DIGEST}", None),
        (f":tag@{DIGEST}", None),
        (f"a\x1b[31m@{DIGEST}", None),
        (f"ä@{DIGEST}", f"pkg:oci/%C3%A4@{DIGEST.replace(':', '%3A')}"),
    ],
)
def test_artifacts(value: str, purl: str | None) -> None:
    from ocuroot_git.ledger.cdevents import _artifacts

    found = [("output/a/0", purl)] if purl is not None else []
    assert list(_artifacts({"a": [value], "b": 1}, "shop/-/web/@1")) == found


def test_no_two_artifacts_of_a_run_are_told_as_one() -> None:
    from ocuroot_git.ledger.cdevents import _artifacts

    output: Any = {"a/b": DIGEST, "a": {"b": DIGEST}, "a~1b": DIGEST}
    assert [field for field, _ in _artifacts(output, "shop/-/web/@1")] == ["output/a~1b", "output/a/b", "output/a~01b"]


URI = re.compile(r"[a-z]*:?(?:[\w.~!$&'()*+,;=:@/?#-]|%[0-9A-Fa-f]{2})+", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_whatever_is_in_a_store_no_event_is_against_the_schemas(store: Repo) -> None:
    """Values of 10^5 characters, control characters, URLs and digests that are none, names with spaces."""
    long = "x" * 100_000
    hostile = [
        long,
        "\x1b]0;a\x07",
        "http://[",
        "\ud800",
        f"{long}@{DIGEST}",
        f"pkg:{long}@{DIGEST}",
        f"pkg:a/\x00@{DIGEST}",
    ]
    hostile += [
        f"//@{DIGEST}",
        f"sha256:{long}",
        DIGEST.upper(),
        f"pkg:oci/a@{DIGEST}?x=%zz",
        f"a b@{DIGEST}",
        f"‮a@{DIGEST}",
    ]
    pairs: list[tuple[str, Any]] = []
    for number, name in enumerate(("a b", "ü", "%41", "{}", "a?b", "[x]", "'"), 1):
        values = {"all": hostile if number == 1 else [name, f"{name}@{DIGEST}"]}
        work = f"shop/-/{name}/@{number}"
        pairs += [(f"set @/environment/{name}", {"attributes": values})]
        pairs += [(f"set {work}", {"package": {"phases": []}, "commit": long})]
        for kind in ("call", "deploy"):
            pairs += [(f"set {work}/{kind}/{name}/1", {"output": values})]
            pairs += [(f"set {work}/{kind}/{name}/1/status/complete", values)]
    given = "".join(f"{words}\0{json.dumps(document)}\0" for words, document in pairs)
    for name, work in [(words.split("/")[2], words[4:]) for words, _ in pairs if "/deploy/" in words]:
        if work.endswith("/1"):
            given += f"link shop/-/{name}/@/deploy/{name}\0{work}\0"
    store.ocuroot("update", "--stdin", "-z", "-m", "\x07 \x1b[31m", input=given)
    found = told(store)
    assert len(found) > 40
    for event in found:
        context, content = event["context"], event["subject"]["content"]
        assert URI.fullmatch(context["source"]) and TIME.fullmatch(context["timestamp"]), context
        assert all(URI.fullmatch(content[key]) for key in ("uri", "artifactId") if key in content), content
        assert not context["type"].startswith("dev.cdevents.artifact") or URI.fullmatch(event["subject"]["id"])


def test_documents_of_no_shape(store: Repo) -> None:
    """They say nothing, and keep nothing else from being told."""
    store.ocuroot("update", "--stdin", input="set shop/-/web/@1/call/b/1/status/complete 1\nset shop/-/web/@1 []\n")
    store.ocuroot("update", "--stdin", input="link shop/-/web/@/deploy/x shop/-/web/@1\nset @/environment/x 1\n")
    assert "environment.created x" in brief(told(store))


RUN = "shop/-/web/@1/call/build/1"


def write(repo: Repo, *lines: str) -> None:
    """One commit."""
    repo.ocuroot("update", "--stdin", input="".join(f"{line}\n" for line in lines))


def test_markers_that_are_moved_in_two_commits_tell_of_one_life(store: Repo) -> None:
    """So the original does: between the two commits a run has no status."""
    definition = 'set shop/-/web/@1 {"package": {"phases": []}}'
    write(store, definition, f"set {RUN} {{}}", f"set {RUN}/status/pending {{}}")
    for before, after in (("pending", "running"), ("running", "failed"), ("failed", "failed_retried")):
        write(store, f"delete {RUN}/status/{before}")
        write(store, f"set {RUN}/status/{after} {{}}")
    assert brief(told(store)) == [
        "pipelinerun.queued web/@1",
        "pipelinerun.started web/@1",
        "taskrun.started web/@1/call/build/1",
        "taskrun.finished web/@1/call/build/1 failure",
        "pipelinerun.finished web/@1 failure",
    ]


def test_what_goes_on_after_a_pause_does_not_start_again(store: Repo) -> None:
    function = {"fn": {"name": "build"}}
    for functions in ([function], [function, function]):
        write(store, f"set {RUN} {json.dumps({'functions': functions})}")
        write(store, f"set {RUN}/status/running {{}}")
        write(store, f"delete {RUN}/status/running")
        write(store, f"set {RUN}/status/paused {{}}")
        write(store, f"delete {RUN}/status/paused")
    assert [line for line in brief(told(store)) if "started" in line] == [
        "pipelinerun.started web/@1",
        "taskrun.started web/@1/call/build/1",
    ]


def test_a_release_has_not_ended_before_all_its_work_was_made(store: Repo) -> None:
    """The original makes the work of a phase when the phase before is complete."""
    definition = json.dumps({"package": package([call("build")], [deploy("production")])})
    write(store, f"set shop/-/web/@1 {definition}", f"set {RUN}/status/complete {{}}")
    assert "pipelinerun.finished web/@1 success" not in brief(told(store))
    last = since(store, lambda: write(store, "set shop/-/web/@1/deploy/production/1/status/complete {}"))
    assert brief(last)[-1] == "pipelinerun.finished web/@1 success"


def test_a_run_ends_once_in_a_commit_and_ids_hold_nothing_odd(store: Repo) -> None:
    keys = ["a\x07", "a%07", "\ud800", "\u2028", "", "~0/"]
    lines = [f"set {RUN} {json.dumps({'output': dict.fromkeys(keys, DIGEST)})}"]
    lines += [f"set {RUN}/status/{status} {{}}" for status in ("complete", "cancelled", "failed")]
    lines += [f"set shop/-/web/@1/call/build/{name}/status/complete {{}}" for name in ("functions", "x")]
    write(store, *lines)
    found = told(store)
    assert [line for line in brief(found) if line.startswith("taskrun")] == [
        "taskrun.finished web/@1/call/build/1 failure"
    ]
    assert all(event["context"]["id"].isprintable() for event in found)
    write(store, f"delete {RUN}/status/failed", f"delete {RUN}/status/complete", f"delete {RUN}/status/cancelled")
    found = since(store, lambda: write(store, f"set {RUN}/status/complete {{}}"))
    assert len([line for line in brief(found) if line.startswith("artifact")]) == len(keys)
    assert all(event["context"]["id"].isprintable() for event in found)


def test_nobody_says_that_a_package_is_gone_where_its_link_leads_nowhere(store: Repo) -> None:
    work, link = "shop/-/web/@1/deploy/production", "shop/-/web/@/deploy/production"
    write(store, f"set {work}/1 {{}}", f"set {work}/2 {{}}", "set @/custom/x 1", f"link {link} {work}/1")
    for change in (f"link {link} @/custom/x", f"link {link} {work}/2", f"link {link} @/custom/x", f"delete {link}"):
        write(store, change)
    assert brief(told(store)) == [
        "service.deployed web production",
        "service.deployed web production",
        "service.removed web production",
    ]
