"""Checks of what the reader writes in companion 5, "Break it and mend it"."""

from collections.abc import Callable
from pathlib import Path

from going_modular.app_process import run_demo
from going_modular.files import FileError, patch_file
from going_modular.robustness import Case, is_refused, run_cases
from going_modular.your_turn.checking import NotYet, count, given, need, says


@says
def line_length(longest: Callable[[float, float, int], int], answer_s: float) -> str:
    """How many may wait, if the last of them shall not wait for too long.

    Args:
        longest: The reader's function of the seconds an answer takes, the seconds that
            anybody may wait, and how many answers are made at a time.
        answer_s: What one answer took here, in seconds.
    """
    found = given(longest(0.5, 10.0, 2))
    need(found != 20, "two answers are made at a time: twice as many may wait.")
    need(found != 2.5, "answers that take longer leave time for fewer: divide by them.")
    found = count(found)
    need(found == 40, f"0.5 s an answer, 10 s to wait, 2 at a time: 40, not {found}.")
    found = count(longest(0.3, 1.0, 1))
    need(found == 3, f"in 1 s three answers of 0.3 s are done, not {found}.")
    return (
        f"At {answer_s:.3f} s an answer, {longest(answer_s, 6.0, 1):,} may wait if the "
        "last is to wait for 6 s."
    )


@says
def no_picture(guard: str, folder: Path, plate: Path) -> str:
    """A fifth guard: a question without a picture gets a sentence.

    Args:
        guard: The reader's diff of app_4.py.
        folder: Where app_4.py is, and where app_5.py goes.
        plate: A picture that the app names.
    """
    need(isinstance(guard, str), "write a diff: a text with + before each new line.")
    try:
        patch_file(folder / "app_4.py", guard, folder / "app_5.py")
    except FileError as error:
        raise NotYet(str(error)) from error
    cases = [
        Case("nothing", "a sentence", is_refused),
        Case("a plate", "its name", lambda reply: reply.dish is not None, plate),
    ]
    with run_demo(folder, app="app_5.py") as running:
        replies = run_cases(running.url, cases)
    passed = replies["as it should"].str.contains("yes")
    words = replies["what comes back"]
    need(passed["a plate"], f"now a plate gets no name, but: {words['a plate']}")
    need(passed["nothing"], f"without a picture comes back: {words['nothing']}")
    return f"Without a picture: {words['nothing']}"
