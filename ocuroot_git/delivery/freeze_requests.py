"""The gates that people ask for by `freeze`, in their words: which environments, and when (design 13)."""

from __future__ import annotations

import time

from ..errors import NotFound, UsageError
from ..formats.spelling import nearest
from .problems import Problems
from .queries import environments, no_environment
from .vocabulary import DENY, ModelError
from .windows import zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

    from ..store.snapshot import Snapshot
    from ..store.stores import Stores
    from .fields import Fields


class When:
    """When a gate is to be closed, as people say it: see the options of `freeze`."""

    def __init__(
        self,
        since: str | None = None,
        until: str | None = None,
        rrule: str | None = None,
        duration: str | None = None,
        timezone: str | None = None,
    ) -> None:
        self.since = since
        self.until = until
        self.rrule = rrule
        self.duration = duration
        self.timezone = timezone

    def fields(self, here: Callable[[], str]) -> Fields:
        """The fields of the document that say so; `here` names this machine's time zone. Raises UsageError."""
        from ..formats.times import format_seconds, format_wall, wall_clock

        found: Fields = {}
        place: tzinfo | None = None
        zone = self.timezone
        if self.rrule is not None or zone is not None:
            zone = zone or here()
            place = _zone(zone)
        if self.rrule is not None:
            first = moment("--from", self.since, place) if self.since is not None else time.time()
            wall = wall_clock(first, place)
            if self.since is None:  # or the seconds of just now would be those of each window
                wall = wall.replace(hour=0, minute=0, second=0, microsecond=0)
            found["start"] = format_wall(wall)
        elif self.since is not None:
            found["start"] = format_seconds(moment("--from", self.since, place))
        if self.until is not None:
            found["end"] = format_seconds(moment("--until", self.until, place))
        given = {
            "rrule": self.rrule,
            "duration": self.duration,
            "timezone": zone if self.rrule is not None else None,
        }
        return {**found, **{key: text for key, text in given.items() if text is not None}}


def _zone(name: str) -> tzinfo:
    try:
        return zone_of(name)
    except ModelError as error:
        raise UsageError(error.message, hint=error.hint) from None


def gate_document(
    stores: Stores,
    targets: Sequence[str],
    reason: str,
    *,
    when: When,
    packages: Sequence[str] = (),
    actors: Sequence[str] = (),
) -> Fields:
    """The document of a gate that denies, for environments by name or by `attribute=value` (none: for all).

    Raises NotFound for what would close nothing, UsageError for a time, a time zone and an actor that are none.
    """
    document: Fields = {"kind": DENY}
    if targets:
        document["environments"] = _environments(stores.snapshot(), targets)
    if packages:
        document["packages"] = [*packages]
    document.update(when.fields(lambda: stores.surroundings.time_zone))
    for actor in actors:
        if not all(actor.partition(":")):
            raise UsageError(f"'{actor}' is no actor", hint="such as github:ann or local:ann@example.org")
    if actors:
        document["actors"] = [*actors]
    document["reason"] = reason
    by = stores.origin(stores.backend("intent")[0]).actor
    if by:
        document["by"] = by
    return document


def name_for(targets: Sequence[str]) -> str:
    """A name for a gate, made of what it is about."""
    text = "-".join(dict.fromkeys(targets)) or "all"
    return "".join(char if char.isalnum() or char in "._" else "-" for char in text)[:100]


def _environments(snapshot: Snapshot, targets: Sequence[str]) -> list[str] | Fields:
    """The environments that are named, or the attributes. Raises NotFound for what would close nothing."""
    known = environments(snapshot, Problems())
    pairs = [target.partition("=") for target in targets if "=" in target]
    if not pairs:
        for name in targets:
            if name not in known and not (name and snapshot.has_intent() and snapshot.exists(f"+/environment/{name}")):
                raise no_environment(snapshot, name)
        return list(dict.fromkeys(targets))
    if len(pairs) < len(targets):
        raise UsageError("name environments, or attributes that they have, not both")
    attributes = {key: value for key, _, value in pairs}
    if len(attributes) < len(pairs) or not any(where.has(attributes) for where in known.values()):
        pairs_known = {f"{key}={value}" for where in known.values() for key, value in where.attributes.items()}
        hint = nearest(targets[0], pairs_known)
        raise NotFound(f"no environment has {', '.join(targets)}", hint=hint)
    return {"attributes": attributes}


def moment(option: str, text: str, zone: tzinfo | None) -> float:
    """A moment that people name: by date and clock, of a time zone or of here, or so long after now; in seconds.

    Raises UsageError, which names `option`.
    """
    from datetime import datetime, timedelta

    from ..formats.times import parse_clock, parse_duration

    hint = "such as 2026-12-20, '2026-12-20 17:00', 2026-12-20T17:00:00Z, or 2h and 3d for so long from now"
    found, length = parse_clock(text), parse_duration(text)
    try:
        if found is not None:
            return (found if found.tzinfo is not None or zone is None else found.replace(tzinfo=zone)).timestamp()
        if length is not None:
            return (datetime.now(zone) + timedelta(days=length[0], seconds=length[1])).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"option '{option}': no calendar reaches '{text}'", hint=hint) from None
    raise UsageError(f"option '{option}' takes a time, not '{text}'", hint=hint)
