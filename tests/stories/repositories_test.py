"""Where the repository is found, which ones cannot be used and why, and what configuration says about the stores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.faults import refused
from support.program import run_program
from support.repositories import Repo

VALUE = '"here"\n'
READ = ("get", "+/custom/where")


@pytest.fixture
def marked(store: Repo) -> Repo:
    """A repository with a store that holds one intent."""
    store.ocuroot("set", "+/custom/where", "here")
    return store


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, **variables}


# Found


def test_in_a_subdirectory_and_inside_git(marked: Repo) -> None:
    deep = marked.path / "a" / "b"
    deep.mkdir(parents=True)
    for directory in (deep, marked.path / ".git", marked.path / ".git" / "objects"):
        assert run_program(*READ, cwd=directory).stdout == VALUE, directory
        assert run_program("set", "+/custom/from", str(directory), cwd=directory).returncode == 0
        assert marked.value("+/custom/from") == str(directory)
    assert marked.git("status", "--porcelain") == ""


def test_by_the_options_of_git(marked: Repo, tmp_path: Path) -> None:
    outside = Repo(tmp_path)
    ceiling = environment(GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert outside.git("-C", "repo", "ocuroot", *READ, env=ceiling) == VALUE.strip()
    assert outside.git("--git-dir", "repo/.git", "ocuroot", *READ, env=ceiling) == VALUE.strip()
    outside.git("--git-dir=repo/.git", "ocuroot", "set", "+/custom/x", "1", env=ceiling)
    assert marked.value("+/custom/x") == "1"
    assert outside.git("ocuroot", *READ, check=False, env=ceiling) == ""


def test_by_git_dir_relative_or_not(marked: Repo, tmp_path: Path) -> None:
    marked.git("config", "user.name", "Its Own")
    for number, git_dir in enumerate(("repo/.git", str(marked.path / ".git"), "../repo/.git")):
        cwd = tmp_path / "elsewhere" if git_dir.startswith("..") else tmp_path
        cwd.mkdir(exist_ok=True)
        done = run_program("set", "+/custom/x", str(number), cwd=cwd, env=environment(GIT_DIR=git_dir))
        assert (done.returncode, done.stderr) == (0, ""), git_dir
        assert marked.git("log", "-1", "--format=%an %cn", "state") == "Its Own Its Own"
        assert marked.value("+/custom/x") == str(number)


def test_git_dir_that_is_none(marked: Repo) -> None:
    refused(marked.run(*READ, env=environment(GIT_DIR="nowhere")), "not a git repository: 'nowhere'")


def test_init_by_git_dir(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    made = make_repo("made")
    done = run_program("init", cwd=tmp_path, env=environment(GIT_DIR="made/.git"))
    assert (done.returncode, done.stderr) == (0, "Made a store on branch 'state'\n")
    assert made.git("config", "ocuroot.state.branch") == "state"


def test_bare(make_repo: Callable[..., Repo]) -> None:
    bare = make_repo("bare.git", "--bare")
    bare.ocuroot("init", "-q")
    bare.ocuroot("set", "+/custom/where", "here")
    assert run_program(*READ, cwd=bare.path / "objects").stdout == VALUE


def test_bare_repositories_may_be_explicit_only(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    bare = make_repo("bare.git", "--bare")
    bare.ocuroot("init", "-q")
    bare.ocuroot("set", "+/custom/where", "here")
    bare.git("config", "--global", "safe.bareRepository", "explicit")
    try:
        path = os.path.realpath(bare.path)
        message = f"cannot use bare repository '{path}' (safe.bareRepository is 'explicit')"
        refused(bare.run(*READ), message, f"name it: git --git-dir '{path}' ocuroot …")
        assert run_program(*READ, cwd=tmp_path, env=environment(GIT_DIR=str(bare.path))).stdout == VALUE
        not_bare = make_repo("other")
        not_bare.ocuroot("init", "-q")
        assert run_program("match", "**", cwd=not_bare.path / ".git").returncode == 0
    finally:
        bare.git("config", "--global", "--unset", "safe.bareRepository")


def test_linked_worktree(marked: Repo, tmp_path: Path) -> None:
    marked.git("commit", "-q", "--allow-empty", "-m", "code")
    linked = Repo(tmp_path / "linked")
    marked.git("worktree", "add", "-q", str(linked.path))
    assert linked.run(*READ).stdout == VALUE
    linked.ocuroot("set", "+/custom/where", "there")
    assert marked.value("+/custom/where") == "there"
    assert marked.git("reflog", "-1", "--format=%gs", "state") == "ocuroot: set +/custom/where"


def test_alternates(marked: Repo, make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    marked.git("clone", "-q", "--shared", "--no-checkout", "-b", "state", ".", str(tmp_path / "shared"))
    shared = Repo(tmp_path / "shared")
    shared.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert shared.run(*READ).stdout == VALUE
    shared.ocuroot("set", "+/custom/x", "1")
    assert shared.git("fsck") == ""
    other = make_repo("other")
    lent = environment(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(marked.path / ".git" / "objects"))
    other.git("update-ref", "refs/heads/state", marked.git("rev-parse", "state"), env=lent)
    assert other.run(*READ, env=lent).stdout == VALUE


def test_the_library_in_another_directory(marked: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ocuroot_git

    monkeypatch.chdir(tmp_path)
    marked.git("config", "user.name", "Its Own")
    stores = ocuroot_git.open("repo")
    assert stores.get("+/custom/where") == "here"
    stores.set("+/custom/where", "there")
    assert marked.git("log", "-1", "--format=%an", "state") == "Its Own"


def test_shallow_clone(marked: Repo, tmp_path: Path) -> None:
    marked.ocuroot("set", "+/custom/x", "1")
    marked.git(
        "clone",
        "-q",
        "--depth=1",
        "--no-checkout",
        "--branch",
        "state",
        f"file://{marked.path}",
        str(tmp_path / "shallow"),
    )
    shallow = Repo(tmp_path / "shallow")
    shallow.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert shallow.run(*READ).stdout == VALUE
    shallow.ocuroot("set", "+/custom/y", "1")
    assert shallow.git("rev-list", "--count", "state", "--") == "2"
    assert shallow.git("fsck") == ""
    log = shallow.run("log", "--json")
    assert (log.returncode, len(log.stdout.splitlines())) == (0, 2), log.stderr


# Refused


def test_another_owner(marked: Repo, sealed_home: Path) -> None:
    if os.getuid() == 0:
        for directory, _, names in os.walk(marked.path):
            for name in ("", *names):
                os.lchown(os.path.join(directory, name), 65534, 65534)
    else:
        marked.git("config", "core.worktree", "/usr")  # which is not ours
    done = marked.run(*READ)
    owned = marked.path if os.getuid() == 0 else "/usr"
    message = f"detected dubious ownership in repository at '{owned}'"
    refused(done, message, f"to trust it: git config --global --add safe.directory '{owned}'")
    before = (sealed_home / ".gitconfig").read_text()
    try:
        Repo(sealed_home).git("config", "--global", "--add", "safe.directory", str(owned))
        assert marked.run(*READ).stdout == VALUE
    finally:
        (sealed_home / ".gitconfig").write_text(before)


def test_sha256(make_repo: Callable[..., Repo]) -> None:
    repo = make_repo("sha256", "--object-format=sha256")
    refused(
        repo.run(*READ),
        "the repository uses another object format than SHA-1 (unknown object format 'sha256'), "
        "which libgit2 cannot read",
        "keep the state in a repository made with 'git init --object-format=sha1'",
    )


def test_reftable(repo: Repo) -> None:
    # As git 2.45 makes it, and as older ones make it by hand.
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", "extensions.refStorage", "reftable")
    refused(
        repo.run(*READ),
        "the repository keeps its references in another format (extensions.refStorage), which libgit2 cannot read",
        "convert it: git refs migrate --ref-format=files",
    )


def test_unknown_extension(repo: Repo) -> None:
    repo.git("config", "core.repositoryFormatVersion", "1")
    repo.git("config", "extensions.compatObjectFormat", "sha256")
    message = "the repository uses an extension that libgit2 does not know: extensions.compatobjectformat"
    refused(repo.run(*READ), message)


def test_partial_clone_extension(marked: Repo) -> None:
    marked.git("config", "core.repositoryFormatVersion", "1")
    marked.git("config", "extensions.partialClone", "origin")
    assert marked.run(*READ).stdout == VALUE
    assert marked.run("set", "+/custom/x", "1").stderr == ""


@pytest.mark.parametrize(("filter", "what"), [("blob:none", "blob"), ("tree:0", "the tree of commit")])
def test_a_partial_clone_says_what_it_lacks(marked: Repo, tmp_path: Path, filter: str, what: str) -> None:
    """Of a branch in the user's repository nothing is fetched in passing; what gets it is named, and works."""
    marked.git("config", "uploadpack.allowFilter", "true")
    marked.git("clone", "-q", "--no-checkout", f"--filter={filter}", marked.path.as_uri(), str(tmp_path / "partial"))
    partial = Repo(tmp_path / "partial")
    partial.git("branch", "state", "origin/state")
    for words in (READ, ["match", "**"], ["set", "+/custom/x", "1"]):
        done = partial.run(*words)
        assert (done.returncode, done.stdout) == (128, "")
        fault, hint = done.stderr.splitlines()
        assert fault.startswith(f"fatal: cannot read {what} ") and fault.endswith(
            ": it was left out of this partial clone"
        )
        assert hint == "hint: to get what is missing: git fetch --refetch --no-filter <remote> <branch>"
    partial.git("fetch", "-q", "--refetch", "--no-filter", "origin", "state")
    assert partial.run(*READ).stdout == VALUE
    partial.ocuroot("set", "+/custom/x", "1")


