"""Watch an app in use: visitors give thumbs, and we read what it noted."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pandas as pd
import torch

from going_modular.app.model import DISH, Answer, ModelMetadata
from going_modular.feedback import Feedback

# The four things that can happen to a picture: was the guess right, and was it shown?
FATES = ("let through", "turned away")
OUTCOMES = tuple(f"{guess}, {fate}" for guess in ("right", "wrong") for fate in FATES)


def answers_of(about: ModelMetadata, scores: Iterable[torch.Tensor]) -> list[Answer]:
    """The app's answers, where there are only the scores of `Deployable.answer`."""
    rows = zip(*(score.tolist() for score in scores), strict=True)
    return [about.answer(*row) for row in rows]


def give_thumbs(
    feedback: Feedback, visits: Iterable[tuple[Answer, str | None]]
) -> list[str]:
    """Let visitors say whether their answers were right.

    A visit is an answer and the dish that was on the picture; None stands for no dish
    of ours. Returns for each visit one of `OUTCOMES`, which an app never knows.
    """
    outcomes = []
    for answer, dish in visits:
        guess, _ = answer.best
        passed = answer.verdict == DISH
        feedback.add(answer, up=(guess if passed else None) == dish)
        outcomes.append(OUTCOMES[2 * (guess != dish) + (not passed)])
    return outcomes


def read_feedback(file: Path) -> pd.DataFrame:
    """What an app noted, oldest first: a row a thumb, by the columns of its table."""
    if not file.is_file():
        raise FileNotFoundError(f"No feedback at {file}: has anyone used the app?")
    with closing(sqlite3.connect(file)) as database:
        table = pd.read_sql("SELECT * FROM thumbs ORDER BY id", database)
    return table.drop(columns="id").assign(time=pd.to_datetime(table.time, utc=True))
