"""Companions 3 and 7: what their checks say, and Big's dishes in one call."""

import os

import pytest
import torch

from going_modular import data_setup
from going_modular.big import dishes as many
from going_modular.companion import COMMITTED
from going_modular.quantize import activation_ranges
from going_modular.stored_features import read_features
from going_modular.your_turn import companion_3, companion_7

SLUG = "effnet_lite2"
GUESSES, LABELS = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([0, 1, 2, 2, 0])
FEW, FEW_LABELS = torch.tensor([0, 1]), torch.tensor([0, 1, 0])
LOGITS = torch.tensor([[9.0, 1, 2], [1, 2, 9], [2, 1, 3]])
MEASURED = {"fp32": {"right": 9, "same": 9, "total": 9, "megabytes": 4.0}}


def ints(weights, largest, *, up=False):
    scale = weights.abs().max() / largest
    return ((weights / scale).ceil() if up else (weights / scale).round()), scale


def rule(files, *, fewer=1, same=0.98):
    least = files["fp32"]["right"] - fewer
    good = {
        name: file["megabytes"]
        for name, file in files.items()
        if file["right"] >= least and file["same"] >= same * file["total"]
    }
    return min(good, key=good.get)


def worst(guesses, labels, names, *, wrong_only=True):
    share = [(guesses[labels == n] == n).float().mean() for n in range(len(names))]
    at = share.index(min(share))
    mine = labels == at
    said = guesses[mine & (guesses != at)] if wrong_only else guesses[mine]
    return names[at], names[said.mode().values]


CHECKS = [
    (companion_3.integers, [lambda *_: ...], "three dots"),
    (companion_3.integers, [lambda w, n: ints(w, n)[0]], "two values"),
    (companion_3.integers, [lambda w, n: (w, w.max() / n)], "abs() comes first"),
    (companion_3.integers, [lambda w, n: (w, w.abs().max())], "0.5, not 2"),
    (companion_3.integers, [lambda w, n: (w * 2, 0.5)], "whole numbers"),
    (companion_3.integers, [lambda w, n: ints(w, n, up=True)], "nearest"),
    (companion_3.integers, [ints], "Right. What is stored"),
    (companion_3.pick, [lambda _: "int2", MEASURED], "one of the names"),
    (companion_3.pick, [lambda f: rule(f, fewer=9, same=0), MEASURED], "two fewer"),
    (companion_3.pick, [lambda f: rule(f, same=0.97), MEASURED], "5 first guesses"),
    (companion_3.pick, [lambda _: "fp32", MEASURED], "a smaller file"),
    (companion_3.pick, [rule, MEASURED], "Right. On this run's pictures"),
    (companion_3.one_picture, ["nothing.onnx", COMMITTED], "the file's path"),
    (companion_3.one_picture, [COMMITTED, COMMITTED], "those of the other file"),
    (companion_7.computers, [..., 0.02], "three dots"),
    (companion_7.computers, [3.4, 0.02], "a part of a computer"),
    (companion_7.computers, [202, 0.02], "600 seconds"),
    (companion_7.computers, [3, 0.02], "round up"),
    (companion_7.computers, [5, 0.02], "fewer will do: 4"),
    (companion_7.computers, [4, 0.02], "Right. 4 of them"),
    (companion_7.among, [1, LOGITS, FEW_LABELS, FEW], "with all dishes"),
    (companion_7.among, [2, LOGITS, FEW_LABELS, FEW], "0 within"),
    (companion_7.among, [3, LOGITS, FEW_LABELS, FEW],
     "Right. 3 of 3 among 2 dishes, 1 of the same photos among all 3."),
    (companion_7.worst_class, [lambda *_: ("pie", "soup"), GUESSES, LABELS, "abc"],
     "6 of 16 pies"),
    (companion_7.worst_class, [lambda *_: "stew", GUESSES, LABELS, "abc"], "two names"),
    (companion_7.worst_class, [lambda *_: ("stew", "pie"), GUESSES, LABELS, "abc"],
     "three stews are called soup"),
    (companion_7.worst_class,
     [lambda *a: worst(*a, wrong_only=False), GUESSES, LABELS, "abc"],
     "the dish itself"),
    (companion_7.worst_class, [worst, GUESSES, LABELS, ["a", "b", "c"]],
     "Right. Here it is a, 1 of 2 right; 1 are called c."),
]  # fmt: skip


@pytest.mark.parametrize(("check", "args", "says"), CHECKS)
def test_a_check_says_the_next_step(check, args, says, capsys):
    check(*args)
    printed = capsys.readouterr().out
    assert says in printed
    assert printed.startswith("Right." if says.startswith("Right.") else "Not yet: ")


def test_the_committed_file_knows_most_ranges_without_pictures():
    widths = list(activation_ranges(COMMITTED).values())
    assert 0.5 < sum(abs(width - 6) < 0.01 for width in widths) / len(widths) < 0.6


def test_pictures_at_hand_are_no_download(tmp_path, monkeypatch):
    monkeypatch.delenv("FOODVISION_DATA", raising=False)
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    monkeypatch.setattr(data_setup, "download", lambda *_, **__: pytest.fail("asked"))
    assert data_setup.find_pictures(tmp_path, fetch=False).is_practice


# Big's dishes


@pytest.fixture
def eight(lite2, monkeypatch):
    monkeypatch.delenv("FOODVISION_BIG", raising=False)
    return many.find_dishes(lite2, SLUG)


def test_eight_real_dishes_come_with_the_course(eight):
    assert eight.names == sorted(eight.names) and len(eight.names) == 8
    assert (len(eight.train), len(eight.test)) == (1_200, 525)
    assert eight.where == "real photos of 8 dishes" and not eight.is_practice
    assert not eight.photos and not eight.is_whole
    for what, dish in (("photos", "sushi"), ("other_dishes", "bibimbap")):
        own = read_features(many.DATA / f"{what}_{SLUG}_224.npz").test_of(dish)
        rows, labels = eight.test.tensors
        assert torch.equal(rows[labels == eight.names.index(dish)], own)


def test_a_dish_can_be_left_out(eight):
    seven = eight.without("baklava")
    assert "baklava" not in seven.names and len(seven.names) == 7
    rows, labels = seven.train.tensors
    before, numbers = eight.train.tensors
    assert labels.unique().tolist() == list(range(7))
    ours = rows[labels == seven.names.index("steak")]
    assert torch.equal(ours, before[numbers == eight.names.index("steak")])


@pytest.mark.slow
def test_another_base_has_the_drawn_pictures_row_by_row(lite2, tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_BIG", "")
    few = many.find_dishes(lite2, "another", tmp_path, share=0.01)
    assert few.is_practice and "drawn" in few.where
    assert (len(few.train), len(few.test)) == (16, 8)
    for half in ("train", "test"):
        labels = getattr(few, half).tensors[1].tolist()
        folders = [file.parent.name.replace("_", " ") for file in few.photos[half]]
        assert folders == [few.names[label] for label in labels]
    assert os.listdir(tmp_path / "drawn-food-101-features")
