"""One line of plain text: how far a long job is, and how long it still takes."""

import time
from collections.abc import Callable

SECONDS_BETWEEN = 1.0
CELLS = 20


class Progress:
    """Prints one line over and over.

    Args:
        total: Things to do,
        before: of which so many were done by an earlier run: they say nothing about
            the speed of this one.
        unit: What the things are called.
        clock: Gives seconds.
    """

    def __init__(
        self,
        total: int,
        *,
        before: int = 0,
        unit: str = "photos",
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.total, self.before, self.unit, self.clock = total, before, unit, clock
        self.done = before
        self.started = clock()
        self._printed, self._width = float("-inf"), 0

    def add(self, count: int) -> None:
        """Note that more is done; prints at most once a second, and at the end."""
        self.done += count
        now = self.clock()
        if now - self._printed >= SECONDS_BETWEEN or self.done >= self.total:
            self._printed = now
            line = self.line()
            self._width = max(self._width, len(line))
            end = "\n" if self.done >= self.total else ""
            print(f"\r{line:{self._width}}", end=end, flush=True)

    def line(self) -> str:
        """How far it is, as text."""
        share = self.done / self.total
        bar = "#" * int(CELLS * share)
        text = f"{share:4.0%} [{bar:.<{CELLS}}] {self.done:,} of {self.total:,}"
        text += f" {self.unit}"
        new, seconds = self.done - self.before, self.clock() - self.started
        if not new or not seconds:
            return text
        if self.done >= self.total:
            return f"{text} in {spoken_time(seconds)}"
        left = (self.total - self.done) * seconds / new
        return f"{text}, {new / seconds:.0f} a second, {spoken_time(left)} left"


def spoken_time(seconds: float) -> str:
    """A time for reading: "41 s", "3.5 minutes", "2.1 hours"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"
