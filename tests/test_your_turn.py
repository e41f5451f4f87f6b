"""Checks of what the reader writes: wrong answers get the next step, never an error."""

import base64
import gzip
import io
import json
import re
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from course_copy import ROOT
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import TensorDataset

from going_modular.app.model import DISH, Answer, PictureError, Predictor
from going_modular.companion import COMMITTED
from going_modular.engine import CVResult, Epoch, Score, Settings
from going_modular.model_builder import Built, FeatureExtractor
from going_modular.stored_features import read_features
from going_modular.your_turn import counting, lesson, shipping
from going_modular.your_turn.checking import TEXTS
from pocket.carried import read_known

PROBABILITIES = {"pizza": 0.7, "steak": 0.2, "sushi": 0.1}
ANSWER = np.array([0.7, 0.2, 0.1])
TRAIN, TEST = [0, 0, 0, 1, 2], [0, 1, 1]
WAITS = pd.DataFrame({"total_ms": [10, 40, 50], "forward_ms": [5, 10, 45]})
LOGITS = torch.tensor([[9.0, 1, 2, 3], [9, 1, 2, 3], [1, 2, 3, 9]])
LABELS = torch.tensor([0, 3, 0])
COMPARED = pd.DataFrame({"same_class": [True, True, False]})
BASE = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8))
FILES = [f"{number:02}.jpg" for number in range(30)]
GRID = [Settings(1e-3, 0), Settings(1e-2, 1e-2)]
# Four answers; three are more than 90% sure, two are right, one is both.
FAIR = torch.tensor([[0.95, 0.05], [0.92, 0.08], [0.04, 0.96], [0.3, 0.7]])
FAIR_LABELS = torch.tensor([0, 1, 0, 1])
MEASURED = {"fp32": {"right": 9, "same": 9, "total": 9, "megabytes": 4.0}}
PROFILE = pd.DataFrame(
    {"multiplications, millions": [50, 500], "ms": [60.0, 30.0]},
    index=["depthwise convolutions", "other convolutions"],
)
ONE, OTHER = np.array([0.12, 0.2499, 0.9]), np.array([0.1201, 0.2501, 0.9])
PRESSED = pd.DataFrame(
    {
        "thumb": ["up", "down", "down", "down"],
        "outcome": ["right, let through", *2 * ["right, turned away"], "wrong"],
        "sent": ["real photos"] * 4,
    }
)
NOTED = pd.DataFrame({"in_distribution_score": [0.9] * 60, "sent": ["photos"] * 60})
FEW, FEW_LABELS = torch.tensor([0, 1]), torch.tensor([0, 1, 0])
FEW_LOGITS = torch.tensor([[9.0, 1, 2], [1, 2, 9], [2, 1, 3]])
EYE = torch.eye(4)
OTHERS = ROOT / "data" / "other_dishes_effnet_lite2_224.npz"
THREE = read_features(OTHERS).train.tensors[0][-3:]


def extractor(base, outputs=5):
    return FeatureExtractor(base, nn.Linear(8, outputs))


def slow(told_ms):
    time.sleep(0.03)
    return PROBABILITIES, f"{told_ms} ms"


def boom(*_):
    raise KeyError("steak")


def tried(*settings):
    score = Score(loss_sum=0.5, right=1, total=1)
    return [CVResult(s, [Epoch(score, score)], torch.empty(1, 3)) for s in settings]


def standardised(first, second, our_first, our_second):
    pairs = ((first, our_first), (second, our_second))
    return sum((scores - ours.mean()) / ours.std() for scores, ours in pairs)


def asking(answer, *, first=0):
    """What asks about the files, all but the first ones, and returns an answer."""

    def median_wait(ask, files):
        for file in files[first:]:
            ask(file)
        return answer

    return median_wait


def answer_to(status=400, key="detail"):
    def adapter(body):
        try:
            answer = Predictor(COMMITTED).predict(io.BytesIO(body))
        except PictureError as error:
            return status, {key: str(error)}
        return 200, {"verdict": answer.verdict, "text": answer.text}

    return adapter


