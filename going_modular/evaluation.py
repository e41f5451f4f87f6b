"""Goals, who reaches them, how sure a count is, and what a probability is worth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn
from torch.nn import functional as F

from going_modular.app.model import ModelMetadata
from going_modular.engine import deal
from going_modular.model_builder import CONTENDERS, Built

# For every contender: the share of the test pictures, and predictions a second, one at
# a time on a CPU. What we hope for of the finished app: the same, the model file's
# 10^6 bytes, and from its start to its first answer.
GOAL_RIGHT, GOAL_PER_SECOND = 0.95, 30
HOPED_RIGHT, HOPED_PER_SECOND, HOPED_MEGABYTES, HOPED_SECONDS = 0.97, 100, 6, 3
# And of its gate: the share of dishes it has never met that it turns away, the most of
# our own that may go with them, and how well it tells the two apart.
HOPED_AWAY, MOST_OURS_AWAY, HOPED_AUROC = 0.60, 0.05, 0.90
PUBLISHED_TOTAL = 150  # photos that the published counts are of
# Of confidence; a bin holds its upper one.
EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Report:
    """What a contender did on the test pictures, one at a time on the CPU."""

    total: int
    right: int | None  # given their own class; None when only rehearsed
    published_right: int | None  # of 150 photos, to stand in for it
    median_ms: float  # from picture file to answer
    p95_ms: float  # the same, 95th percentile
    forward_ms: float  # median of the forward pass alone
    megabytes: float  # of its saved file, 10^6 bytes

    @property
    def per_second(self) -> float:
        return 1000 / self.median_ms

    @property
    def count_and_total(self) -> tuple[int, int] | None:
        """The measured count of right answers, else the published one, else None."""
        if self.right is not None:
            return self.right, self.total
        published = self.published_right
        return None if published is None else (published, PUBLISHED_TOTAL)

    @property
    def accuracy(self) -> float | None:
        return None if self.right is None else self.right / self.total


def summarise_all(
    predictions: dict[str, pd.DataFrame],
    checkpoints: dict[str, Path],
    extractors: dict[str, Built],
    *,
    published: bool,
) -> dict[str, Report]:
    """From `take_turns` and saved files; `published` counts stand in for rehearsals."""
    reports = {}
    for contender in CONTENDERS:
        name, table = contender.name, predictions[contender.name]
        counts = extractors[name].pretrained
        reports[name] = Report(
            total=len(table),
            right=int(table.right.sum()) if counts else None,
            published_right=contender.published_right if published else None,
            median_ms=float(table.total_ms.median()),
            p95_ms=float(table.total_ms.quantile(0.95)),
            forward_ms=float(table.forward_ms.median()),
            megabytes=checkpoints[name].stat().st_size / 1e6,
        )
    return reports


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """The shares that a count does not rule out, at 95% (Wilson, JASA 22, 1927)."""
    low, high = binomtest(right, total).proportion_ci(method="wilson")
    return float(low), float(high)


def shortfall(report: Report) -> float:
    """How far a contender stays below the two goals: 0 when it meets both.

    90% right misses 5% of the way to 95%, 24 a second 20% of the way to 30: added up.
    """
    missing_right = max(0.0, 1 - report.accuracy / GOAL_RIGHT)
    missing_speed = max(0.0, 1 - report.per_second / GOAL_PER_SECOND)
    return missing_right + missing_speed


def choose_winner(reports: dict[str, Report]) -> str:
    """The contender closest to the goals; of several, the most right, then the fastest.

    What is missing is compared in tenths, rounded up: a smaller difference is most
    likely the computer's. Rehearsed contenders cannot win; if all are, a ValueError.
    """
    judged = [name for name, report in reports.items() if report.right is not None]
    if not judged:
        raise ValueError(
            "no contender has trained weights, so there is no winner to choose: "
            "run the lesson once with internet"
        )

    def standing(name: str) -> tuple[int, int, float]:
        report = reports[name]
        tenths = math.ceil(round(10 * shortfall(report), 6))
        return tenths, -report.right, report.median_ms

    return min(judged, key=standing)


def reports_table(reports: dict[str, Report]) -> pd.DataFrame:
    """The reports for reading, a row a contender, counts with their denominators."""
    rows = {}
    for name, report in reports.items():
        counted = report.count_and_total
        low, high = wilson_interval(*counted) if counted else (0, 0)
        rows[name] = {
            "right": _count(report),
            "95% interval": f"{low:.1%} to {high:.1%}" if counted else "-",
            "median ms": f"{report.median_ms:.1f}",
            "95th pct ms": f"{report.p95_ms:.1f}",
            "forward ms": f"{report.forward_ms:.1f}",
            "a second": f"{report.per_second:.0f}",
            "MB": f"{report.megabytes:.0f}",
        }
    return pd.DataFrame(rows).T


def shortfalls_table(reports: dict[str, Report]) -> pd.DataFrame:
    """How far each contender misses the goals; of rehearsed ones only the speed."""
    rows = {}
    for name, report in reports.items():
        slower = GOAL_PER_SECOND - report.per_second
        more_a_second = f"{max(0.1, slower):.1f} a second" if slower > 0 else "-"
        if report.right is None:
            missing, verdict = "not judged", "rehearsal"
        else:
            wrong = math.ceil(GOAL_RIGHT * report.total) - report.right
            missing = _pictures(wrong) if wrong > 0 else "-"
            verdict = "no" if shortfall(report) else "yes"
        rows[name] = {
            "right": _count(report),
            f"short of {GOAL_RIGHT:.0%} by": missing,
            "a second": f"{report.per_second:.1f}",
            f"short of {GOAL_PER_SECOND} by": more_a_second,
            "both goals": verdict,
        }
    return pd.DataFrame(rows).T


def _count(report: Report) -> str:
    published = " (published)" if report.right is None else ""
    counted = report.count_and_total
    return "{} of {}".format(*counted) + published if counted else "not measured"


def _pictures(number: int) -> str:
    return "1 picture" if number == 1 else f"{number} pictures"


def compare_counts(predictions: dict[str, pd.DataFrame], one: str, other: str) -> str:
    """Can two contenders' counts on the same pictures tell them apart, in three lines?

    Whether their 95% Wilson intervals overlap; the exact two-sided sign test of those
    that only one has right (McNemar, Psychometrika 12, 1947); what follows at 5%. A
    ValueError if the pictures differ.
    """
    if list(predictions[one].file) != list(predictions[other].file):
        raise ValueError(f"{one} and {other} were asked about different pictures")
    mine, theirs = (predictions[name].right.to_numpy() for name in (one, other))
    right, right_too, total = int(mine.sum()), int(theirs.sum()), len(mine)
    low, high = wilson_interval(right, total)
    low_too, high_too = wilson_interval(right_too, total)
    overlap = "overlap" if low <= high_too and low_too <= high else "do not overlap"
    first, second = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    p, tossed = 1.0, "They are right on the same pictures."
    if first + second:
        p = float(binomtest(first, first + second).pvalue)
        shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
        tossed = (
            f"On {_pictures(first + second)} only one of the two is right ({first} and "
            f"{second});\nchance alone splits them so, or more unevenly, with {shown}."
        )
    return (
        f"{one} {right} and {other} {right_too} of {total}: the intervals {overlap}.\n"
        f"{tossed}\nThese counts {'can' if p < 0.05 else 'cannot'} tell them apart."
    )


def say_count(right: int, total: int) -> str:
    """A count for reading, with its share and 95% Wilson interval."""
    low, high = wilson_interval(right, total)
    return f"{right:,} of {total:,}, {right / total:.1%} ({low:.1%} to {high:.1%})"


def judge_app(
    about: ModelMetadata,
    *,
    median_ms: float,
    in_browser: tuple[float, str] | None,
    megabytes: float,
    start_seconds: float,
) -> pd.DataFrame:
    """The finished app beside all goals; what was not measured is not reached.

    `median_ms` is from picture file to answer, `in_browser` answers a second and where
    that was measured, `start_seconds` from the app's start to its first answer.
    """
    right, total = about.test_result["correct"], about.test_result["total"]
    speed, (browser_speed, where) = 1000 / median_ms, in_browser or (0, "")
    near, met = map(sum, zip((0, 0), *about.gate["near"].values(), strict=True))
    (far, no_food), (mine, ours) = about.gate["far"], about.gate["ours"]
    auroc, share, none = about.gate["auroc"] or 0.0, right / total, "not measured"
    fast, count, hope = f"{speed:.0f}", f"{right} of {total}", "hoped for: "
    page = f"{browser_speed:.0f} ({where})" if in_browser else none
    away, apart = (f"{near} of {met}", f"{auroc:.2f}") if met else (none, none)
    lost = f"{mine} of {ours}"
    many_away, few_away = near >= HOPED_AWAY * met > 0, mine <= MOST_OURS_AWAY * ours
    size, start = f"{megabytes:.1f} MB", f"{start_seconds:.2f} s after its start"
    quick = browser_speed >= GOAL_PER_SECOND
    rows = {
        f"right, at least {GOAL_RIGHT:.0%}": (share >= GOAL_RIGHT, count),
        f"at least {GOAL_PER_SECOND} a second": (speed >= GOAL_PER_SECOND, fast),
        f"{hope}right, {HOPED_RIGHT:.0%}": (share >= HOPED_RIGHT, count),
        f"{hope}{HOPED_PER_SECOND} a second": (speed >= HOPED_PER_SECOND, fast),
        f"{hope}{GOAL_PER_SECOND} a second in a browser": (quick, page),
        f"{hope}at most {HOPED_MEGABYTES} MB": (megabytes <= HOPED_MEGABYTES, size),
        f"{hope}answers in {HOPED_SECONDS} s": (start_seconds <= HOPED_SECONDS, start),
        f"{hope}no food, all turned away": (far == no_food, f"{far} of {no_food}"),
        f"{hope}unmet dishes, {HOPED_AWAY:.0%} turned away": (many_away, away),
        f"{hope}told from ours, AUROC {HOPED_AUROC:.2f}": (auroc >= HOPED_AUROC, apart),
        f"{hope}ours, at most {MOST_OURS_AWAY:.0%} turned away": (few_away, lost),
    }
    table = pd.DataFrame(rows, ["reached", "measured"]).T.rename_axis("goal")
    return table.assign(reached=table.reached.map({True: "yes", False: "no"}))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits (N, C), of unseen pictures, are likeliest.

    Divided by it, they are worth what they say: of answers given with 80%, about four
    in five are right; and no answer changes (Guo et al., arXiv 1706.04599).
    """

    def loss(log_temperature: float) -> float:
        scaled = logits.double() / np.exp(log_temperature)
        return F.cross_entropy(scaled, labels).item()

    best = minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded")
    return float(np.exp(best.x))


