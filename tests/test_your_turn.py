"""What companions start from, and checks: wrong answers get a next step, no error."""

import base64
import gzip
import io
import json
import re
import time
import tomllib
from functools import partial  # noqa: F401
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from course_copy import ROOT
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import TensorDataset

from going_modular import companion
from going_modular.app.model import DISH, Answer, PictureError, Predictor
from going_modular.companion import COMMITTED
from going_modular.engine import CVResult, Epoch, Score, Settings
from going_modular.export import activation_ranges
from going_modular.model_builder import Built, FeatureExtractor
from going_modular.stored_features import read_features
from going_modular.your_turn import companions, lesson
from going_modular.your_turn.checking import TEXTS
from pocket.model_file import read_known

PROBABILITIES = {"pizza": 0.7, "steak": 0.2, "sushi": 0.1}
ANSWER = np.array([0.7, 0.2, 0.1])
STUB = SimpleNamespace(predict=lambda _: Answer(PROBABILITIES, 0.9, 0.9, DISH, 0.01))
PACKED = gzip.compress(bytes(5000))
KNOWN = read_known(COMMITTED)
BASE = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8))
GRID = [Settings(1e-3, 0), Settings(1e-2, 1e-2)]
PRESSED = pd.DataFrame({"thumb": ["up", "down", "down", "down"]})
PRESSED["outcome"] = ["right, let through", *2 * ["right, turned away"], "wrong"]
PRESSED["sent"] = "real photos"
FEW = torch.tensor([0, 1])
EYE = torch.eye(4)
OTHERS = ROOT / "data" / "other_dishes_effnet_lite2_224.npz"
THREE = read_features(OTHERS).train.tensors[0][-3:]


def extractor(base, outputs=5):
    return FeatureExtractor(base, nn.Linear(8, outputs))


def slow(told_ms):
    time.sleep(0.03)
    return PROBABILITIES, f"{told_ms} ms"


def tried(*settings):
    score = Score(loss_sum=0.5, right=1, total=1)
    return [CVResult(s, [Epoch(score, score)], torch.empty(1, 3)) for s in settings]


def standardised(first, second, our_first, our_second):
    pairs = ((first, our_first), (second, our_second))
    return sum((scores - ours.mean()) / ours.std() for scores, ours in pairs)


def asking(answer, ask, files, *, first=0):
    """Asks about the files, all but the first ones, and returns an answer."""
    for file in files[first:]:
        ask(file)
    return answer


def answer_to(body, status=400, key="detail"):
    try:
        answer = Predictor(COMMITTED).predict(io.BytesIO(body))
    except PictureError as error:
        return status, {key: str(error)}
    return 200, {"verdict": answer.verdict, "text": answer.text}


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


CHECKS = vars(lesson) | vars(companions)
ANSWERS = tomllib.loads(Path(__file__).with_name("your_turn.toml").read_text("utf-8"))
EACH = [(c, key) for c, answers in ANSWERS.items() for key in answers if key != "given"]


@pytest.mark.parametrize(("check", "key"), EACH, ids=map(".".join, EACH))
def test_a_check_says_what_is_wrong_or_that_it_is_right(check, key, capsys):
    texts = {"given": "()"} | ANSWERS[check]
    answer, given = (eval(f"({texts[of]})", globals()) for of in (key, "given"))
    CHECKS[check](answer, *(given if isinstance(given, tuple) else (given,)))
    printed = capsys.readouterr().out
    start = "Right. " if key.lower().startswith("right") else "Not yet: "
    assert printed.startswith(start), printed
    for part in re.split(r"{[^{}]*}", (TEXTS["all"] | TEXTS[check]).get(key, key)):
        assert part in printed


def test_every_text_is_tried_and_three_dots_are_no_answer(capsys):
    """What is right is tried by the notebooks, too; the rest of companion 5, there."""
    others = {"one_picture.other_file", "invocations.verdict", "smaller_upload.moved"}
    for check, answers in ANSWERS.items():
        untried = {f"{check}.{key}" for key in TEXTS[check].keys() - answers.keys()}
        assert untried - others <= {f"{check}.right"}
        CHECKS[check](...)
        assert "Not yet: put your own code" in capsys.readouterr().out


def test_the_reader_s_own_file_counts_where_there_is_one(tmp_path, monkeypatch, capsys):
    own = tmp_path / "mine.onnx"
    monkeypatch.setattr(companion, "OWN", own)
    assert companion.open_file()[0] == COMMITTED
    own.write_bytes(COMMITTED.read_bytes())
    monkeypatch.setattr(companion, "ROOT", tmp_path)
    assert companion.open_file()[0] == own
    assert "Model: your own mine.onnx, EffNet-Lite2" in capsys.readouterr().out
    monkeypatch.undo()
    assert companion.open_file(own=False)[0] == COMMITTED
    assert "the committed models/foodvision_mini.onnx" in capsys.readouterr().out


def test_what_the_committed_file_knows_without_pictures():
    widths = list(activation_ranges(COMMITTED).values())
    assert 0.5 < sum(abs(width - 6) < 0.01 for width in widths) / len(widths) < 0.6
    assert companions.first_step(COMMITTED) == pytest.approx(2 / 255)
