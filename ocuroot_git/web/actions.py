"""The actions of the page (`view --write`), each for the command whose name it bears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gate_actions import Freeze, Thaw
from .plan_actions import Promote, RollBack
from .release_actions import Approve, Hold, Lift, Reject
from .run_actions import Cancel, Give, Retry

if TYPE_CHECKING:
    from .action import Action

KINDS: tuple[type[Action], ...] = (Approve, Reject, Promote, RollBack, Hold, Lift, Freeze, Thaw, Retry, Cancel, Give)
ACTIONS = {kind.name: kind for kind in KINDS}
