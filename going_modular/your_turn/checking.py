"""How a check talks to the reader: never an error, always the next step."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

DOTS = "put your own code in the place of the three dots."


class NotYet(Exception):
    """Something is still missing or wrong; the message says what."""


def need(is_so: bool, complaint: str) -> None:
    """Raise `NotYet` with a complaint unless something is so."""
    if not is_so:
        raise NotYet(complaint)


def given(value: Any) -> Any:
    """A value that the reader has filled in.

    Raises:
        NotYet: If it is still the three dots.
    """
    need(value is not ..., DOTS)
    return value


def count(value: Any) -> int:
    """A whole number that the reader has counted.

    Raises:
        NotYet: If it is a table, a mask, a share or another thing.
    """
    need(np.ndim(value) == 0, "one number is wanted: add up what you have found.")
    number = float(value)
    need(number == int(number), "a count is wanted, not a share.")
    return int(number)


def says(check: Callable[..., str]) -> Callable[..., None]:
    """Let a check print what it finds, whatever the reader's code does.

    Args:
        check: Returns what is to be said of a right answer, and raises `NotYet`
            otherwise. Arguments that are still three dots do not reach it.
    """

    @wraps(check)
    def print_it(*args, **more) -> None:
        try:
            for value in args:
                given(value)
            print("Right.", check(*args, **more))
        except NotYet as complaint:
            print(f"Not yet: {complaint}")
        except Exception as error:  # noqa: BLE001 - the reader's code may do anything
            print(f"Not yet: your code raised {type(error).__name__}: {error}")

    return print_it