def test_configuration_that_git_cannot_read(marked: Repo) -> None:
    (marked.path / ".git" / "config").write_text("[core\n")
    done = marked.run(*READ)
    assert done.returncode == 128
    assert done.stderr.startswith("fatal: ") and done.stderr.count("fatal: ") == 1, done.stderr
    assert "config" in done.stderr


# Configuration: each of these names a store, all of them together in the order of their precedence


def make_stores(repo: Repo, *branches: str) -> None:
    for branch in branches:
        repo.ocuroot("init", "-q", "--branch", branch)
        repo.ocuroot("set", "+/custom/where", branch)
    repo.git("config", "--remove-section", "ocuroot.state")


def where(repo: Repo, *options: str, env: dict[str, str] | None = None) -> object:
    """The branch that is read."""
    return repo.git(*options, "ocuroot", "get", "--format=raw", "+/custom/where", env=env or dict(os.environ))


def test_precedence(repo: Repo, sealed_home: Path) -> None:
    make_stores(repo, "state", "starred", "configured", "included", "counted", "given", "environment")
    assert where(repo) == "state"
    (repo.path / "repo.ocu.star").write_text('store.set(store.git(".", branch="starred"))\n')
    done = repo.run(*READ)
    assert done.returncode == 128 or done.stdout == '"starred"\n'
    (repo.path / "repo.ocu.star").write_text('store.set(store.fs("files"))\n')
    repo.git("-c", "ocuroot.state.branch=starred", "ocuroot", "export", "-q", "files")
    assert where(repo) == "starred"
    repo.git("config", "ocuroot.state.branch", "configured")
    assert where(repo) == "configured"
    (repo.path / ".git" / "more").write_text('[ocuroot "state"]\n\tbranch = included\n')
    repo.git("config", "include.path", "more")
    assert where(repo) == "included"
    counted = environment(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="ocuroot.state.branch", GIT_CONFIG_VALUE_0="counted")
    assert where(repo, env=counted) == "counted"
    assert where(repo, "-c", "ocuroot.state.branch=given", env=counted) == "given"
    named = {**counted, "OCUROOT_STATE": "#environment"}
    assert where(repo, "-c", "ocuroot.state.branch=given", env=named) == "environment"
    assert where(repo, env=environment(OCUROOT_STATE="")) == "included"


