"""Checks of companion 6, watch it."""

from collections.abc import Callable

import pandas as pd

from going_modular.monitoring import OUTCOMES
from going_modular.your_turn.checking import count, given, need, says

TIMES = 3  # how much more often unhappy visitors press, in the remark


@says
def gate_at_fault(number: int, noted: pd.DataFrame) -> str:
    """Visitors who are unhappy although the head was right.

    Args:
        number: The reader's.
        noted: A row a visitor, with the columns thumb and outcome.
    """
    unhappy = noted[noted.thumb == "down"]
    expected, number = int((unhappy.outcome == OUTCOMES[1]).sum()), count(number)
    need(
        number != len(unhappy) or number == expected,
        "these are all thumbs down; in some of them the guess was wrong.",
    )
    need(
        number == expected,
        f'count the thumbs down whose outcome is "{OUTCOMES[1]}".',
    )
    return (
        f"In {expected} of {len(unhappy)} thumbs down the head was right, and the gate "
        "turned the picture away."
    )


@says
def seen_share(
    function: Callable[[int, int, float], float], noted: pd.DataFrame
) -> str:
    """The share of thumbs down that arrives if unhappy visitors press more often.

    Args:
        function: The reader's, of counts of unhappy and content visitors and a factor.
        noted: A row a visitor, with the columns thumb and sent.
    """
    alike, found = given(function(10, 30, 1)), given(function(10, 30, 3))
    need(found != 10 / 40, "unhappy visitors press more often: use `times`.")
    need(alike == 0.25, "if all press alike, 10 of 40 visitors are a quarter.")
    need(
        abs(found - 0.5) < 1e-9,
        "10 unhappy visitors who press three times as often give as many thumbs as 30 "
        f"content ones: half of all. Yours says {found:.0%}.",
    )
    other = function(20, 10, 2)
    need(abs(other - 0.8) < 1e-9, f"of 20, 10 and 2 it makes {other:.0%}, not 80%.")
    first = noted[noted.sent == noted.sent.iloc[0]]
    down = int((first.thumb == "down").sum())
    share = function(down, len(first) - down, TIMES)
    return (
        f"{down} of {len(first)} visitors with {first.sent.iloc[0]} are unhappy; if "
        f"they press {TIMES} times as often, {share:.0%} of the thumbs are down."
    )
