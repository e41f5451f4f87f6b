"""Checks of what the reader writes: wrong answers get the next step, never an error."""

import io
import time
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from statistics import mean, median

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from torch import nn

from going_modular import your_turn
from going_modular.app.model import DISH, NO_PLATE, OTHER, Answer
from going_modular.model_builder import FeatureExtractor
from going_modular.your_turn import exercises, sections

PROBABILITIES = {"pizza": 0.7, "steak": 0.2, "sushi": 0.1}
TRAIN, TEST = [0, 0, 0, 1, 2], [0, 1, 1]
WAITS = pd.DataFrame({"total_ms": [10, 40, 50], "forward_ms": [5, 10, 45]})
LOGITS = torch.tensor([[9.0, 1, 2, 3], [9, 1, 2, 3], [1, 2, 3, 9]])
LABELS = torch.tensor([0, 3, 0])
NOTED = pd.DataFrame(
    {"in_distribution_score": [0.9] * 60, "sent": ["real photos"] * 60}
)
GATE = {"near": {"ribs": [7, 75], "soup": [50, 75]}}


def boom(*_):
    raise KeyError("steak")


def one_sentence(answer):
    return f"It is {answer.best[0]}."


def three_sentences(answer):
    if answer.verdict in (OTHER, NO_PLATE):
        return answer.verdict
    return one_sentence(answer)


def slow(told_ms):
    time.sleep(0.03)
    return PROBABILITIES, f"{told_ms} ms"


def waits(ask, files):
    """What each file takes, by the clock that the check has set up."""
    found = []
    for file in files:
        start = time.perf_counter()
        ask(file)
        found.append(time.perf_counter() - start)
    return found


def ring(middle, scores, level, window, *, early=False):
    for end in range(1 if early else window, len(scores) + 1):
        if middle(scores[max(0, end - window) : end]) < level:
            return end - 1
    return None


def extractor(base, outputs=5):
    return FeatureExtractor(base, nn.Linear(8, outputs))