def test_conditional_include(repo: Repo, sealed_home: Path) -> None:
    make_stores(repo, "state", "there")
    before = (sealed_home / ".gitconfig").read_text()
    try:
        (sealed_home / "there").write_text('[ocuroot "state"]\n\tbranch = there\n')
        pattern = f"gitdir:{os.path.realpath(repo.path)}/"
        repo.git("config", "--global", f"includeIf.{pattern}.path", str(sealed_home / "there"))
        assert where(repo) == "there"
    finally:
        (sealed_home / ".gitconfig").write_text(before)


def test_the_environment_names_branches_directories_and_no_nonsense(repo: Repo) -> None:
    make_stores(repo, "state", "other")
    assert where(repo, env=environment(OCUROOT_STATE="other")) == "other"
    assert where(repo, env=environment(OCUROOT_INTENT="#other")) == "other"
    repo.git("-c", "ocuroot.state.branch=other", "ocuroot", "export", "-q", "files")
    assert where(repo, env=environment(OCUROOT_STATE="./files")) == "other"
    assert where(repo, env=environment(OCUROOT_STATE=str(repo.path / "files"))) == "other"
    done = repo.run(*READ, env=environment(OCUROOT_STATE="nowhere#other"))
    refused(done, "bad value 'nowhere#other' for OCUROOT_STATE: 'nowhere' is neither a URL, a remote nor a path")
    done = repo.run(*READ, env=environment(OCUROOT_STATE="./nowhere"))
    message = f"no store: there is no directory '{repo.path / 'nowhere'}'"
    refused(done, message, "'git ocuroot init' makes one")


