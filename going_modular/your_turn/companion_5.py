"""Checks of companion 5, break it and mend it."""

from collections.abc import Callable
from pathlib import Path

from going_modular.app_process import run_demo
from going_modular.files import FileError, patch_file
from going_modular.robustness import Case, is_refused, run_cases
from going_modular.your_turn.checking import NotYet, expect, expect_count, need, says


@says
def line_length(longest: Callable[[float, float, int], int], answer_s: float) -> dict:
    """How many may wait: by seconds an answer, seconds to wait, answers at a time."""
    expect(longest(0.5, 10.0, 2), 40, one_at_a_time=20, multiplied=2.5)
    expect_count(longest(0.3, 1.0, 1), 3, key="rounded")
    return {"answer_s": answer_s, "may_wait": longest(answer_s, 6.0, 1)}


@says
def no_picture(guard: str, folder: Path, plate: Path) -> dict:
    """A fifth guard, a diff: a question without a picture gets a sentence."""
    need(isinstance(guard, str), "diff")
    try:
        patch_file(folder / "app_4.py", guard, folder / "app_5.py")
    except FileError as error:
        raise NotYet("does_not_fit", error=error) from error
    cases = [
        Case("nothing", "a sentence", is_refused),
        Case("a plate", "its name", lambda reply: reply.dish is not None, plate),
    ]
    with run_demo(folder, app="app_5.py") as running:
        replies = run_cases(running.url, cases)
    passed = replies["as it should"].str.contains("yes")
    words = replies["what comes back"]
    need(passed["a plate"], "no_name", words=words["a plate"])
    need(passed["nothing"], "no_sentence", words=words["nothing"])
    return {"words": words["nothing"]}
