"""Checks of what the reader writes in the lesson, and in exercises everywhere."""

import io
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from PIL import Image
from PIL.ExifTags import Base

from going_modular.app.model import DISH, NO_PLATE, OTHER, Answer, Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.datasets import load_picture
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.evaluation import Report, top_k_right
from going_modular.model_builder import FeatureExtractor

from .checking import expect, expect_count, given, need, pair, says


# A section each
@says
def play(answer: np.ndarray, expected: dict[str, float]) -> dict:
    """Section 0: the network's own answer (C,) for one picture."""
    need(not isinstance(answer, list | tuple), "three")
    answer, total = np.asarray(answer), len(expected)
    need(answer.shape == (total,), "shape", total=total, shape=answer.shape)
    need(np.allclose(answer, list(expected.values()), atol=1e-4), "wrong")
    return {"total": total, "sum": answer.sum()}


@says
def baseline(right: int, train: Sequence[int], test: Sequence[int]) -> dict:
    """Section 1: right answers of a model that always says the same; by labels."""
    train, test = list(train), list(test)
    favourite = max(set(train), key=train.count)
    expect_count(right, test.count(favourite), in_train=train.count(favourite))
    return {"right": right, "total": len(test)}


@says
def new_head(model: FeatureExtractor, base: torch.nn.Module) -> dict:
    """Section 2: a base with a head for five classes."""
    need(isinstance(model, FeatureExtractor), "together")
    need(model.base is base, "base")
    with torch.inference_mode():
        shape = tuple(model.eval()(torch.zeros(1, 3, 64, 64)).shape)
    need(shape == (1, 5), "shape", shape=shape)
    trained = [part for part in model.parameters() if part.requires_grad]
    return {"numbers": sum(part.numel() for part in trained)}


@says
def slow_ones(number: int, table: pd.DataFrame, limit_ms: float) -> dict:
    """Section 3: how many pictures kept somebody waiting for longer than a limit."""
    expected, forward = (table[["total_ms", "forward_ms"]] > limit_ms).sum().tolist()
    expect_count(number, expected, forward=forward)
    return {"expected": expected, "total": len(table), "limit_ms": limit_ms}


@says
def timed_answer(function: Callable, file: Path, expected: dict[str, float]) -> dict:
    """Section 4: a second output that says how long the answer took."""
    start = time.perf_counter()
    scores, text = pair(function(file))
    took_ms = 1000 * (time.perf_counter() - start)
    need(isinstance(scores, dict) and scores.keys() == expected.keys(), "first")
    found = re.search(r"([\d.]+) ?ms", text) if isinstance(text, str) else None
    need(found is not None, "second")
    is_near = took_ms / 3 - 1 < float(found[1]) <= took_ms + 1
    need(is_near, "clock", took_ms=took_ms, text=found[0])
    return {"text": text}


@says
def sentence(say: Callable[[Answer], str]) -> str:
    """Section 5: what a visitor reads, for each of the three verdicts."""
    dish = Answer({"sushi": 0.91, "pizza": 0.09}, 0.8, 0.7, DISH, 0.01)
    texts = {v: given(say(replace(dish, verdict=v))) for v in (DISH, OTHER, NO_PLATE)}
    for verdict, text in texts.items():
        need(text is not None, "none")
        need(isinstance(text, str), "kind", verdict=verdict, kind=type(text).__name__)
        need(text.strip() != "", "empty", verdict=verdict)
    need(len(set(texts.values())) == 3, "same")
    need("sushi" in texts[DISH], "unnamed")
    need("sushi" not in texts[NO_PLATE], "named")
    return " / ".join(texts.values())


@says
def changed_mind(number: int, answers: pd.DataFrame) -> dict:
    """Section 5: pictures that the file names otherwise than PyTorch."""
    expected, total = int((~answers.same_class).sum()), len(answers)
    expect_count(number, expected, alike=total - expected)
    return {"expected": expected, "total": total}


@says
def address(function: Callable[[str], str]) -> None:
    """Section 6: the address under which a Space can be embedded."""
    expect(function("ana/food"), "https://ana-food.hf.space")
    expect(function("Ana/Food_Vision_2"), "https://ana-food-vision-2.hf.space")