def test_intent_apart_from_state(repo: Repo) -> None:
    repo.ocuroot("init", "-q", "--branch", "is", "--intent-branch", "wanted")
    repo.ocuroot("set", "+/custom/x", "1")
    repo.ocuroot("update", "--stdin", input="set @/custom/x 2\n")
    assert [repo.git("rev-list", "--count", branch, "--") for branch in ("is", "wanted")] == ["2", "2"]
    assert repo.ocuroot("match", "**") == "+/custom/x\n@/custom/x"
    assert repo.ocuroot("match", "--state", "**") == "@/custom/x"
    done = repo.run("update", "--stdin", input="set @/custom/x 3\nset +/custom/x 3\n")
    message = "a transaction cannot change the state store and the intent store, which lie in two places"
    refused(done, message, "change them one after the other")


def test_a_directory_within_the_branch(repo: Repo) -> None:
    repo.git("config", "ocuroot.state.prefix", "delivery/state/")
    repo.ocuroot("init", "-q")
    repo.ocuroot("set", "+/custom/x", "1")
    assert repo.git("ls-tree", "-r", "--name-only", "state").split() == [
        "delivery/state/.ocuroot-store",
        "delivery/state/refs/+/custom/x/@object.json",
    ]
    assert repo.value("+/custom/x") == "1"
    assert repo.ocuroot("fsck", "-q") == ""


@pytest.mark.parametrize("key", ["branch", "path"])
def test_directories_within_a_store_are_made_when_they_are_missing(repo: Repo, key: str) -> None:
    repo.git("config", f"ocuroot.state.{key}", "kept")
    repo.git("config", "ocuroot.state.prefix", "delivery/state")
    what = "branch 'kept'" if key == "branch" else f"directory '{repo.path / 'kept'}'"
    for said in (f"Made a store on {what}\n", f"There is a store already on {what}\n"):
        done = repo.run("init")
        assert (done.returncode, done.stderr) == (0, said)
    repo.ocuroot("set", "+/custom/x", "1")
    repo.git("config", f"ocuroot.intent.{key}", "kept")
    repo.git("config", "ocuroot.intent.prefix", "delivery/wanted")
    missing = f"{what} has no directory 'delivery/wanted'"
    refused(repo.run("set", "+/custom/y", "1"), missing, "'git ocuroot init' makes a store")
    for said in (f"Made a store on {what}\n", f"There is a store already on {what}\n"):
        done = repo.run("init")
        assert (done.returncode, done.stderr) == (0, said)
    repo.ocuroot("set", "+/custom/y", "1")
    assert (repo.ocuroot("match", "--intent", "**"), repo.ocuroot("fsck", "-q")) == ("+/custom/y", "")
    repo.git("config", "ocuroot.intent.prefix", "delivery/state/refs")
    message = f"{what}, directory 'delivery/state/refs' exists, and is no store: it has no '.ocuroot-store'"
    done = repo.run("init")
    assert done.returncode == 128 and done.stderr.startswith(f"fatal: {message}\n")


def test_a_store_of_files_needs_no_repository(marked: Repo, tmp_path: Path) -> None:
    marked.ocuroot("export", "-q", str(tmp_path / "files"))
    outside = tmp_path / "outside"
    outside.mkdir()
    variables = environment(OCUROOT_STATE="../files", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert run_program(*READ, cwd=outside, env=variables).stdout == VALUE
    assert run_program("set", "+/custom/x", "1", cwd=outside, env=variables).stderr == ""
    assert run_program("match", "**", cwd=outside, env=variables).stdout == "+/custom/where\n+/custom/x\n"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("ocuroot.timeout", "soon", "bad value 'soon' for 'ocuroot.timeout': it is a number of seconds"),
        ("commit.gpgSign", "perhaps", "bad boolean config value 'perhaps' for 'commit.gpgSign'"),
    ],
)
def test_values_of_the_wrong_kind(marked: Repo, key: str, value: str, message: str) -> None:
    marked.git("config", key, value)
    refused(marked.run("set", "+/custom/x", "1"), message)
    assert marked.run(*READ).stdout == VALUE


