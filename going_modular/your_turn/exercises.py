"""Checks of the ten exercises at the end.

Each prints "Right." with what follows from the answer, or "Not yet:" with what is
still wrong.
"""

import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import pandas as pd
from PIL import Image
from PIL.ExifTags import Base

from going_modular.app.model import Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.datasets import load_picture
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.evaluation import Report
from going_modular.your_turn.checking import given, need, says

PHONE_MEGABYTES, SMALL_MEGABYTES = 4.0, 0.06  # of a photo as it is, and made smaller


def _report(right: int | None, median_ms: float) -> Report:
    published = 148 if right is None else None
    return Report(150, right, published, median_ms, median_ms, median_ms, 20.0)


@says
def rule(choose: Callable[[dict], str], reports: dict[str, Report]) -> str:
    """Exercise 1: the fastest contender with at least 95% right."""
    invented = {
        "slow": _report(149, 60.0),
        "quick": _report(143, 20.0),
        "quicker, but 94%": _report(141, 10.0),
        "rehearsed": _report(None, 5.0),
    }
    found = given(choose(invented))
    need(found != "rehearsed", "a contender that only rehearsed cannot win.")
    need(found != "quicker, but 94%", "141 of 150 are 94%, and the goal is 95%.")
    need(
        found == "quick",
        f"of four invented contenders it picks {found!r}; 'quick' is the fastest with "
        "at least 95%.",
    )
    return f"In this run your rule picks {choose(reports)}."


@says
def own_split(split: Callable[[list, float], tuple[list, list]]) -> str:
    """Exercise 2: files for training and for the test, by a seed."""
    files = [f"{number:02}.jpg" for number in range(30)]
    train, test = (list(part) for part in given(split(list(files), 0.2)))
    need(len(test) == 6, f"0.2 of 30 files are 6, and your test has {len(test)}.")
    need(sorted(train + test) == files, "each file belongs to one of both, once.")
    need(test != files[:6] and test != files[-6:], "shuffle before you cut.")
    again = [list(part) for part in split(files[::-1], 0.2)]
    need(again == [train, test], "the same files must give the same split: sort first.")
    return "24 and 6, the same in every run, in whichever order the disk lists them."


@says
def first_visit(weights: dict[str, int], folder: Path) -> str:
    """Exercise 3: the bytes of each file of the page."""
    need(isinstance(weights, dict), "make a dictionary: {name: bytes, ...}.")
    expected = {file.name: file.stat().st_size for file in Path(folder).iterdir()}
    lacking = sorted(expected.keys() - weights.keys())
    need(not lacking, f"it lacks {', '.join(lacking)}.")
    need(weights == expected, "the bytes of a file: file.stat().st_size.")
    heaviest = max(weights, key=weights.get)
    total, most = sum(weights.values()) / 1e6, weights[heaviest] / 1e6
    return f"{total:.1f} MB, of which {heaviest} {most:.1f} MB."


@says
def strictness(
    strictest: Callable[[Sequence[float], float], float],
    ours: Sequence[float],
    strangers: Sequence[float],
) -> str:
    """Companion 2: the highest threshold that keeps nearly all of our dishes.

    Args:
        strictest: The reader's function of scores and a share.
        ours: The in-distribution score of our own test pictures.
        strangers: The same of other dishes, or of no food where there are none.
    """
    scores = [0.9, 0.2, 0.6, 0.1, 0.5, 0.8, 0.4, 0.3, 0.7, 1.0]
    found = given(strictest(scores, 0.2))
    away = sum(score < found for score in scores)
    need(away <= 2, f"of ten scores it turns {away} away, and 20% are two.")
    need(away == 2, f"it could be stricter: only {away} of ten are turned away.")
    told = []
    for share in (0.02, 0.05, 0.10):
        limit = strictest(list(ours), share)
        out = sum(score < limit for score in strangers)
        told.append(f"at {share:.0%} of ours, {out} of {len(strangers)}")
    return f"Strangers turned away: {'; '.join(told)}."


@says
def waiting(median_wait: Callable[[Callable, Sequence], float]) -> str:
    """Exercise 3: the median wait, with a warm-up that is not counted."""
    now, asked = 0.0, []
    seconds = {"first": 9.0, "a": 1.0, "b": 6.0, "c": 2.0}

    def ask(file: str) -> None:
        nonlocal now
        asked.append(file)
        now += seconds[file]

    with (
        patch("time.perf_counter", lambda: now),
        patch("time.monotonic", lambda: now),
        patch("time.time", lambda: now),
    ):
        found = given(median_wait(ask, list(seconds)))
    need(len(asked) > 0, "it never calls ask(file).")
    need(asked[0] == "first", "ask about the first, too: that warms up.")
    need(found != 4.0, "the first file only warms up: do not count it.")
    need(found != 3.0, "that is the mean, which one slow answer can spoil.")
    need(
        found == 2.0, f"for waits of 9, 1, 6 and 2 s it says {found}; 2 would be right."
    )
    return "Now ask a running app from your phone's browser, and compare."


@says
def upload(upload_ms: Callable[[float, float], float]) -> str:
    """Exercise 4: how long a photo is on its way."""
    found = given(upload_ms(1.0, 8.0))
    need(found != 125.0, "a byte has eight bits.")
    need(found != 1.0, "the answer is wanted in milliseconds.")
    need(found == 1000.0, f"1 MB at 8 Mbit/s takes 1,000 ms, not {found}.")
    whole, small = (upload_ms(mb, 20.0) for mb in (PHONE_MEGABYTES, SMALL_MEGABYTES))
    return (
        f"At 20 Mbit/s a photo of {PHONE_MEGABYTES:g} MB takes {whole:,.0f} ms, the "
        f"same made smaller {small:.0f} ms. Put both beside the time of a prediction."
    )


