"""Checks of the *Your turn* cells of the lesson, one a section."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from going_modular.app.model import DISH, NO_PLATE, OTHER, Answer
from going_modular.model_builder import FeatureExtractor
from going_modular.your_turn.checking import (
    expect,
    expect_count,
    given,
    need,
    pair,
    says,
)


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
    forward, expected = (
        int((table[of] > limit_ms).sum()) for of in ("forward_ms", "total_ms")
    )
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
        is_text = isinstance(text, str)
        need(is_text, "kind", verdict=verdict, kind=type(text).__name__)
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
def address(function: Callable[[str], str]) -> dict:
    """Section 6: the address under which a Space can be embedded."""
    expect(function("ana/food"), "https://ana-food.hf.space")
    expect(function("Ana/Food_Vision_2"), "https://ana-food-vision-2.hf.space")
    return {}


@says
def top_three(number: int, logits: torch.Tensor, labels: torch.Tensor) -> dict:
    """Section 7: photos whose dish is among the first three guesses; logits (N, C)."""
    guesses = logits.topk(min(3, logits.shape[1])).indices
    is_right = guesses == labels[:, None]
    expected, first = int(is_right.any(dim=1).sum()), int(is_right[:, 0].sum())
    expect_count(number, expected, first=first)
    return {"expected": expected, "total": len(labels), "first": first}
