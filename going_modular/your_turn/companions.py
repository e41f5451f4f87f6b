"""Checks of the companions: what is counted, what goes out, and how it answers."""

import base64
import gzip
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import pandas as pd
import torch
from torch import Tensor

from going_modular.app.model import Predictor
from going_modular.app_process import run_demo
from going_modular.big.food101 import ALL_PHOTOS
from going_modular.companion import OUTCOMES, Mini
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.engine import HEAD, CVResult, Settings
from going_modular.evaluation import class_table, wilson_interval
from going_modular.export import activation_ranges, metadata_of
from going_modular.files import FileError, patch_file
from going_modular.model_builder import Built
from going_modular.robustness import Case, is_refused, run_cases
from pocket.model_file import ReferenceFeatures
from pocket.teaching import TaughtHead

from .checking import NotYet, expect, expect_count, given, need, pair, says


# Companion 1, how sure is a number
@says
def photos_needed(total: int) -> dict:
    """How many test photos narrow an interval at 97% to two percentage points."""
    need(total > 0 and total % 100 == 0, "hundreds")
    low, high = wilson_interval(97 * total // 100, total)
    need(high - low <= 0.02, "wide", total=total, low=low, high=high)
    fewer = total - 100
    less = wilson_interval(97 * fewer // 100, fewer)
    need(less[1] - less[0] > 0.02, "fewer", fewer=fewer)
    return {"low": low, "high": high}


@says
def wider(trials: Sequence[CVResult], grid: Sequence[Settings]) -> dict:
    """Cross-validated settings from outside the grid."""
    need(isinstance(trials, list | tuple), "untried")
    need(all(isinstance(trial, CVResult) for trial in trials), "untried")
    lr, decay = (max(getattr(s, of) for s in grid) for of in ("lr", "weight_decay"))
    outside = [t for t in trials if (s := t.settings).lr > lr or s.weight_decay > decay]
    need(len(outside) >= 2, "inside", outside=len(outside), lr=lr, decay=decay)
    best = min(outside, key=lambda trial: trial.held_out.loss)
    return {"best": best.settings, "loss": best.held_out.loss, "head": HEAD}


# Companion 2, honest answers
@says
def promise(kept: int, probabilities: Tensor, labels: Tensor) -> dict:
    """How many answers of more than 90% were right: of (N, C), by labels (N,)."""
    largest, guesses = probabilities.max(dim=1)
    sure, right = largest > 0.9, guesses == labels
    total, expected = int(sure.sum()), int((sure & right).sum())
    expect_count(kept, expected, sure=total, however_sure=int(right.sum()))
    mean, share = largest[sure].mean().item(), expected / total
    return {"expected": expected, "total": total, "share": share, "mean": mean}


@says
def score(function: Callable[..., Tensor]) -> None:
    """The sum of two standardised scores, through a sigmoid."""
    generator = torch.Generator().manual_seed(0)
    first, second, our_first, our_second = (
        middle + width * torch.randn(rows, generator=generator)
        for middle, width, rows in ((4, 2, 6), (9, 5, 6), (5, 2, 900), (8, 4, 900))
    )
    found = given(function(first, second, our_first, our_second))
    need(isinstance(found, Tensor), "tensor")
    need(found.shape == (6,), "shape", shape=tuple(found.shape))
    total = (first - our_first.mean()) / our_first.std()
    total += (second - our_second.mean()) / our_second.std()
    as_they_are = (first + second).sigmoid()
    expect(found, total.sigmoid(), sum=total, as_they_are=as_they_are, near=0.01)


# Companion 3, small and fast; files to choose among: right and same of 200, megabytes
INVENTED = {
    "fp32": {"right": 190, "same": 200, "total": 200, "megabytes": 20.0},
    "fp16": {"right": 189, "same": 196, "total": 200, "megabytes": 10.0},
    "int8": {"right": 191, "same": 195, "total": 200, "megabytes": 5.0},
    "int4": {"right": 188, "same": 200, "total": 200, "megabytes": 2.5},
}


@says
def integers(to_integers: Callable[[Tensor, int], tuple]) -> None:
    """Round weights to integers, with the scale that restores them."""
    found = pair(to_integers(torch.tensor([0.5, -2.0, 0.24, 0.26, 1.26]), 4))
    rounded, scale = (torch.as_tensor(part).double() for part in found)
    need(scale.numel() == 1, "one_scale")
    expect(scale.item(), 0.5, "scale", no_abs=1.26 / 4)
    expect(rounded, rounded.round(), "whole")
    expect(rounded, [1, -4, 0, 1, 3], "nearest")


@says
def pick(choose: Callable[[dict], str], measured: dict[str, dict]) -> dict:
    """The rule by which a file ships; `measured` is of this run."""
    expect(choose(INVENTED), "fp16", int4="int4", int8="int8", fp32="fp32")
    alone = choose({name: INVENTED[name] for name in ("fp32", "int4")})
    expect(alone, "fp32", "alone")
    return {"chosen": choose(measured)}


@says
def one_picture(file: Path, usual: Path) -> dict:
    """An int8 file calibrated on a single picture, and one on more."""
    need(Path(file).is_file(), "path")
    expect(metadata_of(onnx.load(file)).get("precision"), "int8", "other_file")
    mine, more = (list(activation_ranges(each).values()) for each in (file, usual))
    need(mine != more, "usual")
    pairs = zip(mine, more, strict=True)
    shares = [one / other for one, other in pairs if one != other]
    return {"differ": len(shares), "total": len(more), "width": median(shares)}


# Companion 4, in the browser
def first_step(model_file: Path) -> float:
    """From one 8-bit integer to the next, where a network takes a prepared picture."""
    return next(iter(activation_ranges(model_file).values())) / 255


@says
def profile(times_as_long: float, table: pd.DataFrame) -> dict:
    """What one multiplication takes in a depthwise convolution, against the others."""
    table = table.loc[["depthwise convolutions", "other convolutions"]]
    depthwise, others = table["ms"] / table["multiplications, millions"]
    slips = {"of_all": np.divide(*table["ms"]), "inverse": others / depthwise}
    expect(times_as_long, depthwise / others, near=0.05, **slips)
    return {"times": depthwise / others}


@says
def fallen(number: int, one: np.ndarray, other: np.ndarray, step: float) -> dict:
    """How many numbers of a picture, prepared twice, are rounded to other integers."""
    expected = int((np.round(one / step) != np.round(other / step)).sum())
    expect_count(number, expected, unrounded=int((one != other).sum()))
    most = float(np.abs(one - other).max()) / step
    return {"expected": expected, "total": one.size, "most": most}


@says
def live_mean(mean_of: Callable[[Sequence[tuple], float], Sequence[float]]) -> None:
    """The mean of the answers that are less than half a second old."""
    answers = [(0.0, [0.9, 0.1]), (0.6, [0.2, 0.8]), (1.0, [0.6, 0.4])]
    found = np.asarray(given(mean_of(answers, 1.05)), float)
    need(found.shape == (2,), "shape")
    of_all = np.mean([probabilities for _, probabilities in answers], axis=0)
    expect(found, [0.4, 0.6], last=[0.6, 0.4], of_all=of_all)


@says
def unpacked(size_of: Callable, pocket: Path | None, fetched: dict) -> dict | str:
    """What files of a page weigh if the .gz ones are counted as once unpacked."""
    with tempfile.TemporaryDirectory() as scratch:
        packed, folder = gzip.compress(bytes(5000)), Path(scratch)
        (folder / "page.js").write_bytes(b"x" * 300)
        (folder / "model.gz").write_bytes(packed)
        (folder / "other.gz").write_bytes(gzip.compress(bytes(700)))
        found = size_of(folder, ["page.js", "model.gz"])
    expect(found, 5300, folder=6000, packed=300 + len(packed))
    if pocket is None:
        return "(There is no page here to weigh.)"
    before, after = size_of(pocket, list(fetched)) / 1e6, sum(fetched.values()) / 1e6
    return {"before": before, "after": after}


# Companion 5, break it and mend it
@says
def line_length(longest: Callable[[float, float, int], int], answer_s: float) -> dict:
    """How many may wait: by seconds an answer, seconds to wait, answers at a time."""
    expect(longest(0.5, 10.0, 2), 40, one_at_a_time=20, multiplied=2.5)
    expect_count(longest(0.3, 1.0, 1), 3, key="rounded")
    return {"answer_s": answer_s, "may_wait": longest(answer_s, 6.0, 1)}


@says
def no_picture(guard: str, folder: Path, plate: Path) -> dict:
    """A fifth guard, a diff: a question without a picture gets a sentence."""
    need(isinstance(guard, str), "diff")
    try:
        patch_file(folder / "app_4.py", guard, folder / "app_5.py")
    except FileError as error:
        raise NotYet("does_not_fit", {"error": error}) from error
    named = Case("a plate", "its name", lambda reply: reply.dish is not None, plate)
    with run_demo(folder, app="app_5.py") as running:
        nothing = Case("nothing", "a sentence", is_refused)
        replies = run_cases(running.url, [nothing, named])
    passed = replies["as it should"].str.contains("yes")
    words = replies["what comes back"]
    need(passed["a plate"], "no_name", words=words["a plate"])
    need(passed["nothing"], "no_sentence", words=words["nothing"])
    return {"words": words["nothing"]}


# Companion 6, watch it; `noted` has a row a visitor
@says
def gate_at_fault(number: int, noted: pd.DataFrame) -> dict:
    """Visitors who are unhappy although the head was right."""
    unhappy = noted[noted.thumb == "down"]
    expected = int((unhappy.outcome == OUTCOMES[1]).sum())
    expect_count(number, expected, all_unhappy=len(unhappy))
    return {"expected": expected, "unhappy": len(unhappy)}


@says
def seen_share(function: Callable, noted: pd.DataFrame) -> dict:
    """The share of thumbs down that arrives if unhappy visitors press more often."""
    expect(function(10, 30, 1), 0.25, "alike")
    expect(function(10, 30, 3), 0.5, as_they_are=10 / 40)
    expect(function(20, 10, 2), 0.8, "again")
    first = noted[noted.sent == noted.sent.iloc[0]]
    down, total = int((first.thumb == "down").sum()), len(first)
    share, sent = function(down, total - down, 3), first.sent.iloc[0]
    return {"down": down, "total": total, "sent": sent, "share": share}


# Companion 7, many dishes
@says
def computers(number: int, seconds: float) -> dict:
    """How many computers make all features in ten minutes, at seconds a photo."""
    need(float(number).is_integer(), "whole")
    exact = ALL_PHOTOS * seconds / 600
    key = "too_few" if number < exact else "too_many"
    expect(number, math.ceil(exact), key, minutes=math.ceil(exact * 60))
    return {"expected": math.ceil(exact)}


@says
def among(number: int, logits: Tensor, labels: Tensor, few: Tensor) -> dict:
    """Right answers for the classes `few` (K,), if only those may be chosen."""
    mine = torch.isin(labels, few)
    truth, scores = labels[mine], logits[mine]
    expected = int((few[scores[:, few].argmax(dim=1)] == truth).sum())
    among_all = int((scores.argmax(dim=1) == truth).sum())
    expect_count(number, expected, among_all=among_all)
    counts = {"expected": expected, "total": len(truth), "among_all": among_all}
    return counts | {"few": len(few), "dishes": logits.shape[1]}


@says
def worst_class(find: Callable, guesses: Tensor, labels: Tensor, names: list) -> dict:
    """The dish that is least often right, and its most frequent wrong name."""
    truth = torch.tensor([0] * 4 + [1] * 16 + [2] * 9)
    soups, pies = [0] * 3 + [2], [1] * 10 + [0] * 4 + [2] * 2
    invented = torch.tensor([*soups, *pies, *[2] * 4, *[0] * 3, *[1] * 2])
    dish, taken_for = pair(find(invented, truth, ["soup", "pie", "stew"]))
    expect(dish, "stew", "dish", most_wrong="pie")
    expect(taken_for, "soup", "taken_for", itself="stew")
    worst, taken_for = find(guesses, labels, names)
    row = class_table(guesses, labels, names).loc[worst]
    wrong = (labels == names.index(worst)) & (guesses == names.index(taken_for))
    times = int(wrong.sum())
    return {"worst": worst, "row": row, "times": times, "taken_for": taken_for}


# Companion 8, every place: what two clouds send, and want back
@says
def invocations(adapter: Callable, predictor: Predictor) -> dict:
    """From the bytes that SageMaker sends to a status and a dictionary."""
    plate = drawn_files(CLASS_NAMES[0])[0]
    answer = predictor.predict(plate)
    status, content = pair(adapter(plate.read_bytes()))
    expect(status, 200, "status_200")
    json.dumps(content)  # or the reader is told that it cannot be sent
    expect(content.get("text"), answer.text, "text")
    expect(content.get("verdict"), answer.verdict, "verdict")
    status, content = pair(adapter(b"my shopping list: milk, eggs"))
    expect(status, 400, "status_400")
    need("not a picture" in str(content.get("detail")), "detail")
    return {"first": answer.text.splitlines()[0], "detail": content["detail"]}


@says
def vertex_body(pack: Callable[[Sequence[Path]], bytes]) -> dict:
    """The body of a request to Vertex AI about two pictures."""
    files = [drawn_files(name)[0] for name in CLASS_NAMES[:2]]
    body = given(pack(files))
    need(isinstance(body, bytes), "bytes")
    question = json.loads(body)
    need(isinstance(question, dict) and "instances" in question, "json")
    instances = question["instances"]
    expect(len(instances), 2, "two")
    sent = [base64.b64decode(each["b64"], validate=True) for each in instances]
    need(sent == [file.read_bytes() for file in files], "content")
    return {"pictures": sum(map(len, sent)), "json": len(body)}


# Companion 9, a page that learns
@says
def mistaken(number: int, guesses: Tensor, place: int) -> dict:
    """How many strangers, guesses (N,), are called by a taught dish's name."""
    expect_count(number, int((guesses == place).sum()))
    return {"expected": number, "total": len(guesses)}


@says
def leave_one_out(function: Callable, known: ReferenceFeatures, photos: Tensor) -> dict:
    """How many photos, features (n, D), are named by a head taught from the others."""

    def named(asked: Tensor, shown: Tensor) -> int:
        return int((TaughtHead(known, {"new": shown}).find(asked) == 0).sum())

    others = [torch.cat([photos[:k], photos[k + 1 :]]) for k in range(len(photos))]
    expected = sum(named(photos[k : k + 1], rest) for k, rest in enumerate(others))
    seen = named(photos, photos)
    expect_count(function(photos), expected, seen=seen)
    return {"expected": expected, "total": len(photos), "seen": seen}


@says
def one_class_more(more: Built, mini: Mini, dish: str) -> str:
    """The same base with a trained head for our classes and another dish."""
    classes = len(mini.photos.names) + 1
    need(isinstance(more, Built), "start")
    need(more.model.base is mini.built.model.base, "base")
    ours, labels = mini.photos.test.tensors
    head = more.model.head.eval()
    with torch.inference_mode():
        guesses, new = head(ours).argmax(dim=1), head(mini.others.test_of(dish))
    need(new.shape[1] == classes, "outputs", outputs=new.shape[1], classes=classes)
    right = int((guesses == labels).sum())
    named = int((new.argmax(dim=1) == classes - 1).sum())
    text = f"ours: {right} of {len(ours)} test photos right; "
    text += f"{dish}: {named} of {len(new)}"
    need(right + named >= 0.75 * (len(ours) + len(new)), "untrained", text=text)
    return f"{text}."