def body_of(files):
    texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
    return json.dumps({"instances": [{"b64": text} for text in texts]}).encode()


def shrink(file, *, turn=True, size=None, most=672):
    image = Image.open(file)
    image = ImageOps.exif_transpose(image) if turn else image
    image = image.resize(size) if size else image
    image.thumbnail((most, most))
    content = io.BytesIO()
    image.save(content, "JPEG")
    return content.getvalue()


def dishes(named):
    """A table of four files, of which some are named."""
    table = pd.DataFrame(index=range(4), columns=["file", "probability"])
    table["knn_similarity"] = 0.9
    return table.assign(dish=["dodo"] * named + [None] * (4 - named))


def more_classes(outputs, *, base=BASE, scale=1):
    """A base with a head that tells rows of EYE apart."""
    head = nn.Linear(4, outputs, bias=False).requires_grad_(False)
    head.weight.copy_(scale * EYE[:outputs])
    return Built(FeatureExtractor(base, head), None, None, True)


MINI = SimpleNamespace(
    built=more_classes(3),
    photos=SimpleNamespace(names="abc", test=TensorDataset(EYE[:3], torch.arange(3))),
    others=SimpleNamespace(test_of=lambda dish: EYE[3:]),
)


class Stub:
    """Answers the same for anything."""

    def predict(self, _):
        return Answer(PROBABILITIES, 0.9, 0.9, DISH, 0.01)


