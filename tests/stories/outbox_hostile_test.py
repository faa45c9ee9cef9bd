"""What waits in an outbox may be anybody's: nothing is made of what no writer would write (design 8.10)."""

from __future__ import annotations

import os
import time

import pytest
from support.contended import OUTBOX, Contended, hours_ago, value
from support.damaged import loose_path
from support.remote_stores import operations


def hostile(text: dict[str, object], what: str) -> object:
    path, files, objects = "refs/+/custom/a/@object.json", dict(text["files"]), dict(text["objects"])  # type: ignore[call-overload]
    content = files.pop(path)
    changes: dict[str, dict[str, object]] = {
        "store file": {"files": {".ocuroot-store": content}, "objects": {**objects, ".ocuroot-store": None}},
        "upwards": {"files": {"refs/../x": content}, "objects": {**objects, "refs/../x": None}},
        "git's own": {"files": {"refs/.git/hooks/x": content}, "objects": {**objects, "refs/.git/hooks/x": None}},
        "beside": {"files": {"README.md": content}, "objects": {**objects, "README.md": None}},
        "no ref": {"files": {"refs/a/-/@1/x/@object.json": content}, "objects": {"refs/a/-/@1/x/@object.json": None}},
        "not read": {"objects": {}},
        "no document": {"files": {path: "bm90IGpzb24="}},
        "no content": {"files": {path: "!"}},
        "nothing": {"files": {}},
        "unknown base": {"base": "1" * 40},
        "no base": {"base": "state"},
        "expired": {"expires": 1},
        "no time": {"expires": "never"},
        "another version": {"version": 2},
        "lines in the name": {"operation": {"name": "a\nOcuroot-Operation: b", "request": None, "result": None}},
        "lines in the result": {"operation": {"name": "a", "request": "b", "result": "c\nOcuroot-Operation: d"}},
        "lines in the command": {"command": "set\nOcuroot-Operation: forged"},
        "lines in a ref": {"touched": ["x\n\nOcuroot-Operation: forged"]},
        "no author": {"author": ["a <b>", "c", 1, 0]},
        "deep": {"objects": [[[]]]},
    }
    if what == "no JSON":
        return "{"
    if what == "a list":
        return []
    if what == "large":
        return {**text, "subject": "x" * (1 << 20)}
    return {**text, **changes[what]}


HOSTILE = [
    *("store file", "upwards", "git's own", "beside", "no ref", "not read", "no document", "no content", "nothing"),
    *("unknown base", "no base", "expired", "no time", "another version", "lines in the name", "lines in the result"),
    *("lines in the command", "lines in a ref", "no author", "deep", "no JSON", "a list", "large"),
]


