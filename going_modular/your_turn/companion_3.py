"""Checks of companion 3, small and fast."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import onnx
import torch

from going_modular.export import metadata_of
from going_modular.quantize import activation_ranges
from going_modular.your_turn.checking import given, need, says


@says
def integers(to_integers: Callable[[torch.Tensor, int], tuple]) -> str:
    """Round weights to integers, with the scale that restores them."""
    weights = torch.tensor([0.5, -2.0, 0.24, 0.26, 1.26])
    found = given(to_integers(weights, 4))
    need(
        isinstance(found, tuple | list) and len(found) == 2,
        "return two values: the integers, and the scale.",
    )
    rounded, scale = (torch.as_tensor(part).double() for part in found)
    need(scale.numel() == 1, "one scale is wanted for all of these weights.")
    need(
        abs(scale.item() - 1.26 / 4) > 1e-6,
        "the largest weight may be negative: abs() comes first.",
    )
    need(
        abs(scale.item() - 0.5) < 1e-6,
        f"the largest weight is -2 and the largest integer 4, so the scale is 0.5, not "
        f"{scale.item():g}.",
    )
    need(
        rounded.tolist() == rounded.round().tolist(),
        "the first value should be whole numbers: weights / scale, rounded.",
    )
    need(
        rounded.tolist() == [1, -4, 0, 1, 3],
        "each weight goes to the nearest integer, up or down: round().",
    )
    return "What is stored is 1, -4, 0, 1, 3, and once the scale, 0.5."


@says
def pick(choose: Callable[[dict], str], measured: dict[str, dict]) -> str:
    """The rule by which a file ships.

    Args:
        choose: The reader's.
        measured: By name: right, same, total and megabytes.
    """
    invented = {
        "fp32": {"right": 190, "same": 200, "total": 200, "megabytes": 20.0},
        "fp16": {"right": 189, "same": 196, "total": 200, "megabytes": 10.0},
        "int8": {"right": 191, "same": 195, "total": 200, "megabytes": 5.0},
        "int4": {"right": 188, "same": 200, "total": 200, "megabytes": 2.5},
    }
    found = given(choose(invented))
    need(found in invented, f"return one of the names, not {found!r}.")
    need(found != "int4", "188 right is two fewer than 190, and one is allowed.")
    need(found != "int8", "195 of 200 change 5 first guesses: more than 2 in 100.")
    need(found == "fp16", "a smaller file is within the rule: fp16 just keeps it.")
    alone = choose({"fp32": invented["fp32"], "int4": invented["int4"]})
    need(alone == "fp32", "where nothing else is good enough, fp32 ships.")
    return f"On this run's pictures it picks {choose(measured)!r}."


@says
def one_picture(file: Path, usual: Path) -> str:
    """An int8 file that was calibrated on a single picture.

    Args:
        file: The reader's.
        usual: The one that was calibrated on more.
    """
    need(Path(file).is_file(), "give what `quantize` returns: the file's path.")
    precision = metadata_of(onnx.load(file)).get("precision")
    need(precision == "int8", "that is not a file that `quantize` has written.")
    mine, more = (list(activation_ranges(each).values()) for each in (file, usual))
    need(mine != more, "its ranges are those of the other file: pass some[:1].")
    shares = [
        one / other for one, other in zip(mine, more, strict=True) if one != other
    ]
    return (
        f"{len(shares)} of {len(more)} ranges differ; at the median they are "
        f"{median(shares):.0%} as wide. What lies outside is cut off."
    )
