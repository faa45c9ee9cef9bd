"""What git and its servers say, recorded, and the class each is put in: retry, stop, login or policy (design 8.6)."""

from __future__ import annotations

import pytest

from ocuroot_git.git.failures import (
    KINDS,
    classify_atomic_push,
    classify_push,
    classify_transfer,
    parse_push,
    summarize_stderr,
)
from ocuroot_git.redaction import redact

BRANCH = "refs/heads/state"


def rejected(summary: str, reason: str) -> str:
    return f"To https://example.com/r.git\n!\tabc123:{BRANCH}\t[{summary}] ({reason})\nDone\n"


REJECTIONS = [
    ("rejected", "fetch first", "retry"),
    ("rejected", "non-fast-forward", "retry"),
    ("rejected", "stale info", "retry"),
    ("rejected", "already exists", "retry"),
    ("rejected", "zuerst anfordern", "retry"),  # git's own comparison counts, in whatever language it is put
    ("rejected", "récupérer d'abord", "retry"),
    ("remote rejected", "cannot lock ref 'refs/heads/state': is at 1a but expected 2b", "retry"),
    ("remote rejected", "cannot lock ref 'refs/heads/state': reference already exists", "retry"),
    ("remote rejected", "failed to update ref", "retry"),
    ("remote rejected", "failed to lock", "retry"),
    ("remote rejected", "incorrect old value provided", "retry"),
    ("remote rejected", "reference already exists", "retry"),
    ("remote rejected", "non-fast-forward", "retry"),
    ("remote rejected", "stale info", "retry"),
    ("remote rejected", "Unable to create '/srv/r.git/refs/heads/state.lock': File exists.", "retry"),
    ("remote rejected", "Internal Server Error", "retry"),
    ("remote failure", "remote failed to report status", "retry"),
    ("remote rejected", "pre-receive hook declined", "policy"),
    ("remote rejected", "update hook declined", "policy"),
    ("remote rejected", "hook declined", "policy"),
    ("remote rejected", "protected branch hook declined", "policy"),
    ("remote rejected", "push declined due to repository rule violations", "policy"),
    ("remote rejected", "push declined due to email privacy restrictions", "policy"),
    ("remote rejected", "You are not allowed to push code to protected branches on this project.", "policy"),
    ("remote rejected", "prohibited by Gerrit: not permitted: update", "policy"),
    ("remote rejected", "TF402455: Pushes to this branch are not permitted; you must use a pull request", "policy"),
    ("remote rejected", "denying non-fast-forward refs/heads/state (you should pull first)", "policy"),
    ("remote rejected", "branch is currently checked out", "policy"),
    ("remote rejected", "deletion prohibited", "policy"),
    ("remote rejected", "repository is over its quota", "policy"),
    ("remote rejected", "shallow update not allowed", "policy"),
    ("remote rejected", "permission denied", "policy"),
    ("remote rejected", "read-only", "policy"),
    ("remote rejected", "etwas, das niemand kennt", "stop"),  # a retry only where the tip moved
]


@pytest.mark.parametrize(("summary", "reason", "handling"), REJECTIONS)
def test_a_rejection_is_put_in_its_class(summary: str, reason: str, handling: str) -> None:
    kind = classify_push(1, rejected(summary, reason), "error: failed to push some refs", BRANCH)
    assert kind is not None
    assert KINDS[kind].handling == handling


TRANSFERS = [
    ("fatal: Authentication failed for 'https://example.com/r.git/'", "login"),
    ("fatal: could not read Username for 'https://example.com': terminal prompts disabled", "login"),
    ("git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.", "login"),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", "login"),
    ("fatal: unable to access 'https://example.com/': The requested URL returned error: 403", "login"),
    ("remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://x/'", "login"),
    ("fatal: remote error: access denied or repository not exported: /r.git", "stop"),
    ("remote: Repository not found.\nfatal: repository 'https://example.com/r.git/' not found", "stop"),
    ("fatal: '/srv/r.git' does not appear to be a git repository\nfatal: Could not read from remote", "stop"),
    ("remote: The project you were looking for could not be found or you don't have permission to view it.", "stop"),
    ("fatal: unable to access 'https://nowhere/': Could not resolve host: nowhere", "retry"),
    ("fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection refused", "retry"),
    ("fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused", "retry"),
    ("fatal: the remote end hung up unexpectedly\nfatal: early EOF\nfatal: index-pack failed", "retry"),
    ("error: RPC failed; curl 18 transfer closed with outstanding read data remaining", "retry"),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 503", "retry"),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 429", "retry"),
    ("fatal: protocol error: unheard of", "stop"),
]


@pytest.mark.parametrize(("words", "handling"), TRANSFERS)
def test_a_failed_transfer_is_put_in_its_class(words: str, handling: str) -> None:
    assert KINDS[classify_transfer(words)].handling == handling
    assert KINDS[classify_push(128, "", words, BRANCH) or ""].handling == handling


def test_a_push_that_was_done_is_no_failure() -> None:
    done = f"To /srv/r.git\n \tabc:{BRANCH}\tabc123..def456\nDone\n"
    made = f"To /srv/r.git\n*\tabc:{BRANCH}\t[new branch]\nDone\n"
    same = f"To /srv/r.git\n=\tabc:{BRANCH}\t[up to date]\nDone\n"
    assert [classify_push(0, out, "", BRANCH) for out in (done, made, same)] == [None, None, None]