# A check, its further arguments, and answers by the key of the text that each gets.
CASES = [
    ("play", [PROBABILITIES], {
        "three": [ANSWER], "shape": np.float64(0.7), "wrong": ANSWER[::-1],
        "right": ANSWER}),
    ("baseline", [TRAIN, TEST], {
        "in_train": 3, "share": 1 / 3, "several": [1, 0], "wrong": 2, "right": 1}),
    ("new_head", [BASE], {
        "together": nn.Linear(8, 5), "base": extractor(nn.Linear(3, 8)),
        "shape": extractor(BASE, 3), "right": extractor(BASE)}),
    ("slow_ones", [WAITS, 33.3], {"forward": 1, "wrong": 3, "right": 2}),
    ("timed_answer", ["x", PROBABILITIES], {
        "your code raised KeyError: 'steak'": boom, "dots": lambda _: ...,
        "pair": lambda _: 1, "first": lambda _: ({}, "7 ms"),
        "second": lambda _: (PROBABILITIES, "7"), "clock": lambda _: slow(0),
        "right": lambda _: slow(30)}),
    ("sentence", [], {
        "none": lambda answer: None, "kind": lambda answer: 7,
        "empty": lambda answer: " ", "same": lambda answer: answer.best[0],
        "unnamed": lambda answer: answer.verdict,
        "named": lambda answer: f"{answer.verdict} {answer.best[0]}"}),
    ("changed_mind", [COMPARED], {"alike": 2, "wrong": 3, "right": 1}),
    ("address", [], {"wrong": lambda space: f"https://{space}.hf.space"}),
    ("top_three", [LOGITS, LABELS], {"first": 1, "wrong": 3, "right": 2}),
    ("rule", [{}], {
        "rehearsed": lambda _: "rehearsed", "below": lambda _: "quicker, but 94%",
        "wrong": lambda _: "slow", "right": lambda _: "quick"}),
    ("own_split", [], {
        "pair": lambda *_: 1, "size": lambda files, _: (files[9:], files[:9]),
        "once": lambda files, _: (files, files[:6]),
        "shuffle": lambda files, _: (files[6:], files[:6]),
        "order": lambda files, _: (files[:2] + files[8:], files[2:8])}),
    ("first_visit", [ROOT / ".ci"], {
        "dictionary": 5, "lacking": {}, "bytes": {"run": 0}}),
    ("strictness", [[0.5] * 20, [0.1]], {
        "too_strict": lambda *_: 2.0, "stricter": lambda *_: 0.0}),
    ("waiting", [], {
        "never": lambda *_: 2.0, "first": asking(2.0, first=1), "mean": asking(3.0),
        "counted": asking(4.0), "wrong": asking(9.0), "right": asking(2.0)}),
    ("upload", [], {
        "bits": lambda mb, rate: mb / rate * 1000, "seconds": lambda mb, r: 8 * mb / r,
        "wrong": lambda *_: 7, "right": lambda mb, rate: 8000 * mb / rate}),
    ("card", [{"near": {"ribs": [7, 75], "soup": [50, 75]}}], {
        "wrong": lambda gate: [], "right": lambda gate: [
            name for name, (away, sent) in gate["near"].items() if away < sent / 2]}),
    ("batch", [SimpleNamespace(about=SimpleNamespace(class_names=["a"]))], {
        "table": lambda *_: [], "rows": lambda *_: pd.DataFrame(),
        "missing": lambda *_: pd.DataFrame(index=range(4)),
        "three": lambda *_: dishes(4), "name": lambda *_: dishes(3)}),
    ("alarm", [NOTED], {
        "calm": lambda *_: 3,
        "wrong": lambda scores, *_: 31 if 0.45 in scores else None,
        "full": lambda scores, *_: 34 if min(scores) < 0.8 else None,
        "Right. On what this run noted": (
            lambda scores, *_: 34 if 0.45 in scores else None)}),
    ("smaller_upload", [Stub()], {
        "jpeg": lambda file: b"", "quarter": lambda file: file.read_bytes(),
        "lying": partial(shrink, turn=False), "pixels": partial(shrink, most=900),
        "squashed": partial(shrink, size=(672, 600)),
        "few": partial(shrink, size=(200, 150)), "right": shrink}),
    ("photos_needed", [], {
        "hundreds": 1150, "wide": 300, "fewer": 2000, "right": 1200}),
    ("wider", [GRID], {
        "untried": GRID, "inside": tried(*GRID, Settings(1, 0)),
        "right": tried(Settings(1e-2, 1), Settings(1, 0))}),
    ("promise", [FAIR, FAIR_LABELS], {
        "dots": ..., "share": 2 / 3, "sure": 3, "however_sure": 2, "wrong": 4,
        "right": torch.tensor(1)}),
    ("score", [], {
        "dots": lambda *_: ..., "tensor": lambda *_: 1,
        "shape": lambda *scores: standardised(*scores).mean(), "sum": standardised,
        "as_they_are": lambda first, second, *_: (first + second).sigmoid(),
        "wrong": lambda *scores: -standardised(*scores),
        "right": lambda *scores: standardised(*scores).sigmoid()}),
    ("integers", [], {
        "dots": lambda *_: ..., "pair": lambda w, n: w,
        "one_scale": lambda w, n: (w, w), "no_abs": lambda w, n: (w, w.max() / n),
        "scale": lambda w, n: (w, w.abs().max()), "whole": lambda w, n: (w, 0.5),
        "nearest": lambda w, n: ((2 * w).ceil(), 0.5),
        "right": lambda w, n: ((2 * w).round(), 0.5)}),
    ("pick", [MEASURED], {
        "wrong": lambda _: "int2", "int4": lambda _: "int4", "int8": lambda _: "int8",
        "fp32": lambda _: "fp32", "alone": lambda _: "fp16"}),
    ("one_picture", [COMMITTED], {
        "path": "nothing.onnx", "usual": COMMITTED}),
    ("profile", [PROFILE], {
        "of_all": 2.0, "inverse": 0.05, "wrong": 7, "right": 20.0}),
    ("fallen", [ONE, OTHER, 0.1], {"unrounded": 2, "wrong": 0, "right": 1}),
    ("live_mean", [], {
        "dots": lambda *_: ..., "shape": lambda answers, _: 0.5,
        "last": lambda answers, _: answers[-1][1], "wrong": lambda *_: [0, 1],
        "of_all": lambda answers, _: np.mean([each for _, each in answers], axis=0),
        "right": lambda *_: [0.4, 0.6]}),
    ("unpacked", [None, {}], {
        "dots": lambda *_: ..., "folder": lambda *_: 6000, "wrong": lambda *_: 5999,
        "packed": lambda *_: 300 + len(gzip.compress(bytes(5000))),
        "Right. (There is no page": lambda *_: 5300}),
    ("gate_at_fault", [PRESSED], {
        "all_unhappy": 3, "wrong": 1, "right": 2}),
    ("seen_share", [PRESSED], {
        "as_they_are": lambda down, up, _: down / (down + up),
        "alike": lambda down, up, times: times * down / up,
        "wrong": lambda down, up, times: down / (down + up) ** times,
        "again": lambda down, up, times: times / (times + 3),
        "right": lambda down, up, times: times * down / (times * down + up)}),
    ("computers", [0.02], {
        "whole": 3.4, "minutes": 202, "too_few": 3, "too_many": 5, "right": 4}),
    ("among", [FEW_LOGITS, FEW_LABELS, FEW], {
        "among_all": 1, "wrong": 2, "right": 3}),
    ("worst_class", [FEW, FEW, ["a", "b"]], {
        "pair": lambda *_: "stew", "most_wrong": lambda *_: ("pie", "soup"),
        "dish": lambda *_: ("soup", "pie"), "itself": lambda *_: ("stew", "stew"),
        "taken_for": lambda *_: ("stew", "pie")}),
    ("invocations", [Predictor(COMMITTED)], {
        "pair": lambda _: 200, "status_200": lambda _: (404, {}),
        "text": lambda _: (200, {}), "status_400": answer_to(500),
        "detail": answer_to(key="error"), "right": answer_to()}),
    ("vertex_body", [], {
        "bytes": lambda files: body_of(files).decode(), "json": lambda _: b"[]",
        "two": lambda files: body_of(files[:1]),
        "content": lambda files: body_of(files[::-1]), "right": body_of}),
    ("mistaken", [torch.tensor([3, 0, 3, 1]), 3], {"wrong": 1, "right": 2}),
    ("leave_one_out", [read_known(COMMITTED), THREE], {
        "seen": lambda photos: 3, "wrong": lambda photos: -1,
        "right": lambda photos: 0}),
    ("one_class_more", [MINI, "soup"], {
        "start": nn.Identity(), "base": more_classes(4, base=nn.Identity()),
        "outputs": more_classes(3), "untrained": more_classes(4, scale=-1),
        "Right. ours: 3 of 3 test photos right; soup: 1 of 1.": more_classes(4)}),
]  # fmt: skip

