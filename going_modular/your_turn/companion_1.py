"""Checks of companion 1, how sure is a number."""

from collections.abc import Sequence

from going_modular.engine import HEAD, CVResult, Settings
from going_modular.evaluation import wilson_interval
from going_modular.your_turn.checking import count, need, says

WIDTH = 0.02  # of the interval that is asked for, as a share


def _width(total: int) -> float:
    low, high = wilson_interval(97 * total // 100, total)
    return high - low


@says
def photos_needed(total: int) -> str:
    """How many test photos narrow an interval at 97% to two percentage points."""
    total = count(total)
    need(total > 0 and total % 100 == 0, "give one of 100, 200, 300 and so on.")
    low, high = wilson_interval(97 * total // 100, total)
    need(
        high - low <= WIDTH,
        f"with {total:,} photos the interval is {low:.1%} to {high:.1%}: too wide.",
    )
    need(_width(total - 100) > WIDTH, f"fewer will do: {total - 100:,} are enough.")
    return f"{low:.1%} to {high:.1%}. A test set is the price of a precise number."


@says
def wider(trials: Sequence[CVResult], grid: Sequence[Settings]) -> str:
    """Cross-validated settings from outside the grid."""
    listed = isinstance(trials, list | tuple)
    need(
        listed and all(isinstance(trial, CVResult) for trial in trials),
        "give what `try_settings` returns for your own list of settings.",
    )
    lr, decay = (max(getattr(s, of) for s in grid) for of in ("lr", "weight_decay"))
    outside = [
        trial
        for trial in trials
        if trial.settings.lr > lr or trial.settings.weight_decay > decay
    ]
    need(
        len(outside) >= 2,
        f"{len(outside)} of your settings have a learning rate above {lr:g} or a "
        f"weight decay above {decay:g}; try two.",
    )
    best = min(outside, key=lambda trial: trial.held_out.loss)
    told = f"{best.settings.lr:g} and {best.settings.weight_decay:g}"
    return (
        f"The best of yours is lr and decay {told}, with {best.held_out.loss:.3f}. "
        f"Compare it with {HEAD.lr:g} and {HEAD.weight_decay:g} in the table."
    )
