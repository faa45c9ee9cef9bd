"""Secrets of a package, as `secret(…)` names them, taken out of all that is kept or shown."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

MASK: Final = "<secret>"
_LONG: Final = 6
"""Characters from which on a line of a secret, or the secret as a number, is one by itself: fewer are met by chance."""


class Secrets:
    """What a package has named a secret so far."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, value: str) -> None:
        """Take note of a secret: as it stands, as others spell it, and of its lines where it has several."""
        lines = value.splitlines()
        forms = {value, value.strip(), *_spellings(value), *_encodings(value), *_encodings(value.strip())}
        forms |= {line.strip() for line in lines if len(lines) > 1 and len(line.strip()) >= _LONG}
        self._forms = sorted(forms.union(self._forms) - {""}, key=lambda form: (-len(form), form))

    def mask(self, text: str) -> str:
        """A text with the secrets taken out of it."""
        shown, at = [], 0
        for start, end in self.spans(text):
            shown += [text[at:start], MASK]
            at = end
        return "".join(shown) + text[at:]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """From where to where there are secrets in a text; those that overlap are one."""
        found = []
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + 1)
        spans: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if spans and start < spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans

    def holds(self, value: Any) -> bool:
        """Whether there is a secret anywhere in a value."""
        return bool(self._forms) and self.mask_value(value) != value

    def mask_value(self, value: Any) -> Any:
        """A JSON value with the secrets taken out of it: of its strings, its keys, and numbers that are one."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask(str(key)): self.mask_value(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_value(one) for one in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return MASK if any(len(form) >= _LONG and form in str(value) for form in self._forms) else value
        return value

    def unfinished(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a secret."""
        longest = 0
        for form in self._forms:
            end = text[-(len(form) - 1) :] if len(form) > 1 else ""
            at = end.find(form[0])
            while 0 <= at < len(end) - longest:
                if form.startswith(end[at:]):
                    longest = len(end) - at
                at = end.find(form[0], at + 1)
        return longest


def _spellings(value: str) -> set[str]:
    """A text as JSON, URLs, the language itself in a list, shells under `set -x`, and XML spell it."""
    import json
    from html import escape
    from urllib.parse import quote

    return {
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(value),
        quote(value, safe=""),
        value.encode("unicode_escape").decode().replace('"', r"\""),
        value.replace("'", r"'\''"),
        value.replace("'", "'\"'\"'"),
        escape(value),
        escape(value, quote=False),
    }


def _encodings(value: str) -> set[str]:
    """A text in hexadecimal and in base64, also where that holds more before and after it, as in `user:password`."""
    from base64 import b64encode, urlsafe_b64encode

    data = value.encode(errors="backslashreplace")
    forms = {data.hex(), data.hex().upper()}
    for encode in b64encode, urlsafe_b64encode:
        forms |= {encode(data).decode(), encode(data).decode().rstrip("=")}
        for before in range(3):
            # Of the characters at either end, those that also tell of what stands beside are left out.
            digits = encode(bytes(before) + data).decode().rstrip("=")
            forms.add(digits[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6])
    return {form for form in forms if len(form) >= _LONG}


class Stream:
    """Text that comes in pieces, cut into lines once secrets are taken out of it, also where a cut goes through one."""

    LONGEST: Final = 16 << 10
    """Characters after which a line without an end is given all the same."""
    MOST_HELD: Final = 1 << 20
    """Characters that are held back at most, for more of a secret to come: more than any has."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._raw = ""
        self._line = ""

    def feed(self, text: str) -> list[str]:
        """The lines that are complete by now."""
        text = self._raw + text
        cut = len(text) - self._secrets.unfinished(text)
        # Neither may a secret that is complete be cut: more of it could be another's beginning.
        cut = min([cut, *(start for start, end in self._secrets.spans(text) if start < cut <= end and cut < len(text))])
        cut = cut if len(text) - cut < self.MOST_HELD else len(text)
        self._raw = text[cut:]
        *lines, rest = (self._line + self._secrets.mask(text[:cut])).split("\n")
        while len(rest) > self.LONGEST:
            lines.append(rest[: self.LONGEST])
            rest = rest[self.LONGEST :]
        self._line = rest
        return lines

    def finish(self) -> list[str]:
        """What is left, if anything."""
        left = self._line + self._secrets.mask(self._raw)
        self._raw = self._line = ""
        return left.split("\n") if left else []
