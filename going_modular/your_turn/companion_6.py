"""Checks of companion 6, watch it; `noted` has a row a visitor."""

from collections.abc import Callable

import pandas as pd

from going_modular.monitoring import OUTCOMES
from going_modular.your_turn.checking import expect, expect_count, says


@says
def gate_at_fault(number: int, noted: pd.DataFrame) -> dict:
    """Visitors who are unhappy although the head was right."""
    unhappy = noted[noted.thumb == "down"]
    expected = int((unhappy.outcome == OUTCOMES[1]).sum())
    expect_count(number, expected, all_unhappy=len(unhappy))
    return {"expected": expected, "unhappy": len(unhappy)}


@says
def seen_share(function: Callable, noted: pd.DataFrame) -> dict:
    """The share of thumbs down that arrives if unhappy visitors press more often."""
    expect(function(10, 30, 1), 0.25, "alike")
    expect(function(10, 30, 3), 0.5, as_they_are=10 / 40)
    expect(function(20, 10, 2), 0.8, "again")
    first = noted[noted.sent == noted.sent.iloc[0]]
    down, total = int((first.thumb == "down").sum()), len(first)
    share, sent = function(down, total - down, 3), first.sent.iloc[0]
    return {"down": down, "total": total, "sent": sent, "share": share}
