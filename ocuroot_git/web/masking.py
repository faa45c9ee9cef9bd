"""What `logs` masks stands nowhere on the page, nor in a site: known secrets, and passwords in URLs (design 10, 12).

A page is masked as it is made, before it becomes HTML or JSON. Documents and messages are masked wholly. What pages say
of their own, refs and names above all, is looked through for URLs alone: a password such as `prod` would otherwise take
the links away from everything that is called so, and tell what it is.
"""

from __future__ import annotations

from typing import Any

from ..delivery.printed import without_secrets

_CONTENT = {
    *("about", "actor", "addresses", "attributes", "author", "body", "commands", "detail", "difference", "email"),
    *("inputs", "is", "marker", "message", "output", "problem", "reason", "subject", "text", "value", "who"),
}
"""The keys of a page under which there is what others wrote: documents, and what commits and runs say."""


def masked(content: Any) -> Any:
    """A document, or another JSON value that others wrote, without secrets."""
    if isinstance(content, str):
        return without_secrets(content)
    if isinstance(content, dict):
        made: dict[Any, Any] = {}
        for key, value in content.items():
            shown = masked(key)
            while shown != key and shown in content.keys() | made.keys():
                shown += "'"  # only what is masked told them apart
            made[shown] = masked(value)
        return made
    return type(content)(map(masked, content)) if type(content) in (list, tuple) else content


def masked_page(page: Any) -> Any:
    """What a page shows, without secrets."""
    if isinstance(page, str):
        return without_secrets(page) if "://" in page else page
    if isinstance(page, dict):
        content = _CONTENT | {"wanted"} if "is" in page else _CONTENT  # elsewhere what is wanted is a release
        return {key: masked(value) if key in content else masked_page(value) for key, value in page.items()}
    return type(page)(map(masked_page, page)) if type(page) in (list, tuple) else page
