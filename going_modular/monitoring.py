"""Watch an app in use: visitors ask it and give thumbs, and we read what it noted."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pandas as pd

from going_modular.app.feedback import Feedback
from going_modular.app.model import Predictor


def visit(
    model_file: Path, file: Path, pictures: Iterable[tuple[Path, str | None]]
) -> None:
    """Let visitors ask a model and tell it whether it was right.

    They use the app's own `Predictor` and `Feedback`, without a page around them.

    Args:
        model_file: The ONNX file in the demo folder.
        file: The SQLite file that the thumbs go to; added to if it is there.
        pictures: Picture files, each with the dish that is on it; None stands for no
            dish of ours, where a visitor is content to be told so.
    """
    predictor, feedback = Predictor(model_file), Feedback(file)
    for picture, dish in pictures:
        answer = predictor.predict(picture)
        label, score = answer.best
        said = label if answer.is_familiar else None
        feedback.add(label, score, answer.familiarity, up=said == dish)


def read_feedback(file: Path) -> pd.DataFrame:
    """Read what an app noted, oldest first.

    Returns:
        A row a thumb: time (UTC), label, score in [0, 1], familiarity in [-1, 1], and
        thumb, "up" or "down".

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"No feedback at {file}: has anyone used the app?")
    with closing(sqlite3.connect(file)) as database:
        question = "SELECT time, label, score, familiarity, thumb FROM feedback"
        table = pd.read_sql(f"{question} ORDER BY id", database)
    return table.assign(time=pd.to_datetime(table.time, utc=True))