@says
def alarm(
    alarm_at: Callable[[Sequence[float], float, int], int | None], noted: pd.DataFrame
) -> str:
    """Exercise 5: when would the monitoring have rung?

    Args:
        alarm_at: The reader's function of scores, a level and a window.
        noted: What the app of companion 6 noted, with the columns
            in_distribution_score and sent.
    """
    calm, falling = [0.8] * 30, [0.8] * 30 + [0.45] * 30
    found = given(alarm_at(falling, 0.5, 10))
    need(alarm_at(calm, 0.5, 10) is None, "where nothing falls it must give None.")
    need(
        alarm_at([0.1] * 3 + calm, 0.5, 10) is None,
        "three low scores at the start are no window of ten: wait until it is full.",
    )
    need(
        found in (34, 35),
        f"30 scores of 0.8, then 0.45: the median of ten falls below 0.5 at 34 or 35, "
        f"not at {found}. (A mean falls at another place.)",
    )
    first = noted.sent.iloc[0]
    usual = noted.in_distribution_score[noted.sent == first]
    found = alarm_at(list(noted.in_distribution_score), float(usual.quantile(0.1)), 25)
    if found is None:
        return "On what this run noted it never rings."
    return f"Here it rings at answer {found}, in the world of {noted.sent.iloc[found]}."


@says
def batch(
    answer_folder: Callable[[Predictor, Path], pd.DataFrame], predictor: Predictor
) -> str:
    """Exercise 6: a folder of pictures becomes a table, a bad file or not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, name in enumerate(CLASS_NAMES):
            shutil.copyfile(drawn_files(name)[0], folder / f"{number}.jpg")
        (folder / "3.jpg").write_bytes(b"not a picture")
        table = given(answer_folder(predictor, folder))
    need(isinstance(table, pd.DataFrame), "return a pandas DataFrame.")
    need(
        len(table) == 4, f"four files were there, and the table has {len(table)} rows."
    )
    missing = {"file", "dish", "probability", "knn_similarity"} - set(table.columns)
    need(not missing, f"these columns are missing: {', '.join(sorted(missing))}.")
    good = table[table.dish.notna()]
    need(len(good) == 3, "three files are pictures and want an answer each.")
    need(
        set(good.dish) <= set(predictor.about.class_names), "dish must be a class name."
    )
    return "One bad file loses none of the others."


@says
def http_client(ask: Callable[[str, Path], Sequence], folder: Path, file: Path) -> str:
    """Exercise 8: the app's API, asked with nothing but HTTP."""
    with run_demo(folder) as running:
        found = given(ask(running.url, file))
        scores, note = ask_demo(running.url, file)
    need(len(found) == 2, "the app returns two values: scores, and a note.")
    need(found[0]["label"] == scores["label"], "that is not the app's answer.")
    return f"{note.splitlines()[0]} So any language that speaks HTTP can ask."


@says
def smaller_upload(smaller: Callable[[Path], bytes], predictor: Predictor) -> str:
    """Exercise 9: make a photo smaller before it is sent, and keep the answer."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "large.jpg")
        drawn = load_picture(drawn_files(CLASS_NAMES[0])[0]).resize((3000, 2250))
        exif = Image.Exif()
        exif[Base.Orientation] = 6  # as phones do: it lies on its side, and says so
        lying = drawn.transpose(Image.Transpose.ROTATE_90)
        lying.save(file, quality=95, exif=exif)
        content = given(smaller(file))
        need(isinstance(content, bytes), "return the bytes of a JPEG.")
        before = file.stat().st_size
        was = predictor.predict(file)
    need(content[:2] == b"\xff\xd8", "these bytes are no JPEG.")
    need(len(content) < before / 4, "it could be far smaller: less than a quarter.")
    with Image.open(io.BytesIO(content)) as sent:  # its beginning only
        is_lying = sent.getexif().get(Base.Orientation, 1) >= 5
        width, height = reversed(sent.size) if is_lying else sent.size
    need(width > height, "it lies on its side: turn it as its EXIF note says.")
    need(max(width, height) <= 672, f"it has {width} by {height} pixels still.")
    need(abs(width / height - 4 / 3) < 0.02, "it is squashed: 4 to 3 was its shape.")
    need(height >= 224, f"{height} pixels are fewer than the network looks at.")
    now = predictor.predict(io.BytesIO(content))
    apart = max(abs(now.probabilities[n] - p) for n, p in was.probabilities.items())
    need(apart < 0.25, f"the answer moves by {apart:.2f}: keep the shape and quality.")
    return f"{before / len(content):.0f} times smaller, the answer within {apart:.3f}."


@says
def card(blind_spots: Callable[[dict], list[str]], gate: dict) -> str:
    """Companion 2: the dishes that the gate lets in more often than not."""
    near = {"ribs": [7, 75], "soup": [50, 75], "pie": [38, 75], "stew": [37, 75]}
    found = given(blind_spots({"near": near}))
    need(
        sorted(found) == ["ribs", "stew"],
        f"of four invented dishes it lists {found}; fewer than half were turned away "
        "of ribs and stew.",
    )
    spots = blind_spots(gate)
    here = f"does not know: {', '.join(spots)}" if spots else "no dish of that kind"
    return f"For the card of this run's model: {here}."