@says
def top_three(number: int, logits: torch.Tensor, labels: torch.Tensor) -> dict:
    """Section 7: photos whose dish is among the first three guesses; logits (N, C)."""
    expected, first = (top_k_right(logits, labels, k) for k in (3, 1))
    expect_count(number, expected, first=first)
    return {"expected": expected, "total": len(labels), "first": first}


# Exercises, of the lesson and of its companions
@says
def rule(choose: Callable[[dict], str], reports: dict[str, Report]) -> dict:
    """The fastest contender with at least 95% right; right answers of 150, and ms."""
    made = {"slow": (149, None, 60), "quick": (143, None, 20)}
    made |= {"quicker, but 94%": (141, None, 10), "rehearsed": (None, 148, 5)}
    invented = {n: Report(150, *of, ms, ms, ms, 20.0) for n, (*of, ms) in made.items()}
    expect(choose(invented), "quick", rehearsed="rehearsed", below="quicker, but 94%")
    return {"winner": choose(reports)}


@says
def own_split(split: Callable[[list, float], tuple[list, list]]) -> None:
    """Files for training and for the test, by a seed."""
    files = [f"{number:02}.jpg" for number in range(30)]
    train, test = (list(part) for part in pair(split(list(files), 0.2)))
    need(len(test) == 6, "size", size=len(test))
    need(sorted(train + test) == files, "once")
    need(test != files[:6] and test != files[-6:], "shuffle")
    need([*map(list, split(files[::-1], 0.2))] == [train, test], "order")


@says
def first_visit(weights: dict[str, int], folder: Path) -> dict:
    """The bytes of each file of the page."""
    need(isinstance(weights, dict), "dictionary")
    expected = {file.name: file.stat().st_size for file in Path(folder).iterdir()}
    lacking = sorted(expected.keys() - weights.keys())
    need(not lacking, "lacking", names=", ".join(lacking))
    need(weights == expected, "bytes")
    most, heaviest = max((size, name) for name, size in weights.items())
    total = sum(weights.values()) / 1e6
    return {"total": total, "heaviest": heaviest, "most": most / 1e6}


@says
def strictness(strictest: Callable, ours: Sequence, strangers: Sequence) -> dict:
    """The highest threshold that turns away at most a share of our own pictures."""
    scores = [0.9, 0.2, 0.6, 0.1, 0.5, 0.8, 0.4, 0.3, 0.7, 1.0]
    found = given(strictest(scores, 0.2))
    away = sum(score < found for score in scores)
    need(away <= 2, "too_strict", away=away)
    need(away == 2, "stricter", away=away)
    limits = {share: strictest(list(ours), share) for share in (0.02, 0.05, 0.10)}
    away = {share: sum(s < limit for s in strangers) for share, limit in limits.items()}
    total = len(strangers)
    counts = [f"at {share:.0%} of ours, {n} of {total}" for share, n in away.items()]
    return {"counts": "; ".join(counts)}


@says
def waiting(median_wait: Callable[[Callable, Sequence], float]) -> None:
    """The median wait, with a warm-up that is not counted."""
    now, asked = 0.0, []
    seconds = {"first": 9.0, "a": 1.0, "b": 6.0, "c": 2.0}

    def ask(file: str) -> None:
        nonlocal now
        asked.append(file)
        now += seconds[file]

    clocks = {name: lambda: now for name in ("perf_counter", "monotonic", "time")}
    with patch.multiple("time", **clocks):
        found = given(median_wait(ask, list(seconds)))
    need(len(asked) > 0, "never")
    need(asked[0] == "first", "first")
    expect(found, 2.0, counted=4.0, mean=3.0)


@says
def upload(upload_ms: Callable[[float, float], float]) -> dict:
    """How long a photo is on its way."""
    expect(upload_ms(1.0, 8.0), 1000.0, bits=125.0, seconds=1.0)
    return {"phone": upload_ms(4.0, 20.0), "small": upload_ms(0.06, 20.0)}