def held_out_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Calibrated probabilities (N, C), each fold's by the other folds' temperature."""
    probabilities = torch.empty_like(logits)
    for held_out, rest in deal(len(logits)):
        temperature = fit_temperature(logits[rest], labels[rest])
        probabilities[held_out] = (logits[held_out] / temperature).softmax(dim=1)
    return probabilities


def reliability(probabilities: Tensor, labels: Tensor) -> pd.DataFrame:
    """How often the answers of each bin of confidence were right: probabilities (N, C).

    A row a bin that has any; said is the answers' mean probability, share that of right
    ones, low and high are its 95% Wilson interval.
    """
    said, guesses = probabilities.double().max(dim=1)
    names = [f"{low:.0%} to {high:.0%}" for low, high in pairwise(EDGES)]
    answers = pd.DataFrame({"said": said.numpy(), "right": (guesses == labels).numpy()})
    bins = pd.cut(answers.said.clip(upper=1), EDGES, labels=names).rename("bin")
    grouped = answers.groupby(bins, observed=True)
    table = grouped.right.agg(total="size", right="sum")
    table["said"] = grouped.said.mean()
    return _with_shares(table)


def _with_shares(table: pd.DataFrame) -> pd.DataFrame:
    counts = zip(table.right, table.total, strict=True)
    low, high = np.reshape([wilson_interval(*count) for count in counts], (-1, 2)).T
    return table.assign(share=table.right / table.total, low=low, high=high)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """The mean gap between said and share in `reliability`, every picture alike."""
    return float(np.average((table.said - table.share).abs(), weights=table.total))


@torch.inference_mode()
def score_features(head: nn.Module, features: Tensor) -> Tensor:
    """Logits (N, C) of stored features (N, D)."""
    return head.eval()(features)


def top_k_right(scores: Tensor, labels: Tensor, k: int) -> int:
    """How many of N pictures have their class among the k highest of scores (N, C)."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return int((best == labels.unsqueeze(1)).any(dim=1).sum())


