"""How a check talks to the reader, by texts.toml: no error, but the next step."""

import tomllib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))


class NotYet(Exception):
    """What is missing or wrong: the key of a text, and a dict of the values in it."""


def need(is_so: bool, key: str, **values: Any) -> None:
    """Raise `NotYet` unless something is so."""
    if not is_so:
        raise NotYet(key, values)


def given(value: Any) -> Any:
    """A value that the reader has filled in; `NotYet` while it is the three dots."""
    need(value is not ..., "dots")
    return value


def pair(value: Any) -> tuple:
    """Two values that the reader's function has returned, or `NotYet`."""
    need(isinstance(given(value), tuple | list) and len(value) == 2, "pair")
    return given(value[0]), given(value[1])


def expect(found: Any, expected: Any, key="wrong", *, near=1e-6, **slips: Any) -> None:
    """Raise `NotYet` unless a text, a number, or several numbers are as expected.

    `key` is of the text for any wrong value, `near` the relative difference that is
    allowed, `slips` are frequent wrong values by the key of a text of their own.
    """
    if not _equal(given(found), expected, near):
        slip = (name for name, wrong in slips.items() if _equal(found, wrong, near))
        raise NotYet(next(slip, key), {"found": found, "expected": expected})


def _equal(found: Any, other: Any, near: float) -> bool:
    try:
        found, numbers = np.asarray(found, float), np.asarray(other, float)
    except (TypeError, ValueError):
        return found == other
    return found.shape == numbers.shape and np.allclose(found, numbers, rtol=near)


def expect_count(found: Any, expected: int, **slips: Any) -> None:
    """The same of a whole number; no table, mask or share will do."""
    need(np.ndim(given(found)) == 0, "several")
    need(float(found).is_integer(), "share")
    expect(int(found), expected, **slips)


def says(check: Callable[..., dict | str | None]) -> Callable[..., None]:
    """Let a check print what it finds, whatever the reader's code does.

    A check may return values for the text "right", or another text, and raises `NotYet`
    of a wrong answer. Arguments that are still three dots do not reach it.
    """
    texts = TEXTS["all"] | TEXTS[check.__name__]

    @wraps(check)
    def print_it(*args) -> None:
        try:
            for value in args:
                given(value)
            found = check(*args)
            is_text = isinstance(found, str)
            print("Right.", found if is_text else texts["right"].format(**found or {}))
        except NotYet as error:
            key, values = error.args
            print("Not yet:", texts[key].format(**values))
        except Exception as error:  # noqa: BLE001 - the reader's code may do anything
            print(f"Not yet: your code raised {type(error).__name__}: {error}")

    return print_it
