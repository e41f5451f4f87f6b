"""Checks of what the reader writes in companion 9, about a page that learns.

Each prints "Right." with a remark, or "Not yet:" with what is still wrong.
"""

from collections.abc import Callable

import torch

from going_modular.companion import Mini
from going_modular.model_builder import Built
from going_modular.pocket.carried import ReferenceFeatures
from going_modular.pocket.teaching import TaughtHead
from going_modular.your_turn.checking import count, given, need, says


@says
def mistaken(number: int, guesses: torch.Tensor, place: int) -> str:
    """How many strangers are called by a taught dish's name.

    Args:
        number: The reader's.
        guesses: The class that each stranger is called, (N,).
        place: The taught dish's.
    """
    number, expected = count(number), int((guesses == place).sum())
    need(number == expected, "count the guesses that are equal to `place`.")
    return (
        f"{expected} of {len(guesses)}; all the others are called one of ours. A "
        "softmax names every picture."
    )


@says
def leave_one_out(
    function: Callable[[torch.Tensor], int],
    known: ReferenceFeatures,
    photos: torch.Tensor,
) -> str:
    """How many photos are named by a head that learned from the others.

    Args:
        function: The reader's, of photos' features.
        known: What the model file carries.
        photos: Features of a dish's photos, (n, D).
    """
    found = given(function(photos))
    learned = TaughtHead(known, {"new": photos})
    shown = int((learned.find(photos) == 0).sum())
    expected = 0
    for k in range(len(photos)):
        rest = torch.cat([photos[:k], photos[k + 1 :]])
        alone = TaughtHead(known, {"new": rest}).find(photos[k : k + 1])
        expected += int(alone[0] == 0)
    found = count(found)
    need(
        found != shown or found == expected,
        "that is how many are named by a head that has seen them: leave each one out.",
    )
    need(
        found == expected,
        f"of {len(photos)} photos it names {found}, but {expected} is right: one head "
        "for each photo, taught from all the others.",
    )
    return (
        f"{expected} of {len(photos)}, and {shown} by a head that has seen them. The "
        "first number is the one to show."
    )


@says
def one_class_more(more: Built, mini: Mini, dish: str) -> str:
    """The same base with a trained head for our classes and another dish.

    Args:
        more: The reader's.
        mini: The model that it extends.
        dish: One of the other dishes.
    """
    classes = len(mini.photos.names) + 1
    need(isinstance(more, Built), "start with with_classes(mini.built, place + 1).")
    need(more.model.base is mini.built.model.base, "the base stays as it is.")
    ours, labels = mini.photos.test.tensors
    head = more.model.head.eval()
    with torch.inference_mode():
        guesses, new = head(ours).argmax(dim=1), head(mini.others.test_of(dish))
    need(
        new.shape[1] == classes, f"its head has {new.shape[1]} outputs, not {classes}."
    )
    right = int((guesses == labels).sum())
    named = int((new.argmax(dim=1) == classes - 1).sum())
    told = (
        f"ours: {right} of {len(ours)} test photos right; {dish}: {named} of {len(new)}"
    )
    need(
        right + named >= 0.75 * (len(ours) + len(new)),
        f"{told}. Train its head on more_rows.",
    )
    return f"{told}."
