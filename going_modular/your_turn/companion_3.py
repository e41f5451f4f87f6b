"""Checks of companion 3, small and fast."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import onnx
import torch

from going_modular.export import metadata_of
from going_modular.quantize import activation_ranges
from going_modular.your_turn.checking import expect, need, pair, says

# Files to choose among: right and same of 200, megabytes.
INVENTED = {
    name: {"right": right, "same": same, "total": 200, "megabytes": megabytes}
    for name, right, same, megabytes in (
        ("fp32", 190, 200, 20.0),
        ("fp16", 189, 196, 10.0),
        ("int8", 191, 195, 5.0),
        ("int4", 188, 200, 2.5),
    )
}


@says
def integers(to_integers: Callable[[torch.Tensor, int], tuple]) -> dict:
    """Round weights to integers, with the scale that restores them."""
    found = pair(to_integers(torch.tensor([0.5, -2.0, 0.24, 0.26, 1.26]), 4))
    rounded, scale = (torch.as_tensor(part).double() for part in found)
    need(scale.numel() == 1, "one_scale")
    expect(scale.item(), 0.5, "scale", no_abs=1.26 / 4)
    expect(rounded, rounded.round(), "whole")
    expect(rounded, [1, -4, 0, 1, 3], "nearest")
    return {}


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