def test_a_push_that_ended_without_a_word_may_have_been_sent() -> None:
    sent = "Enumerating objects: 3, done.\nWriting objects: 100% (3/3), 240 bytes, done.\n"
    assert classify_push(-9, "", "", BRANCH) == "cut"
    assert classify_push(128, "", f"{sent}error: words that nobody knows", BRANCH) == "cut"
    assert classify_push(128, "", "error: words that nobody knows", BRANCH) == "other"


def test_a_push_that_had_no_answer_leaves_open_what_happened() -> None:
    assert classify_push(None, "", "", BRANCH) == "silent"
    assert classify_push(0, "", "fatal: the remote end hung up unexpectedly", BRANCH) == "cut"


@pytest.mark.parametrize(
    ("branch", "other", "err", "kind"),
    [
        ("[rejected] (fetch first)", "[rejected] (atomic push failed)", "", "race"),
        ("[rejected] (atomic push failed)", "[rejected] (stale info)", "", "race"),
        ("[remote rejected] (atomic transaction failed)", "[remote rejected] (atomic transaction failed)", "", "race"),
        (
            "[remote rejected] (atomic transaction failed)",
            "[remote rejected] (atomic transaction failed)",
            "remote: error: cannot lock ref 'x': Unable to create 'x.lock': File exists.",
            "locked",
        ),
        ("[remote rejected] (atomic push failure)", "[remote rejected] (hook declined)", "", "not together"),
        ("[remote rejected] (hook declined)", "[remote rejected] (atomic push failure)", "", "policy"),
        (
            "[remote rejected] (pre-receive hook declined)",
            "[remote rejected] (pre-receive hook declined)",
            "",
            "policy",
        ),
    ],
)
def test_a_push_of_several_references(branch: str, other: str, err: str, kind: str) -> None:
    """What git 2.39 and its server say where all are to be moved or none, and one cannot be."""
    out = f"To x\n!\t1:{BRANCH}\t{branch}\n!\t:refs/other\t{other}\nDone\n"
    assert classify_atomic_push(1, out, err, BRANCH) == kind


def test_a_server_that_cannot_move_several_references_at_once() -> None:
    err = "fatal: the receiving end does not support --atomic push\nfatal: the remote end hung up unexpectedly\n"
    assert classify_atomic_push(128, "", err, BRANCH) == "not together"
    assert classify_atomic_push(None, "", "", BRANCH) == "silent"


def test_only_the_line_of_the_branch_counts() -> None:
    out = f"To x\n!\ta:refs/heads/state2\t[rejected] (fetch first)\n \tb:{BRANCH}\t1..2\nDone\n"
    answer = parse_push(out, BRANCH)
    assert answer is not None
    assert (answer.flag, answer.summary, answer.reason) == (" ", "1..2", "")
    assert parse_push("nonsense\n\t\t\n!!\tx\ty", BRANCH) is None


def test_passwords_do_not_reach_messages() -> None:
    said = redact("fatal: https://job:s3cret@example.com/r.git: Authorization: Basic czNjcmV0, token=s3cret&x=1")
    assert "s3cret" not in said
    assert "czNjcmV0" not in said
    assert "example.com/r.git" in said


SSH = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"
DECIDING = [
    (
        "git@example.com: Permission denied (publickey).\n" + SSH,
        "login",
        "git@example.com: Permission denied (publickey).",
    ),
    (
        "@@@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n" + SSH,
        "host key",
        "Host key verification failed.",
    ),
    (
        "ssh: connect to host example.com port 22: Connection refused\n" + SSH,
        "unreachable",
        "ssh: connect to host example.com port 22: Connection refused",
    ),
    (
        "error: cannot run nossh: No such file or directory\nfatal: unable to fork",
        "no program",
        "cannot run nossh: No such file or directory",
    ),
    ("sh: 1: nossh: not found\n" + SSH, "no program", "sh: 1: nossh: not found"),
    (
        "git: 'remote-foo' is not a git command. See 'git --help'.\n\nThe most similar command is\n\tremote-ftp",
        "no program",
        "git: 'remote-foo' is not a git command. See 'git --help'.",
    ),
    (
        "fatal: unable to access 'https://x/': The requested URL returned error: 503",
        "busy",
        "unable to access 'https://x/': The requested URL returned error: 503",
    ),
    (
        "error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\n"
        "fatal: the remote end hung up unexpectedly",
        "busy",
        "HTTP 503",
    ),
    (
        "remote: Enumerating objects: 9, done.\rremote: Counting objects: 100% (9/9), done.\n"
        "error: RPC failed; curl 18 transfer closed\nfatal: early EOF",
        "cut",
        "RPC failed; curl 18 transfer closed",
    ),
    ("fatal: remote error: no such repository: /r.git", "no repository", "no such repository: /r.git"),
    ("ERROR: Permission to a/b.git denied to ann.\n" + SSH, "login", "denied to ann"),
    ("error: cannot lock ref 'refs/remotes/origin/state': is at 1 but expected 2", "locked", "is at 1 but expected 2"),
]


@pytest.mark.parametrize(("words", "kind", "deciding"), DECIDING)
def test_the_line_that_decides_is_kept_and_the_chatter_is_not(words: str, kind: str, deciding: str) -> None:
    assert classify_transfer(words) == kind
    said = summarize_stderr(words, kind)
    assert said.startswith(deciding) or deciding in said.partition(" / ")[0], said
    assert "Counting" not in said
    assert "correct access rights" not in said
    assert "Could not read from" not in said


def test_the_line_that_decides_is_kept_behind_many_others() -> None:
    banner = "".join(f"remote: line {number} of the greeting\n" for number in range(40))
    assert "returned error: 403" in summarize_stderr(
        banner + "fatal: unable to access 'x': returned error: 403", "login"
    )
