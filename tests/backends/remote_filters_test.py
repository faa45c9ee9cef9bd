"""Servers that take some of git's filters and refuse others, as large hosts do (design 8.4)."""

from __future__ import annotations

import os

import pytest
from support.remote_stores import World

APPROVAL = "web/-/p/+1/custom/approval"
SETTINGS = {
    "trees of no depth": ["tree.maxDepth=0"],
    "trees of no depth, and nothing else": ["allow=false", "tree.allow=true", "tree.maxDepth=0"],
    "no limit of size": ["blob:limit.allow=false"],
    "blobs alone": ["allow=false", "blob:none.allow=true"],
    "none": ["allow=false"],
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_filter_that_is_refused_is_asked_for_once(files: World, settings: list[str]) -> None:
    bare = files.bare()
    writer = files.clone("writer")
    writer.ocuroot("init")
    writer.ocuroot("set", APPROVAL, "ann")
    for setting in settings:
        name, _, value = setting.partition("=")
        bare.git("config", f"uploadpackfilter.{name}", value)
    reader = files.clone("reader")
    trace = files.top / "trace"
    environ = {**os.environ, "GIT_TRACE_PACKET": str(trace)}

    def refusals(*arguments: str) -> int:
        trace.unlink(missing_ok=True)
        reader.ocuroot(*arguments, env=environ)
        lines = trace.read_text().splitlines()
        return sum("fetch< ERR" in line for line in lines)

    assert refusals("get", APPROVAL) in (1, 2, 3)
    writer.ocuroot("set", "web/-/p/+2/custom/approval", "bob")
    assert refusals("get", "web/-/p/+2/custom/approval") == 0
    assert refusals("set", "web/-/p/+3/custom/approval", "carol") == 0
    assert refusals("log", APPROVAL) == 0
    assert reader.ocuroot("match", "**") == writer.ocuroot("match", "**")
    assert reader.ocuroot("get", APPROVAL) == '"ann"'


def test_what_was_kept_of_refusals_may_be_anything(files: World) -> None:
    bare = files.bare()
    files.clone("writer").ocuroot("init")
    bare.git("config", "uploadpackfilter.allow", "false")
    reader = files.clone("reader")
    assert reader.ocuroot("match", "**") == ""
    kept = next((reader.path / ".git" / "ocuroot").glob("*.git/ocuroot-filters"))
    assert kept.read_text() == "blob:none\ntree\n"
    kept.write_bytes(b"depth \xb2\ndepth -1\nblob:none\n\0\n")
    reader.ocuroot("set", APPROVAL, "1")
    assert reader.ocuroot("get", APPROVAL) == '"1"'


@pytest.mark.parametrize("has_moved", [False, True])
def test_a_server_that_gives_no_single_objects(files: World, has_moved: bool) -> None:
    """As those of git's first protocol do: they give what a branch points to. What is known of it may be older."""
    files.bare()
    writer, reader = files.clone("writer"), files.clone("reader", "origin")
    writer.ocuroot("init")
    writer.ocuroot("set", APPROVAL, "ann")
    reader.git("remote", "add", "origin", files.url())
    reader.git("config", "remote.origin.uploadpack", "env -u GIT_PROTOCOL git-upload-pack")
    assert reader.ocuroot("match", "+/custom/*") == ""  # the top of the branch is enough for that
    if has_moved:
        writer.ocuroot("set", "web/-/p/+2/custom/approval", "bob")
    assert reader.ocuroot("get", "--max-age", "9999", APPROVAL) == '"ann"'
    writer.ocuroot("set", "web/-/p/+3/custom/approval", "carol")
    assert reader.ocuroot("get", "web/-/p/+3/custom/approval") == '"carol"'
    reader.ocuroot("set", "web/-/p/+4/custom/approval", "dave")
    assert reader.ocuroot("match", "**") == writer.ocuroot("match", "**")
    assert len(reader.ocuroot("log", "--json").splitlines()) == 3 + has_moved
