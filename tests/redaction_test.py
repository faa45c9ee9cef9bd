"""Passwords and tokens: taken out of what people read, and in nothing that the program leaves behind (design 8)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from support.repositories import Repo

from ocuroot_git.errors import Fatal
from ocuroot_git.git.remote_access import RemoteLocation
from ocuroot_git.redaction import has_secret, learn, redact, without_secrets

SECRET = "s3cr3tv4lue"

URLS = [
    f"https://job:{SECRET}@127.0.0.1:1/r.git",
    f"https://job:a@{SECRET}@127.0.0.1:1/r.git",
    f"https://job:a'{SECRET}'b@127.0.0.1:1/r.git",
    f"https://job:{SECRET}/x@127.0.0.1:1/r.git",
    f"https://job:a?{SECRET}@127.0.0.1:1/r.git",
    f"https://{SECRET}@127.0.0.1:1/r.git",
    f"https://{SECRET}:x-oauth-basic@127.0.0.1:1/r.git",
    f"https://:{SECRET}@127.0.0.1:1/r.git",
    f"HTTPS://job:{SECRET}%40@127.0.0.1:1/r.git",
    f"http://[::1]:1/r.git?token={SECRET}",
    f"ssh://git:{SECRET}@127.0.0.1:1/r.git",
    f"https://127.0.0.1:1/{SECRET[:0]}r.git/?private_token={SECRET}",
    *(
        f"https://127.0.0.1:1/r.git?service=x&{name}={SECRET}"
        for name in (
            *("access_key", "sig", "private_token", "token", "password", "X-Amz-Signature", "X-Amz-Security-Token"),
            *("access_token", "api_key", "apikey", "client_secret", "jwt", "auth", "sas", "X-Goog-Credential", "Sig"),
        )
    ),
    f"https://127.0.0.1:1/r.git#access_token={SECRET}",
    f"https://127.0.0.1:1/r.git?a=b;sig={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_text_is_redacted(url: str) -> None:
    texts = (
        f"fatal: unable to access '{url}': The requested URL returned error: 403",
        f"fatal: unable to access '{url}/info/refs?service=git-upload-pack': no",
        f"{url}",
        f'("{url}", {url})',
        f"ssh: git:{SECRET}@host: Permission denied",
    )
    for text in texts:
        assert SECRET not in redact(text), redact(text)
        assert SECRET not in f"{Fatal(text, hint=text)}{Fatal(text).message}{Fatal('', hint=text).hint}"
    assert "127.0.0.1" in redact(texts[0]) or "[::1]" in redact(texts[0])
    assert redact(texts[0]).endswith("': The requested URL returned error: 403")


@pytest.mark.parametrize("before", ["é", "__", "x" * 70, "1+", "(", "a=", "http://h/"])
def test_a_url_is_redacted_whatever_is_written_before_it(before: str) -> None:
    shown = redact(f"{before}https://job:{SECRET}@127.0.0.1:1/r.git")
    assert SECRET not in shown and shown.startswith(before) and shown.endswith("@127.0.0.1:1/r.git")


@pytest.mark.parametrize("url", URLS)
def test_a_name_holds_no_secret(url: str) -> None:
    assert SECRET not in without_secrets(url)
    assert has_secret(url)
    other = url.replace(SECRET, "an0ther")
    assert SECRET not in RemoteLocation(url, "state", support_files={}).directory()
    if "/x@" not in url and "a?" not in url:
        assert (
            RemoteLocation(url, "state", support_files={}).directory()
            == RemoteLocation(other, "state", support_files={}).directory()
        )


def test_what_is_no_secret_stays() -> None:
    for text in (
        "fatal: unable to access 'https://example.com:8443/a/b.git/': Could not resolve host: example.com",
        "cannot reach 'https://example.com/a@v1/b'",
        "see https://example.com/x/-/merge_requests/new?source_branch=state",
        "the branch at 'git@example.com:a/b.git' was moved",
        "ssh://git@example.com/a.git",
        "bad ref 'a@b': segment 'a@b'",
        "http://[::1]:8080/x is refused",
        "no such document: '@/custom/keys#a=b'",
    ):
        assert redact(text) == text
    assert not has_secret("https://example.com/a.git?project=1")
    assert not has_secret("ssh://git@example.com/a.git")


def test_two_urls_are_never_one_name() -> None:
    urls = [
        "https://example.com/a",
        "https://example.com/b",
        "https://example.com/a?project=1",
        "https://example.com/a?project=2",
        "ssh://ann@example.com/~/a",
        "ssh://bob@example.com/~/a",
    ]
    assert len({RemoteLocation(url, "state", support_files={}).directory() for url in urls}) == len(urls)


def test_a_known_secret_is_redacted_wherever_it_stands() -> None:
    learn("https://job:kn0wn%2Fpass@example.com/")
    assert redact("remote: bad password kn0wn/pass, or kn0wn%2Fpass") == "remote: bad password ***, or ***"
    learn("X-Api-Key: kn0wnk3y")
    learn("https://example.com/r.git?project=hidden")
    assert redact("no kn0wnk3y at https://example.com/r.git?project=hidden/info") == (
        "no *** at https://example.com/r.git?project=***/info"
    )


def test_long_texts_take_no_long_time() -> None:
    for piece in ("a", "a:b,", "key", "key=''", "x://", "x://a:b", "token:", "@", "a@b:", "-"):
        before = time.process_time()
        redact(piece * (100_000 // len(piece)) + "=@:")
        assert time.process_time() - before < 3, piece


def left_behind(repo: Repo) -> dict[str, bytes]:
    """Every file below `.git`, and every object in it and in the tool's own repositories."""
    found = {str(path): path.read_bytes() for path in (repo.path / ".git").rglob("*") if path.is_file()}
    names = [str(path.relative_to(repo.path)) for path in (repo.path / ".git").rglob("*")]
    for git_dir in (repo.path / ".git", *(repo.path / ".git" / "ocuroot").glob("*.git")):
        objects = ["cat-file", "--batch", "--batch-all-objects", "--unordered"]
        found[f"objects of {git_dir}"] = repo.git(f"--git-dir={git_dir}", *objects, errors="replace").encode()
    return {**found, "names": "\n".join(names).encode()}


