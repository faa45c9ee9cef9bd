"""Git objects as they are given, however wrong, and their way into the branch of a store."""

from __future__ import annotations

import subprocess

from .repositories import Repo

DOCUMENT = '{"kind": "ref", "body": "evil"}'


def write_object(repo: Repo, kind: str, data: bytes) -> str:
    """Write an object as it is, however wrong; gives its id."""
    command = ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"]
    return subprocess.run(command, input=data, cwd=repo.path, capture_output=True, check=True).stdout.decode().strip()


def entry(mode: str, name: bytes, oid: str) -> bytes:
    return b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid))


def entries(repo: Repo, tree: str) -> list[tuple[str, bytes, str]]:
    listed = repo.git("ls-tree", "-z", tree).split("\0")
    words = [(line.split(" ")[0].lstrip("0"), line.split("\t")[1].encode(), line.split()[2]) for line in listed if line]
    return [(mode, name, oid) for mode, name, oid in words]


def plant(repo: Repo, directory: str, mode: str, name: str | bytes, oid: str) -> None:
    """Put an entry of any name and mode into a directory of the branch, in the place of one of that name."""
    raw = name if isinstance(name, bytes) else name.encode()

    def planted(tree: str, below: list[str]) -> str:
        found = entries(repo, tree)
        if below:
            head = below[0].encode()
            found = [(m, n, planted(o, below[1:]) if n == head else o) for m, n, o in found]
        else:
            found = [kept for kept in found if kept[1] != raw] + [(mode, raw, oid)]
        found.sort(key=lambda item: item[1] + (b"/" if item[0] == "40000" else b""))
        return write_object(repo, "tree", b"".join(entry(*item) for item in found))

    tree = planted(repo.git("rev-parse", "state^{tree}"), [part for part in directory.split("/") if part])
    commit = repo.git("commit-tree", "-p", "state", "-m", "hostile", tree)
    repo.git("update-ref", "refs/heads/state", commit)


def document_tree(repo: Repo) -> str:
    return write_object(repo, "tree", entry("100644", b"@object.json", write_object(repo, "blob", DOCUMENT.encode())))