EACH = [(*case[:2], *answer) for case in CASES for answer in case[2].items()]
NAMES = [f"{check}.{key}" for check, _, key, _ in EACH]


CHECKS = vars(lesson) | vars(counting) | vars(shipping)


@pytest.mark.parametrize(("check", "more", "key", "answer"), EACH, ids=NAMES)
def test_a_check_says_what_is_wrong_or_that_it_is_right(
    check, more, key, answer, capsys
):
    CHECKS[check](answer, *more)
    printed = capsys.readouterr().out
    start = "Right. " if key.lower().startswith("right") else "Not yet: "
    assert printed.startswith(start), printed
    for part in re.split(r"{[^{}]*}", (TEXTS["all"] | TEXTS[check]).get(key, key)):
        assert part in printed


def test_every_text_is_tried_and_three_dots_are_no_answer(capsys):
    """What is right is tried by the notebooks, too; the rest of companion 5, there."""
    elsewhere = {
        "one_picture.other_file",
        "invocations.verdict",
        "smaller_upload.moved",
    }
    for check, *_ in CASES:
        untried = {f"{check}.{key}" for key in TEXTS[check]}
        assert untried - {*NAMES, *elsewhere} <= {f"{check}.right"}
        CHECKS[check](...)
        assert "Not yet: put your own code" in capsys.readouterr().out
