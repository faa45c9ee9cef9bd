"""Answers that take longer than a page may: each is worked out once, in a thread of its own, and kept.

A page waits a little for one; if it is not there by then, the page says so and asks again (its script does, see
`app`). What wants an answer and not a page, a program that asks for JSON, waits to the end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

PATIENCE = 0.08
"""Seconds that a page waits."""
_MOST_KEPT = 12


class Background:
    """Remembers the last few answers by their questions, which say of which version of the stores they are."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}
        self._running: dict[Hashable, threading.Thread] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        """Held by the thread that works: two at once would take twice as long each."""

    def get(self, question: Hashable, work: Callable[[], Any], patience: float) -> Any:
        """The answer, or None where `work`, called in another thread, is not done in `patience` seconds. Raises what it
        raised."""
        with self._lock:
            if question in self._known:
                return _given(self._known[question])
            thread = self._running.get(question)
            if thread is None:
                thread = threading.Thread(target=self._answer, args=(question, work), daemon=True)
                self._running[question] = thread
                thread.start()
        thread.join(patience)
        return _given(self._known.get(question))

    def now(self, question: Hashable, work: Callable[[], Any]) -> Any:
        """The answer, worked out here unless it is known."""
        if question not in self._known:
            self.keep(question, work())
        return _given(self._known.get(question))

    def keep(self, question: Hashable, answer: Any) -> None:
        """Remember an answer, and forget the oldest where there are too many."""
        with self._lock:
            while len(self._known) >= _MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known[question] = answer

    def _answer(self, question: Hashable, work: Callable[[], Any]) -> None:
        try:
            with self._turn:
                self.keep(question, work())
        except Exception as error:
            self.keep(question, error)  # it is told to whoever asks, who would wait for ever otherwise
        finally:
            with self._lock:
                del self._running[question]


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
