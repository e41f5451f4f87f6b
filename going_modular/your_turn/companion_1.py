"""Checks of companion 1, how sure is a number."""

from collections.abc import Sequence

from going_modular.engine import HEAD, CVResult, Settings
from going_modular.evaluation import wilson_interval
from going_modular.your_turn.checking import need, says


@says
def photos_needed(total: int) -> dict:
    """How many test photos narrow an interval at 97% to two percentage points."""
    need(total > 0 and total % 100 == 0, "hundreds")
    low, high = wilson_interval(97 * total // 100, total)
    need(high - low <= 0.02, "wide", total=total, low=low, high=high)
    fewer = total - 100
    fewer_low, fewer_high = wilson_interval(97 * fewer // 100, fewer)
    need(fewer_high - fewer_low > 0.02, "fewer", fewer=fewer)
    return {"low": low, "high": high}


@says
def wider(trials: Sequence[CVResult], grid: Sequence[Settings]) -> dict:
    """Cross-validated settings from outside the grid."""
    need(isinstance(trials, list | tuple), "untried")
    need(all(isinstance(trial, CVResult) for trial in trials), "untried")
    lr, decay = (max(getattr(s, of) for s in grid) for of in ("lr", "weight_decay"))
    outside = [
        trial
        for trial in trials
        if trial.settings.lr > lr or trial.settings.weight_decay > decay
    ]
    need(len(outside) >= 2, "inside", outside=len(outside), lr=lr, decay=decay)
    best = min(outside, key=lambda trial: trial.held_out.loss)
    return {"best": best.settings, "loss": best.held_out.loss, "head": HEAD}