@says
def alarm(alarm_at: Callable, noted: pd.DataFrame) -> dict | str:
    """When the monitoring would have rung, by scores, a level and a window."""
    calm, falling = [0.8] * 30, [0.8] * 30 + [0.45] * 30
    found = given(alarm_at(falling, 0.5, 10))
    need(alarm_at(calm, 0.5, 10) is None, "calm")
    need(alarm_at([0.1] * 3 + calm, 0.5, 10) is None, "full")
    need(found in (34, 35), "wrong", found=found)
    first = noted.sent.iloc[0]
    usual = noted.in_distribution_score[noted.sent == first]
    found = alarm_at(list(noted.in_distribution_score), float(usual.quantile(0.1)), 25)
    if found is None:
        return "On what this run noted it never rings."
    return {"answer": found, "world": noted.sent.iloc[found]}


@says
def batch(answer_folder: Callable, predictor: Predictor) -> None:
    """A folder of pictures becomes a table, a bad file or not."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, name in enumerate(CLASS_NAMES):
            shutil.copyfile(drawn_files(name)[0], folder / f"{number}.jpg")
        (folder / "3.jpg").write_bytes(b"not a picture")
        table = given(answer_folder(predictor, folder))
    need(isinstance(table, pd.DataFrame), "table")
    need(len(table) == 4, "rows", rows=len(table))
    missing = {"file", "dish", "probability", "knn_similarity"} - set(table.columns)
    need(not missing, "missing", columns=", ".join(sorted(missing)))
    good = table[table.dish.notna()]
    need(len(good) == 3, "three")
    need(set(good.dish) <= set(predictor.about.class_names), "name")


@says
def http_client(ask: Callable[[str, Path], Sequence], folder: Path, file: Path) -> dict:
    """The app's API, asked with nothing but HTTP."""
    with run_demo(folder) as running:
        found, _ = pair(ask(running.url, file))
        scores, note = ask_demo(running.url, file)
    expect(found["label"], scores["label"])
    return {"note": note.splitlines()[0]}


@says
def smaller_upload(smaller: Callable[[Path], bytes], predictor: Predictor) -> dict:
    """Make a photo smaller before it is sent, and keep the answer."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "large.jpg")
        drawn = load_picture(drawn_files(CLASS_NAMES[0])[0]).resize((2000, 1500))
        exif = Image.Exif()
        exif[Base.Orientation] = 6  # as phones do: it lies on its side, and says so
        lying = drawn.transpose(Image.Transpose.ROTATE_90)
        lying.save(file, quality=95, exif=exif)
        content = given(smaller(file))
        need(isinstance(content, bytes), "jpeg")
        before = file.stat().st_size
        was = predictor.predict(file)
    need(content[:2] == b"\xff\xd8", "jpeg")
    need(len(content) < before / 4, "quarter")
    with Image.open(io.BytesIO(content)) as sent:  # its beginning only
        is_lying = sent.getexif().get(Base.Orientation, 1) >= 5
        width, height = reversed(sent.size) if is_lying else sent.size
    need(width > height, "lying")
    need(max(width, height) <= 672, "pixels", width=width, height=height)
    need(abs(width / height - 4 / 3) < 0.02, "squashed")
    need(height >= 224, "few", height=height)
    now = predictor.predict(io.BytesIO(content))
    apart = max(abs(now.probabilities[n] - p) for n, p in was.probabilities.items())
    need(apart < 0.25, "moved", apart=apart)
    return {"times": before / len(content), "apart": apart}


@says
def card(blind_spots: Callable[[dict], list[str]], gate: dict) -> dict:
    """Companion 2: the dishes that the gate lets in more often than not."""
    near = {"ribs": [7, 75], "soup": [50, 75], "pie": [38, 75], "stew": [37, 75]}
    found = given(blind_spots({"near": near}))
    need(sorted(found) == ["ribs", "stew"], "wrong", found=found)
    spots = blind_spots(gate)
    here = f"does not know: {', '.join(spots)}" if spots else "no dish of that kind"
    return {"here": here}
