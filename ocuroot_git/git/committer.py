"""Making commits as git would: by whom, and signed where the configuration says so."""

from __future__ import annotations

import os

from .environment import exactly
from .identity import NOBODY, Identities
from .objects import Identity, Oid
from .program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .config import Config
    from .object_writer import ObjectWriter
    from .objects import Changes, Node
    from .repository import Repository

_FIRST: Final = Identity(*NOBODY, 1767225600, 0)
"""Who makes the first commit of a store, everywhere and always: 2026-01-01T00:00:00Z."""
FIRST_MESSAGE: Final = "Create the store\n"


class Committer:
    """Makes commits as git would in a repository: its idea of author and committer, and signed where it says so."""

    def __init__(self, repository: Repository, config: Config, environ: Mapping[str, str]) -> None:
        self.environ = exactly(repository, environ)
        self.directory = repository.work_tree or repository.git_dir
        """Where git is started: it looks from there for hooks whose configured path is relative."""
        self._config = config
        self._identities: Identities | None = None

    def prepare(self) -> None:
        """Let git find out who writes, while the caller does something else."""
        if self._identities is None:
            self._identities = Identities(self.directory, self.environ)

    def drop(self) -> None:
        """Ask no more who writes, where that was asked for a write that did not come."""
        if self._identities is not None and self._identities.drop():
            self._identities = None

    def identities(self) -> tuple[Identity, Identity]:
        """Author and committer of a commit made now."""
        self.prepare()
        assert self._identities is not None
        return self._identities.now()

    def known(self) -> Identity | None:
        """The committer of a commit made now; None where git knows of nobody."""
        committer = self.identities()[1]
        return None if (committer.name, committer.email) == NOBODY else committer

    @property
    def signs(self) -> bool:
        """Whether commits are signed."""
        return self._config.get_bool("commit.gpgSign")

    def commit(
        self, writer: ObjectWriter, tree: Node, parents: list[Oid], message: str, author: Identity | None = None
    ) -> Oid:
        """Write a commit of a tree, beside the tree; gives its id. Raises ObjectError, or GitError from signing.

        `author` is who made the change, where that is somebody else.
        """
        writes, committer = self.identities()
        author = author or writes
        if not self.signs:
            return writer.write_commit(tree, parents, message, author, committer)
        arguments = ["-C", self.directory, "commit-tree", "-S", writer.repository.oid(tree)]
        for parent in parents:
            arguments += ["-p", parent]
        who = {"GIT_OBJECT_DIRECTORY": os.path.join(writer.repository.common_dir, "objects")}
        for role, identity in (("AUTHOR", author), ("COMMITTER", committer)):
            sign, minutes = "-" if identity.offset < 0 else "+", abs(identity.offset)
            who[f"GIT_{role}_NAME"] = identity.name
            who[f"GIT_{role}_EMAIL"] = identity.email
            who[f"GIT_{role}_DATE"] = f"{identity.time} {sign}{minutes // 60:02}{minutes % 60:02}"
        oid = Oid(run(arguments, {**self.environ, **who}, data=message.encode()).decode().strip())
        writer.remember_commit(oid)
        return oid

    def first_commit(self, writer: ObjectWriter, changes: Changes) -> Oid:
        """Write the first commit of a store, which is the same everywhere; gives its id."""
        return writer.write_commit(writer.edit(None, changes), [], FIRST_MESSAGE, _FIRST, _FIRST)
