"""The line that says how far a long job is."""

import pytest

from going_modular.progress import Progress, spoken_time


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_time_left_comes_from_this_run_alone(capsys):
    clock = Clock()
    progress = Progress(1000, before=600, clock=clock)
    clock.now += 10
    progress.add(100)
    # 100 in 10 s; the 600 of an earlier run cost this one nothing.
    assert progress.line().endswith("700 of 1,000 photos, 10 a second, 30 s left")
    assert "70% [##############......]" in progress.line()
    clock.now += 30
    progress.add(300)
    assert progress.line().endswith("1,000 of 1,000 photos in 40 s")
    assert capsys.readouterr().out.endswith("\n")


def test_it_prints_once_a_second_and_covers_a_longer_line(capsys):
    clock = Clock()
    progress = Progress(10_000, clock=clock)
    for _ in range(99):
        clock.now += 0.1
        progress.add(10)
    lines = capsys.readouterr().out.split("\r")[1:]
    assert 9 <= len(lines) <= 11
    widths = [len(line) for line in lines]
    assert widths == sorted(widths), "nothing of an earlier line may show"


def test_nothing_new_says_nothing_about_time():
    assert (
        Progress(10, before=10).line() == "100% [####################] 10 of 10 photos"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.4, "99 s"), (150, "2.5 minutes"), (7200, "2.0 hours")],
)
def test_times_for_reading(seconds, text):
    assert spoken_time(seconds) == text
