"""Threads that write together: a fault in one is told to all whose changes were not written (design 8.8)."""

from __future__ import annotations

import threading

import pytest
from support.repositories import Repo

from ocuroot_git.delivery.together import Together
from ocuroot_git.errors import Error
from ocuroot_git.opening import open_stores
from ocuroot_git.store.transaction import Transaction


def test_what_was_not_written_is_not_taken_for_written(store: Repo) -> None:
    together = Together(lambda: 2)
    ended: dict[str, BaseException | str] = {}
    first_waits = threading.Event()

    def faulty(tx: Transaction) -> str:
        raise AssertionError("a fault of the program")

    def right(tx: Transaction) -> str:
        tx.set("+/custom/x", 1)
        return "written"

    def write(name: str) -> None:
        stores = together.stores(open_stores(str(store.path)))
        try:
            ended[name] = stores.transact(faulty if name == "faulty" else right)
        except BaseException as error:
            ended[name] = error

    threads = [threading.Thread(target=write, args=(name,)) for name in ("faulty", "right")]
    for thread in threads:
        thread.start()
        first_waits.wait(0.1)
    for thread in threads:
        thread.join(30)
    assert isinstance(ended["faulty"], AssertionError)
    is_there = store.run("get", "+/custom/x").returncode == 0
    assert is_there is (ended["right"] == "written"), ended
    assert is_there or (isinstance(ended["right"], Error) and "a fault of the program" in str(ended["right"]))


@pytest.mark.parametrize("count", [1, 3])
def test_each_gets_the_result_of_its_own_change(store: Repo, count: int) -> None:
    together = Together(lambda: count)
    results: dict[int, object] = {}

    def write(number: int) -> None:
        def change(tx: Transaction) -> int:
            tx.set(f"+/custom/x{number}", number)
            return number

        results[number] = together.stores(open_stores(str(store.path))).transact(change)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == {number: number for number in range(count)}
    assert len(store.ocuroot("match", "+/custom/*").split()) == count