BASE = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8))
TELLS = [
    (sections.play, [[np.array([0.7, 0.2, 0.1])], PROBABILITIES], "Not yet: `run`"),
    (sections.play, [np.float64(0.7), PROBABILITIES], "keep all 3 numbers"),
    (sections.play, [np.array([0.1, 0.2, 0.7]), PROBABILITIES], "not the probabi"),
    (sections.play, [np.array([0.7, 0.2, 0.1]), PROBABILITIES], "Right. 3 prob"),
    (sections.baseline, [3, TRAIN, TEST], "in the test pictures, not in train"),
    (sections.baseline, [1 / 3, TRAIN, TEST], "not a share"),
    (sections.baseline, [2, TRAIN, TEST], "most frequent"),
    (sections.baseline, [1, TRAIN, TEST], "Right. 1 of 3"),
    (sections.new_head, [nn.Linear(8, 5), BASE], "FeatureExtractor(base, head)"),
    (sections.new_head, [extractor(BASE, 3), BASE], "(1, 3), not (1, 5)"),
    (sections.new_head, [extractor(nn.Linear(3, 8)), BASE], "take the base"),
    (sections.new_head, [extractor(BASE), BASE], "Right. 45 numbers"),
    (sections.slow_ones, [1, WAITS, 33.3], "take total_ms"),
    (sections.slow_ones, [3, WAITS, 33.3], "above 33.3"),
    (sections.slow_ones, [2, WAITS, 33.3], "Right. 2 of 3"),
    (sections.timed_answer, [boom, "x", PROBABILITIES], "raised KeyError: 'steak'"),
    (sections.timed_answer, [lambda _: ..., "x", PROBABILITIES], "three dots"),
    (sections.timed_answer, [lambda _: 1, "x", PROBABILITIES], "two values"),
    (sections.timed_answer, [lambda _: (PROBABILITIES, "7"), "x", PROBABILITIES], "ms"),
    (sections.timed_answer, [lambda _: (PROBABILITIES, "7 ms"), "x", PROBABILITIES],
     "counts in seconds"),
    (sections.timed_answer, [lambda _: slow(0), "x", PROBABILITIES], "you say 0 ms"),
    (sections.timed_answer, [lambda _: slow(30), "x", PROBABILITIES], "Right."),
    (sections.sentence, [one_sentence], "same sentence"),
    (sections.sentence, [lambda a: f"{a.verdict} {a.best[0]}"], "name no dish"),
    (sections.sentence, [three_sentences], "Right. It is sushi."),
    (sections.address, [lambda s: f"https://{s}.hf.space"], "lives at https://ana-f"),
    (sections.address, [lambda s: "https://" + s.lower().replace("/", "-").replace(
        "_", "-") + ".hf.space"], "Right."),
    (sections.top_three, [1, LOGITS, LABELS], "first guess alone"),
    (sections.top_three, [3, LOGITS, LABELS], "row of three"),
    (sections.top_three, [2, LOGITS, LABELS], "Right. 2 of 3"),
    (exercises.rule, [lambda _: "rehearsed", {}], "cannot win"),
    (exercises.rule, [lambda _: "quicker, but 94%", {}], "141 of 150"),
    (exercises.rule, [lambda _: "quick", {}], "Right."),
    (exercises.strictness, [lambda s, _: 2.0, [1], [1]], "turns 10 away"),
    (exercises.strictness, [lambda s, _: 0.0, [1], [1]], "stricter"),
    (exercises.strictness, [lambda s, share: sorted(s)[int(share * len(s))],
     [0.5] * 20, [0.1]], "Right. Strangers turned away: at 2% of ours, 1 of 1"),
    (exercises.waiting, [lambda ask, files: 1], "never calls"),
    (exercises.waiting, [lambda ask, files: median(waits(ask, files[1:]))],
     "first, too"),
    (exercises.waiting, [lambda ask, files: mean(waits(ask, files)[1:])], "the mean"),
    (exercises.waiting, [lambda ask, files: median(waits(ask, files))], "warms up"),
    (exercises.waiting, [lambda ask, files: median(waits(ask, files)[1:])], "Right."),
    (exercises.upload, [lambda mb, rate: mb / rate * 1000], "eight bits"),
    (exercises.upload, [lambda mb, rate: 8 * mb / rate], "milliseconds"),
    (exercises.upload, [lambda mb, rate: 8000 * mb / rate], "Right. At 20"),
    (exercises.card, [lambda gate: [], GATE], "ribs and stew"),
    (exercises.card, [lambda gate: [n for n, (a, b) in gate["near"].items()
     if a < b / 2], GATE], "does not know: ribs"),
    (exercises.batch, [lambda predictor, folder: [], None], "DataFrame"),
    (exercises.batch, [lambda predictor, folder: pd.DataFrame(), None], "0 rows"),
    (exercises.alarm, [lambda scores, level, window: 3, pd.DataFrame()], "None"),
    (exercises.alarm, [lambda *asked: ring(mean, *asked), NOTED], "at another place"),
    (exercises.alarm, [lambda *asked: ring(median, *asked, early=True), NOTED],
     "wait until it is full"),
    (exercises.alarm, [lambda *asked: ring(median, *asked), NOTED], "Right. On what"),
    (exercises.smaller_upload, [lambda file: ..., None], "three dots"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "arguments", "told"), TELLS)
def test_a_check_says_what_is_wrong_or_that_it_is_right(
    check, arguments, told, capsys, request
):
    if check is exercises.smaller_upload:
        arguments = [arguments[0], Stub()]
    check(*arguments)
    said = capsys.readouterr().out
    assert said.startswith(("Right. ", "Not yet: ")) and told in said
    assert said.startswith("Right.") == told.startswith(("Right", "does not know"))


class Stub:
    """Answers the same for anything."""

    def predict(self, _):
        return Answer(PROBABILITIES, 0.9, 0.9, DISH, 0.01)


def test_a_smaller_photo_is_upright_and_in_shape(capsys):
    def shrink(file, *, turn=True, size=None, quality=90):
        image = Image.open(file)
        image = ImageOps.exif_transpose(image) if turn else image
        image = image.resize(size) if size else image
        image.thumbnail((672, 672))
        content = io.BytesIO()
        image.save(content, "JPEG", quality=quality)
        return content.getvalue()

    told = {
        "on its side": {"turn": False},
        "squashed": {"size": (672, 600)},
        "fewer than": {"size": (200, 150)},
        "Right. ": {},
    }
    for words, options in told.items():
        exercises.smaller_upload(partial(shrink, **options), Stub())
        assert words in capsys.readouterr().out


@pytest.mark.parametrize("module", [m.name for m in iter_modules(your_turn.__path__)])
def test_all_checks_take_dots_for_not_yet(module, capsys):
    module = import_module(f"{your_turn.__name__}.{module}")
    for check in vars(module).values():
        if hasattr(check, "__wrapped__") and check.__module__ == module.__name__:
            check(...)
            assert capsys.readouterr().out.startswith("Not yet: put your own code")
