"""Note what visitors think of the answers, in an app that this file is copied to."""

import sqlite3
from contextlib import closing
from pathlib import Path

MAX_ROWS = 100_000  # then nothing more is noted: the file stays under 10 MB
TABLE = """CREATE TABLE IF NOT EXISTS thumbs (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL DEFAULT (datetime('now')),  -- UTC
    label TEXT NOT NULL,
    score REAL NOT NULL,
    knn_similarity REAL NOT NULL,
    in_distribution_score REAL NOT NULL,
    verdict TEXT NOT NULL,
    thumb TEXT NOT NULL CHECK (thumb IN ('up', 'down'))
)"""
INSERT = """INSERT INTO thumbs
    (label, score, knn_similarity, in_distribution_score, verdict, thumb)
    SELECT ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM thumbs) < ?"""


class Feedback:
    """Thumbs up and down in a SQLite file: no picture, no name, no address.

    The file is made if there is none. If it cannot be used, a ValueError says so.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        try:
            self._execute(TABLE)
            self._execute("DELETE FROM thumbs WHERE 0")  # fails where it may only read
        except sqlite3.Error as error:
            raise ValueError(
                f"Feedback cannot be kept in {self.file} ({error}). Name a file in a "
                "folder that can be written."
            ) from error

    def add(self, answer, *, up: bool) -> bool:
        """Note a thumb for an `Answer`; returns whether it could: it stops no app."""
        scores = (answer.knn_similarity, answer.in_distribution_score)
        thumb = "up" if up else "down"
        row = (*answer.best, *scores, answer.verdict, thumb, MAX_ROWS)
        try:
            return self._execute(INSERT, row) == 1
        except sqlite3.Error:
            return False

    def _execute(self, command: str, values: tuple = ()) -> int:
        # A connection each: requests come on many threads, and thumbs are rare.
        with closing(sqlite3.connect(self.file, timeout=5)) as database, database:
            return database.execute(command, values).rowcount
