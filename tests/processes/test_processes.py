"""Items in processes of their own, and what is told of one that fails, dies, hangs or eats memory."""

from __future__ import annotations

from typing import Any

from graphopt.processes import Lost, in_processes
from tests.processes.work import work


def test_a_process_that_dies_costs_one_item() -> None:
    found: dict[str, Any] = dict(
        in_processes(["a", "die", "nothing", "fail", "eat", "b"], work, jobs=2, memory=800 << 20)
    )
    assert (found["a"], found["b"], found["nothing"]) == ("A", "B", None)
    assert found["die"] == Lost("the process died with 7", "about to die")
    assert found["fail"] == Lost("KeyError: 'nothing'", "about to fail")
    assert found["eat"] == Lost("it took more than 800 MB of memory", "about to eat")


def test_an_item_that_hangs_is_given_up() -> None:
    ((item, lost),) = in_processes(["hang"], work, seconds=0.0)
    assert item == "hang"
    assert isinstance(lost, Lost)
    assert lost.reason == "it did not come back within 0 s"
    assert lost.seconds > 0