def test_a_branch_name_that_is_none(repo: Repo) -> None:
    repo.git("config", "ocuroot.state.branch", "a..b")
    for words in (READ, ("set", "+/custom/x", "1"), ("init",)):
        done = repo.run(*words)
        assert (done.returncode, done.stdout) == (128, ""), words
        assert "a..b" in done.stderr and done.stderr.startswith("fatal: "), done.stderr
        assert "unexpected" not in done.stderr


# The name of this repository


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/example/shop.git", "github.com/example/shop"),
        ("https://user:secret@github.com/example/shop", "github.com/example/shop"),
        ("https://github.com:8443/example/shop/", "github.com:8443/example/shop"),
        ("git@github.com:example/shop.git", "github.com/example/shop"),
        ("ssh://git@github.com/example/shop.git", "github.com/example/shop"),
        ("ssh://git@github.com:22/example/shop.git", "github.com:22/example/shop"),
        ("file:///srv/git/shop.git", "srv/git/shop"),
        ("/srv/git/shop.git", "srv/git/shop"),
        ("../shop.git", "my.repo"),
    ],
)
def test_the_name_comes_from_origin(make_repo: Callable[..., Repo], url: str, name: str) -> None:
    repo = make_repo("my.repo")
    repo.git("remote", "add", "origin", url)
    repo.ocuroot("init", "-q", "--offline")
    assert repo.ocuroot("resolve", "//x/@1") == f"{name}/-/x/@1"


def test_the_name_comes_from_the_alias_first(marked: Repo) -> None:
    assert marked.ocuroot("resolve", "//x/@1") == "repo/-/x/@1"
    marked.git("remote", "add", "origin", "https://example.com/a")
    marked.git("config", "--unset", "ocuroot.repoAlias")  # else it would keep its name
    assert marked.ocuroot("resolve", "//x/@1") == "example.com/a/-/x/@1"
    (marked.path / "repo.ocu.star").write_text('repo_alias("starred")\n')
    assert marked.ocuroot("resolve", "//x/@1") == "starred/-/x/@1"
    assert marked.git("-c", "ocuroot.repoAlias=mine/own", "ocuroot", "resolve", "./-/x/@1") == "mine/own/-/x/@1"
    what = "the name in ocuroot.repoAlias is none: bad ref"
    hint = "give it one: git config ocuroot.repoAlias <name>"
    for alias, why in (
        ("b@d", "segment 'b@d': '@' cannot stand inside a segment of a repo or path"),
        ("b/-/d", "segment '-': it ends a repository's name"),  # refs would show 'b' alone
        ("b/-", "segment '-': it ends a repository's name"),
    ):
        marked.git("config", "ocuroot.repoAlias", alias)
        refused(marked.run("resolve", "//x/@1"), f"{what} '{alias}/-': {why}", hint)


def test_the_name_of_a_directory(make_repo: Callable[..., Repo], tmp_path: Path) -> None:
    bare = make_repo("shop.git", "--bare")
    bare.ocuroot("init", "-q")
    assert bare.ocuroot("resolve", "//x/@1") == "shop/-/x/@1"
    deep = tmp_path / "work" / "deep"
    deep.mkdir(parents=True)
    Repo(tmp_path / "work").git("init", "-q")
    Repo(tmp_path / "work").ocuroot("init", "-q")
    assert run_program("resolve", "//x/@1", cwd=deep).stdout == "work/-/x/@1\n"
    shutil.move(tmp_path / "work", tmp_path / "a@b")
    moved = Repo(tmp_path / "a@b")
    assert moved.ocuroot("resolve", "//x/@1") == "work/-/x/@1"
    moved.git("config", "--unset", "ocuroot.repoAlias")
    refused(
        moved.run("resolve", "//x/@1"),
        "no name can be made of the directory's, 'a@b': "
        "bad ref 'a@b/-': segment 'a@b': '@' cannot stand inside a segment of a repo or path",
        "give it one: git config ocuroot.repoAlias <name>",
    )