WAYS: list[Callable[[Repo, str], dict[str, str]]] = [
    lambda _, url: {"OCUROOT_STATE": f"{url}{'%23' if '#' in url else ''}"},
    lambda _, url: {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "ocuroot.state.remote", "GIT_CONFIG_VALUE_0": url},
    lambda _, url: {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "remote.origin.url", "GIT_CONFIG_VALUE_0": url},
    lambda _, url: {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{url}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://short/",
        "GIT_CONFIG_KEY_1": "remote.origin.url",
        "GIT_CONFIG_VALUE_1": "https://short/r.git",
    },
]


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("url", [URLS[1], URLS[2], URLS[12]])
def test_nothing_that_is_left_behind_holds_a_secret(store: Repo, url: str, way: int) -> None:
    variables = WAYS[way](store, url.replace("https://", "http://"))
    environ = {**os.environ, **variables, "GIT_TRACE_OCUROOT": "1", "GIT_ALLOW_PROTOCOL": "http:https"}
    environ["GIT_CONFIG_COUNT"] = str(int(environ.get("GIT_CONFIG_COUNT", "0")) + 1)
    number = int(environ["GIT_CONFIG_COUNT"]) - 1
    environ |= {f"GIT_CONFIG_KEY_{number}": "ocuroot.timeout", f"GIT_CONFIG_VALUE_{number}": "0.2"}
    remote = (("set", "+/custom/x", "1"), ("status", "--json"))
    shared = (("status",), ("release", "new", "p", "--package", "-"), ("push",), ("fetch", url))
    for words in remote if way < 2 else shared:
        done = store.run(*words, env=environ, input='{"phases": []}')
        for text in (done.stdout, done.stderr):
            assert SECRET not in text, (words, text)
    found = left_behind(store)
    assert not {name for name, data in found.items() if SECRET.encode() in data}