def confused_pairs(
    guesses: Tensor, labels: Tensor, class_names: Sequence[str], *, count=10
) -> pd.DataFrame:
    """The pairs of classes that are most often taken for each other, `count` at most.

    Guesses and labels, (N,), are places in `class_names`. Of a pair, confused is how
    often, both ways, and of the pictures of the two.
    """
    names = np.array(class_names, object)
    matrix = confusion_matrix(labels, guesses, labels=range(len(names)))
    one, other = np.nonzero(np.triu(matrix + matrix.T, 1))
    there, back, pictures = matrix[one, other], matrix[other, one], matrix.sum(axis=1)
    table = pd.DataFrame({"one": names[one], "other": names[other]})
    table["confused"], table["of"] = there + back, pictures[one] + pictures[other]
    table["one_as_other"], table["other_as_one"] = there, back
    return table.nlargest(count, "confused").reset_index(drop=True)


def class_table(guesses: Tensor, labels: Tensor, names: Sequence[str]) -> pd.DataFrame:
    """How each class that has pictures did, best first, with 95% Wilson intervals."""
    matrix = confusion_matrix(labels, guesses, labels=range(len(names)))
    counts = {"right": matrix.diagonal(), "total": matrix.sum(axis=1)}
    table = _with_shares(pd.DataFrame(counts, names).query("total > 0"))
    return table.sort_values("share", ascending=False, kind="stable")
