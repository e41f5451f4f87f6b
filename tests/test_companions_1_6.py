"""Companions 1 and 6: what their checks say of an answer."""

import pandas as pd
import pytest
import torch

from going_modular.engine import CVResult, Epoch, Score, Settings
from going_modular.your_turn import companion_1, companion_6

GRID = [Settings(1e-3, 0), Settings(1e-2, 1e-2)]
NOTED = pd.DataFrame(
    {
        "thumb": ["up", "down", "down", "down"],
        "outcome": ["right, let through", *2 * ["right, turned away"], "wrong"],
        "sent": ["real photos"] * 4,
    }
)


def tried(*settings, loss=0.5):
    score = Score(loss_sum=loss, right=1, total=1)
    return [CVResult(s, [Epoch(score, score)], torch.empty(1, 3)) for s in settings]


@pytest.mark.parametrize(
    ("check", "args", "says"),
    [
        (companion_1.photos_needed, [0.5], "a count is wanted"),
        (companion_1.photos_needed, [1150], "one of 100, 200"),
        (companion_1.photos_needed, [300], "too wide"),
        (companion_1.photos_needed, [2000], "fewer will do"),
        (companion_1.photos_needed, [1200], "Right. 95.9% to 97.8%"),
        (companion_1.wider, [GRID, GRID], "what `try_settings` returns"),
        (companion_1.wider, [tried(*GRID, Settings(1, 0)), GRID], "1 of your settings"),
        (companion_1.wider, [tried(Settings(1e-2, 1), Settings(1, 0)), GRID],
         "Right. The best of yours is lr and decay 0.01 and 1, with 0.500"),
        (companion_6.gate_at_fault, [3, NOTED], "these are all thumbs down"),
        (companion_6.gate_at_fault, [1, NOTED], 'outcome is "right, turned away"'),
        (companion_6.gate_at_fault, [2, NOTED], "Right. In 2 of 3 thumbs down"),
        (companion_6.seen_share, [lambda *_: ..., NOTED], "three dots"),
        (companion_6.seen_share, [lambda d, u, _: d / (d + u), NOTED], "use `times`"),
        (companion_6.seen_share, [lambda d, u, t: t * d / u, NOTED], "are a quarter"),
        (companion_6.seen_share, [lambda d, u, t: t / (t + 3), NOTED], "not 80%"),
        (companion_6.seen_share, [lambda d, u, t: t * d / (t * d + u), NOTED],
         "Right. 3 of 4 visitors with real photos are unhappy"),
        (companion_6.seen_share, [lambda d, u, t: d / (d + u) ** t, NOTED], "says 0%"),
    ],
)  # fmt: skip
def test_a_check_says_the_next_step(check, args, says, capsys):
    check(*args)
    printed = capsys.readouterr().out
    assert says in printed
    assert printed.startswith("Right." if says.startswith("Right.") else "Not yet: ")
