"""Checks of companion 2: wrong answers get the next step, never an error."""

import pytest
import torch

from going_modular.your_turn import companion_2 as checks

# Four answers; three are more than 90% sure, three are right, two are both.
FAIR = torch.tensor([[0.95, 0.05], [0.92, 0.08], [0.04, 0.96], [0.3, 0.7]])
LABELS = torch.tensor([0, 1, 1, 1])


def total(first, second, our_first, our_second):
    pairs = ((first, our_first), (second, our_second))
    return sum((scores - ours.mean()) / ours.std() for scores, ours in pairs)


@pytest.mark.parametrize(
    ("check", "arguments", "told"),
    [
        (checks.promise, [..., FAIR, LABELS], "Not yet: put your own code"),
        (checks.promise, [1, FAIR, LABELS], "Not yet: take the rows"),
        (checks.promise, [2 / 3, FAIR, LABELS], "Not yet: a count is wanted"),
        (checks.promise, [3, FAIR, LABELS], "Not yet: that is how many were sure"),
        (checks.promise, [torch.tensor(2), FAIR, LABELS], "Right. 2 of 3, 66.7%"),
        (checks.score, [lambda *_: ...], "Not yet: put your own code"),
        (checks.score, [lambda *_: 1], "Not yet: return a tensor"),
        (checks.score, [lambda *scores: total(*scores).mean()], "one number a pic"),
        (checks.score, [total], "Not yet: only the sigmoid"),
        (checks.score, [lambda a, b, *_: (a + b).sigmoid()], "standardise both"),
        (checks.score, [lambda *scores: -total(*scores)], "Not yet: each score"),
        (checks.score, [lambda *scores: total(*scores).sigmoid()], "Right. "),
    ],
)
def test_a_check_says_what_is_wrong_or_that_it_is_right(check, arguments, told, capsys):
    check(*arguments)
    said = capsys.readouterr().out
    assert said.startswith(("Right. ", "Not yet: ")) and told in said
