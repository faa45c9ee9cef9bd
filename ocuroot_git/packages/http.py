"""The one door to the network for packages: what `http.*` calls (design 14)."""

from __future__ import annotations

from .files import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_SECONDS: Final = 60.0
_LARGEST: Final = 16 << 20


def request(method: str, url: str, headers: dict[str, Any], body: str) -> dict[str, Any]:
    """Send a request; gives `status_code`, `status_text`, `headers` (lists of strings) and `body`, of any status.

    Raises HostError where there is no answer, or one that is too large.
    """
    import http.client
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise HostError(f"http.{method.lower()}: '{url}' is no http or https URL")
    try:
        # A body of none, not an empty one: else a GET would say how long it is.
        asked = urllib.request.Request(url, method=method, data=body.encode() or None)
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                asked.add_header(str(name), str(value))
        try:
            answer = urllib.request.urlopen(asked, timeout=_SECONDS)
        except urllib.error.HTTPError as error:
            answer = error  # it is an answer, whatever its status
        with answer:
            data = answer.read(_LARGEST + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise HostError(f"http.{method.lower()}: '{url}': {getattr(error, 'reason', None) or error}") from None
    if len(data) > _LARGEST:
        raise HostError(f"http.{method.lower()}: '{url}': the answer is over {_LARGEST >> 20} MiB")
    found: dict[str, list[str]] = {}
    for name, value in answer.headers.items():
        found.setdefault(name.title(), []).append(value)
    status = int(answer.status or 0)
    text = f"{status} {answer.reason}".strip()
    return {"status_code": status, "status_text": text, "headers": found, "body": data.decode(errors="replace")}
