"""What an error is in HTTP: who has to do something about it (design 10).

Nothing that is asked of the page is answered with 500: that says a fault of this program, and to report it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..delivery.problems import BadDocument
from ..errors import Conflict, NotFound, RemoteError
from ..formats.layout import Damaged, StoreError
from ..git.objects import ObjectError, RepositoryError
from ..git.program import GitError

if TYPE_CHECKING:
    from ..errors import Error

_BEHIND = (RemoteError, StoreError, Damaged, BadDocument, RepositoryError, ObjectError, GitError)
"""What is wrong behind the page: in the stores, the repository they lie in, or a remote."""


def status_of(error: Error) -> int:
    """404: it is not there; 409: that has moved, or does not allow it; 502: what lies behind the page gives no answer
    that can be used; 400: what was asked cannot be understood, or not be done."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Conflict):
        return 409
    return 502 if isinstance(error, _BEHIND) else 400