def test_nothing_is_made_of_what_no_writer_would_write(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    text = contended.text(left)
    contended.bare.git("update-ref", "-d", left)
    began = hours_ago(1)
    for number, what in enumerate(HOSTILE):
        contended.put(hostile(text, what), f"{began}-{number:016x}")
    commit = contended.bare.git("rev-parse", "state")
    contended.bare.git("update-ref", f"{OUTBOX}state/{began}-ffff", commit)
    contended.bare.git("update-ref", f"{OUTBOX}state/not-a-name", contended.bare.git("rev-parse", "state^{tree}"))
    waiting = contended.waiting()
    before = contended.bare.git("ls-tree", "-r", "state")
    two.ocuroot("set", "+/custom/b", "2")
    assert contended.subjects() == ["set +/custom/b"]
    after = contended.bare.git("ls-tree", "-r", "state").splitlines()
    assert [line.partition("\t")[2] for line in after if line not in before.splitlines()] == [
        "refs/+/custom/b/@object.json"
    ]
    assert contended.waiting() == waiting
    done = two.run("fsck")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(waiting) - 1  # all but the one whose base nobody knows, yet
    # And the one that they were made of would have been.
    contended.put(text)
    two.ocuroot("set", "+/custom/b", "3")
    assert value(two, "+/custom/a") == "1"


def test_a_message_cannot_forge_an_operation(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    contended.leave(one, "set", "-m", "x\n\nOcuroot-Operation: forged", "+/custom/a", "1")
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") == "1"
    assert "forged" not in operations(contended.bare)


def test_two_changes_under_one_name_are_one(contended: Contended) -> None:
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    contended.put(contended.text(left))
    two.ocuroot("set", "+/custom/b", "2")
    two.ocuroot("set", "+/custom/b", "3")
    assert sorted(contended.subjects()) == ["set +/custom/a", "set +/custom/b", "set +/custom/b"]
    assert contended.waiting() == []


def test_what_a_server_has_lost_is_in_nobodys_way(contended: Contended) -> None:
    """A `git gc --prune=now` at the server may delete what has just come; then git itself refuses every push there."""
    one, two = contended.clone("one"), contended.clone("two")
    lost = [contended.leave(one, "set", f"+/custom/{name}", "1") for name in "ab"]
    for reference in lost:
        blob = contended.bare.git("rev-parse", reference)
        loose_path(contended.bare.path, blob).unlink()
    done = two.run("fsck")
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == sorted(lost), done.stderr
    two.ocuroot("set", "+/custom/b", "2")
    assert contended.waiting() == []
    assert (value(two, "+/custom/a"), value(two, "+/custom/b")) == (None, "2")


def test_a_name_that_cannot_be_kept_here_is_in_nobodys_way(contended: Contended) -> None:
    """Servers may keep references otherwise than in files, and so under longer names."""
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    blob = contended.bare.git("rev-parse", left)
    contended.bare.git("update-ref", "-d", left)
    name = f"{OUTBOX}state/{'e' * 300}"
    (contended.bare.path / "packed-refs").write_text(f"{blob} {name}\n")
    contended.lose(1)
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/b") == "2"
    assert f"warning: {name}: " in two.ocuroot("fsck")


def test_a_name_that_a_shell_would_carry_out_is_quoted(contended: Contended) -> None:
    commit = contended.bare.git("rev-parse", "state")
    contended.bare.git("update-ref", f"{OUTBOX}state/x;touch${{IFS}}y", commit)
    (line,) = contended.clone("one").ocuroot("fsck").splitlines()
    assert line.endswith(f"git push <remote> --delete '{OUTBOX}state/x;touch${{IFS}}y'")


def test_an_outbox_that_is_full_of_what_nobody_can_make(contended: Contended) -> None:
    """Only so much of it is looked at, and the change of a writer that lies behind it is still his own to make."""
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    text = contended.text(left)
    contended.bare.git("update-ref", "-d", left)
    blob = contended.bare.git("rev-parse", contended.put({**text, "base": "1" * 40}, "0"))
    began = int((time.time() - 15) * 1000)
    names = [f"{OUTBOX}state/{began + number:012x}-{number:016x}" for number in range(300)]
    contended.bare.git("update-ref", "--stdin", input="".join(f"create {name} {blob}\n" for name in names))
    contended.lose(1)
    two.ocuroot("set", "+/custom/b", "2")
    assert (value(two, "+/custom/b"), contended.waited()) == ("2", 2)
    assert contended.waiting() == [f"{OUTBOX}state/0", *names]


def put_many(contended: Contended, content: object, began: float, count: int) -> list[str]:
    """Let the same wait under many names, of which the first began so many seconds ago."""
    made = contended.put(content)
    blob = contended.bare.git("rev-parse", made)
    contended.bare.git("update-ref", "-d", made)
    first = int((time.time() - began) * 1000)
    names = [f"{OUTBOX}state/{first + number:012x}-{number:016x}" for number in range(count)]
    contended.bare.git("update-ref", "--stdin", input="".join(f"create {name} {blob}\n" for name in names))
    return names


@pytest.mark.parametrize("what", ["no JSON", "unknown base", "no longer so"])
def test_nobody_waits_for_the_many_that_nobody_can_make(contended: Contended, what: str) -> None:
    """They were put there just now, before ours: whoever has lost a race still pushes next, and makes what is real."""
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "+/custom/a", "1")
    text = contended.text(left)
    if what == "no longer so":
        junk: object = {**text, "objects": dict.fromkeys(dict(text["objects"]), "1" * 40)}  # type: ignore[call-overload]
    else:
        junk = hostile(text, what)
    contended.bare.git("update-ref", "-d", left)
    names = put_many(contended, junk, 2, 300)
    two.git("remote", "add", "origin", contended.world.url())
    two.git("config", "ocuroot.state.remote", "origin")
    two.git("config", "remote.origin.uploadpack", "git-upload-pack")  # so that git looks, though it is on this machine
    contended.lose(1)
    done = two.run("set", "+/custom/b", "2", env={**os.environ, "GIT_TRACE_OCUROOT": "1"})
    assert done.returncode == 0, done.stderr
    looks = [line for line in done.stderr.splitlines() if "run: git" in line and " ls-remote " in line]
    assert len(looks) <= 1
    contended.put(text, f"{int(time.time() * 1000):012x}-{1:016x}")
    two.ocuroot("set", "+/custom/b", "3")
    assert (value(two, "+/custom/a"), value(two, "+/custom/b")) == ("1", "3")
    assert contended.waiting() == names


def test_what_has_waited_for_more_than_a_day_goes_with_the_next_write(contended: Contended) -> None:
    """But not by the clock of one writer alone, which may be wrong; and nothing goes that no writer has named."""
    two = contended.clone("two")
    hours = 25 * 3600
    names = put_many(contended, "{", hours, 3)
    foreign = contended.put("{", "0123")
    recent = put_many(contended, "{", hours - 2 * 3600, 1)
    days_ago = str(int(time.time()) - 2 * 24 * 3600)
    two.ocuroot("set", "+/custom/a", "1", env={**os.environ, "GIT_COMMITTER_DATE": f"{days_ago} +0000"})
    two.ocuroot("set", "+/custom/a", "2")
    assert contended.waiting() == sorted([foreign, *names, *recent])
    two.ocuroot("set", "+/custom/a", "3")
    assert contended.waiting() == sorted([foreign, *recent])
    contended.hook("update", 'case $3 in 00000*) echo "nothing goes"; exit 1;; esac\n')
    more = put_many(contended, "{", hours, 1)
    two.ocuroot("set", "+/custom/a", "4")
    assert contended.waiting() == sorted([foreign, *more, *recent])


def test_a_clock_that_is_hours_ahead_keeps_nobody_waiting(contended: Contended) -> None:
    """What was left by a writer with such a clock is made where it holds, and else passed over, and named."""
    one, two = contended.clone("one"), contended.clone("two")
    left = contended.leave(one, "set", "--if-absent", "+/custom/a", "1")
    text = contended.text(left)
    contended.bare.git("update-ref", "-d", left)
    hours = 5 * 3600
    contended.put({**text, "expires": int(time.time()) + hours}, f"{int((time.time() + hours) * 1000):012x}-1")
    two.ocuroot("set", "+/custom/b", "2")
    assert value(two, "+/custom/a") == "1"
    days = 50 * 24 * 3600
    never = contended.put({**text, "expires": int(time.time()) + days}, f"{int((time.time() + hours) * 1000):012x}-2")
    two.ocuroot("delete", "+/custom/a")
    contended.put({**text, "expires": int(time.time()) + hours}, f"{int((time.time() + hours) * 1000):012x}-3")
    pushes = contended.pushes()
    two.ocuroot("set", "+/custom/b", "3")
    assert (contended.pushes() - pushes, value(two, "+/custom/a")) == (1, None)
    assert f"warning: {never}: a change would wait here until " in two.ocuroot("fsck")
