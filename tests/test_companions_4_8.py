"""Companions 4 and 8: which model they take, and what their checks say of an answer."""

import base64
import gzip
import io
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from going_modular import companion
from going_modular.app.model import PictureError
from going_modular.your_turn import companion_4, companion_8

PROFILE = pd.DataFrame(
    {"multiplications, millions": [50, 500], "ms": [60.0, 30.0]},
    index=["depthwise convolutions", "other convolutions"],
)
ONE, OTHER = np.array([0.12, 0.2499, 0.9]), np.array([0.1201, 0.2501, 0.9])


@pytest.fixture(scope="module")
def predictor():
    return companion.open_file(own=False)[1]


def mean_since(seconds):
    return lambda answers, now: np.mean(
        [each for then, each in answers if now - then < seconds], axis=0
    )


def size(folder, names, *, unpack):
    contents = [(folder / name).read_bytes() for name in names]
    is_packed = [unpack and name.endswith(".gz") for name in names]
    pairs = zip(contents, is_packed, strict=True)
    return sum(len(gzip.decompress(c) if packed else c) for c, packed in pairs)


def answer_to(predictor, status=400, key="detail"):
    def adapter(body):
        try:
            answer = predictor.predict(io.BytesIO(body))
        except PictureError as error:
            return status, {key: str(error)}
        return 200, {"verdict": answer.verdict, "text": answer.text}

    return adapter


def body_of(files):
    texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
    return json.dumps({"instances": [{"b64": text} for text in texts]}).encode()


@pytest.mark.parametrize(
    ("check", "args", "says"),
    [
        (companion_4.profile, [..., PROFILE], "three dots"),
        (companion_4.profile, [2.0, PROFILE], "all of their time"),
        (companion_4.profile, [0.05, PROFILE], "other way round"),
        (companion_4.profile, [7, PROFILE], "in both rows"),
        (companion_4.profile, [20.0, PROFILE], "Right. 20 times"),
        (companion_4.fallen, [2, ONE, OTHER, 0.1], "Round both first"),
        (companion_4.fallen, [0, ONE, OTHER, 0.1], "count where"),
        (companion_4.fallen, [1, ONE, OTHER, 0.1], "Right. 1 of 3 numbers"),
        (companion_4.live_mean, [lambda *_: ...], "three dots"),
        (companion_4.live_mean, [lambda all, _: 0.5], "one probability for each"),
        (companion_4.live_mean, [lambda all, _: all[-1][1]], "bars shake"),
        (companion_4.live_mean, [mean_since(9)], "leave the old ones out"),
        (companion_4.live_mean, [lambda *_: [0, 1]], "their mean is [0.4, 0.6]"),
        (companion_4.live_mean, [mean_since(0.5)], "Right."),
        (companion_4.unpacked, [lambda *_: ..., None, {}], "three dots"),
        (companion_4.unpacked, [partial(size, unpack=False), None, {}], "unpack"),
        (companion_4.unpacked, [lambda *_: 6000, None, {}], "not all of the folder"),
        (companion_4.unpacked, [partial(size, unpack=True), None, {}], "Right."),
        (companion_8.vertex_body, [lambda _: ...], "three dots"),
        (companion_8.vertex_body, [lambda f: body_of(f).decode()], "return bytes"),
        (companion_8.vertex_body, [lambda _: b"[]"], '{"instances": [...]}'),
        (companion_8.vertex_body, [lambda f: body_of(f[:1])], "there are 1"),
        (companion_8.vertex_body, [lambda f: body_of(f[::-1])], "in their order"),
        (companion_8.vertex_body, [body_of], "Right."),
    ],
)
def test_a_check_says_the_next_step(check, args, says, capsys):
    check(*args)
    printed = capsys.readouterr().out
    assert says in printed
    assert printed.startswith("Right." if says.startswith("Right.") else "Not yet: ")


@pytest.mark.slow
def test_an_adapter_answers_and_refuses(predictor, capsys):
    for adapter, says in (
        (lambda _: ..., "three dots"),
        (lambda _: 200, "two values"),
        (lambda _: (200, {}), '"text"'),
        (answer_to(predictor, status=500), "400, not 500"),
        (answer_to(predictor, key="error"), '"detail"'),
        (answer_to(predictor), "Right. 200"),
    ):
        companion_8.invocations(adapter, predictor)
        assert says in capsys.readouterr().out


@pytest.mark.slow
def test_the_reader_s_own_file_counts_where_there_is_one(tmp_path, monkeypatch, capsys):
    own, committed = tmp_path / "mine.onnx", companion.COMMITTED
    monkeypatch.setattr(companion, "OWN", own)
    assert companion.open_file()[0] == committed
    own.write_bytes(committed.read_bytes())
    monkeypatch.setattr(companion, "ROOT", tmp_path)
    assert companion.open_file()[0] == own
    assert "Model: your own mine.onnx, EffNet-Lite2" in capsys.readouterr().out
    monkeypatch.undo()
    assert companion.open_file(own=False)[0] == committed
    assert "the committed models/foodvision_mini.onnx" in capsys.readouterr().out


def test_the_first_step_is_that_of_the_network():
    assert companion_4.first_step(companion.COMMITTED) == pytest.approx(2 / 255)


def test_the_profile_table_becomes_numbers():
    assert isinstance(PROFILE, pd.DataFrame)
    assert PROFILE["ms"].tolist() == [60, 30]
