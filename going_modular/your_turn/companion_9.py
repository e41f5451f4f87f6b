"""Checks of companion 9, a page that learns."""

from collections.abc import Callable

import torch

from going_modular.companion import Mini
from going_modular.model_builder import Built
from going_modular.your_turn.checking import expect_count, need, says
from pocket.carried import ReferenceFeatures
from pocket.teaching import TaughtHead


@says
def mistaken(number: int, guesses: torch.Tensor, place: int) -> dict:
    """How many strangers, guesses (N,), are called by a taught dish's name."""
    expect_count(number, int((guesses == place).sum()))
    return {"expected": number, "total": len(guesses)}


@says
def leave_one_out(
    function: Callable, known: ReferenceFeatures, photos: torch.Tensor
) -> dict:
    """How many photos, features (n, D), are named by a head taught from the others."""

    def named(asked: torch.Tensor, shown: torch.Tensor) -> int:
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
