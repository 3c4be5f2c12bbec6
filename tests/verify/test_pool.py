"""Tasks in processes of their own: what a task gives, and what is told of one that fails, dies or hangs."""

from __future__ import annotations

import os
import time

from graphopt.verify.pool import Lost, in_processes


def fate(task: str) -> str:
    """As the name of the task says."""
    if task == "fails":
        raise ValueError("no such thing")
    if task == "dies":
        os._exit(7)
    if task == "hangs":
        time.sleep(600)
    return task.upper()


def notes(*tasks: str, limit: float) -> dict[str, str]:
    found = in_processes(tasks, fate, jobs=2, limit=limit)
    return {task: answer.note if isinstance(answer, Lost) else answer for task, answer in found}


def test_a_task_that_fails_or_dies_costs_no_other_its_answer() -> None:
    assert notes("one", "fails", "dies", "two", "three", limit=500) == {
        "one": "ONE",
        "two": "TWO",
        "three": "THREE",
        "fails": "verification itself failed: ValueError: no such thing",
        "dies": "the process that verified it died with 7",
    }


def test_a_task_that_hangs_is_given_up() -> None:
    assert notes("hangs", limit=0) == {"hangs": "a runtime did not come back within 0 s"}
