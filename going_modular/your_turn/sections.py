"""Checks of the *Your turn* cells, one a section.

Each prints "Right." with a remark, or "Not yet:" with what is still wrong.
"""

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
from going_modular.your_turn.checking import count, given, need, says


@says
def play(answer: np.ndarray, expected: dict[str, float]) -> str:
    """Section 0: the network's own answer for one picture.

    Args:
        answer: The reader's probabilities, (C,).
        expected: What `name_it` gives for the same picture.
    """
    need(
        not isinstance(answer, list | tuple),
        "`run` gives a list of three outputs; take the first, with [0].",
    )
    answer = np.asarray(answer)
    need(
        answer.shape == (len(expected),),
        f"of the first output keep all {len(expected)} numbers, as they are; the shape "
        f"of yours is {answer.shape}.",
    )
    need(
        np.allclose(answer, list(expected.values()), atol=1e-4),
        "these are not the probabilities of that picture.",
    )
    return f"{len(answer)} probabilities that add up to {answer.sum():.2f}."


@says
def baseline(right: int, train: Sequence[int], test: Sequence[int]) -> str:
    """Section 1: right answers of a model that always says the same.

    Args:
        right: The reader's count.
        train: Labels of the training pictures.
        test: Labels of the test pictures.
    """
    train, test = list(train), list(test)
    favourite = max(set(train), key=train.count)
    expected = test.count(favourite)
    right = count(right)
    need(right != train.count(favourite), "count in the test pictures, not in train.")
    need(
        right == expected,
        "find the label that is most frequent in train_pictures.targets, then count "
        "it in test_pictures.targets.",
    )
    return f"{expected} of {len(test)} without looking: every model has to beat that."


@says
def new_head(model: FeatureExtractor, base: torch.nn.Module) -> str:
    """Section 2: a base with a head for five classes."""
    need(
        isinstance(model, FeatureExtractor),
        "put base and head together: FeatureExtractor(base, head).",
    )
    need(model.base is base, "take the base of built['EffNet-Lite2'].")
    with torch.inference_mode():
        shape = tuple(model.eval()(torch.zeros(1, 3, 64, 64)).shape)
    need(shape == (1, 5), f"for one picture it gives {shape}, not (1, 5).")
    ours = sum(part.numel() for part in model.parameters() if part.requires_grad)
    return f"{ours:,} numbers to train for five dishes, and not one of the base's."


@says
def slow_ones(number: int, table: pd.DataFrame, limit_ms: float) -> str:
    """Section 3: how many pictures kept somebody waiting for too long.

    Args:
        number: The reader's.
        table: Of one contender's predictions, with its column total_ms.
        limit_ms: What 30 a second leaves for each.
    """
    expected, number = int((table.total_ms > limit_ms).sum()), count(number)
    need(
        number != int((table.forward_ms > limit_ms).sum()) or number == expected,
        "a visitor waits for all of it: take total_ms, not forward_ms.",
    )
    need(
        number == expected,
        f"count the rows whose total_ms is above {limit_ms:.1f}.",
    )
    return f"{expected} of {len(table)} took longer than {limit_ms:.1f} ms."


@says
def timed_answer(function: Callable, file: Path, expected: dict[str, float]) -> str:
    """Section 4: a second output that says how long the answer took."""
    start = time.perf_counter()
    result = given(function(file))
    took_ms = 1000 * (time.perf_counter() - start)
    need(
        isinstance(result, tuple | list) and len(result) == 2,
        "return two values: the dictionary, and the text.",
    )
    scores, text = given(result[0]), given(result[1])
    need(
        isinstance(scores, dict) and scores.keys() == expected.keys(),
        "the first value is what predict returns.",
    )
    told = re.search(r"([\d.]+) ?ms", text) if isinstance(text, str) else None
    need(told is not None, 'the second value is a text such as "27 ms".')
    need(
        took_ms / 3 - 1 < float(told[1]) <= took_ms + 1,
        f"it took about {took_ms:.0f} ms, and you say {told[0]}. Read the clock before "
        "and after predict, and remember that it counts in seconds.",
    )
    return f"Two outputs want two components: outputs=[gr.Label(), gr.Text()]. {text}."


@says
def sentence(say: Callable[[Answer], str]) -> str:
    """Section 5: what a visitor reads, for each of the three verdicts."""
    dish = Answer({"sushi": 0.91, "pizza": 0.09}, 0.8, 0.7, DISH, 0.01)
    verdicts = (DISH, OTHER, NO_PLATE)
    said = {v: given(say(replace(dish, verdict=v))) for v in verdicts}
    for verdict, text in said.items():
        need(text is not None, "it gives nothing back: `return` the sentence.")
        kind = type(text).__name__
        need(isinstance(text, str), f'for "{verdict}" it returns a {kind}, not a text.')
        need(text.strip() != "", f'for "{verdict}" it says nothing.')
    need(len(set(said.values())) == 3, "two verdicts get the same sentence.")
    need("sushi" in said[DISH], "where it is one of our dishes, name it.")
    need("sushi" not in said[NO_PLATE], "where there is no plate, name no dish.")
    return " / ".join(said.values())


@says
def changed_mind(number: int, answers: pd.DataFrame) -> str:
    """Section 5: pictures that the file names otherwise than PyTorch.

    Args:
        number: The reader's.
        answers: From `compare_answers`.
    """
    expected, number = int((~answers.same_class).sum()), count(number)
    need(
        number != len(answers) - expected or number == expected,
        "those are the pictures that both name alike; count the others.",
    )
    need(number == expected, "count the rows whose same_class is False.")
    return f"{expected} of {len(answers)}. Rounding tips only what was close."


@says
def address(function: Callable[[str], str]) -> str:
    """Section 6: the address under which a Space can be embedded."""
    for space, expected in {
        "ana/food": "https://ana-food.hf.space",
        "Ana/Food_Vision_2": "https://ana-food-vision-2.hf.space",
    }.items():
        found = given(function(space))
        need(found == expected, f"{space} lives at {expected}, not at {found}.")
    return "`embed_address` follows the same rule."


@says
def top_three(number: int, logits: torch.Tensor, labels: torch.Tensor) -> str:
    """Section 7: photos whose dish is among the first three guesses.

    Args:
        number: The reader's.
        logits: (N, C).
        labels: (N,).
    """
    guesses = logits.topk(min(3, logits.shape[1])).indices
    expected = int((guesses == labels[:, None]).any(dim=1).sum())
    first, number = int((guesses[:, 0] == labels).sum()), count(number)
    need(
        number != first or number == expected,
        "that is the first guess alone; take three.",
    )
    need(
        number == expected, "logits.topk(3).indices has a row of three for each photo."
    )
    return f"{expected:,} of {len(labels):,} in the first three, {first:,} at once."
