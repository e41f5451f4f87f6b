"""Compute an .mlpackage's program step by step in PyTorch, on any computer.

Core ML itself runs on Apple's systems only. This reads the finished package, its steps
and its weights, and does what Apple's documentation says of each step. So it finds a
wrong weight, scale, axis or order; it cannot find out how Core ML rounds.
"""

from collections.abc import Callable
from pathlib import Path

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.frontend.milproto.load import load
from torch.nn import functional as F


def read_program(package: Path) -> Callable[[np.ndarray], dict]:
    """From an image's pixels, uint8 (S, S, 3), to a package's outputs by name."""
    model = ct.models.MLModel(str(package), skip_model_load=True)
    spec = model.get_spec()
    program = load(spec, spec.specificationVersion, model.weights_dir)
    main = program.functions["main"]

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> dict:
        picture = torch.tensor(pixels).permute(2, 0, 1)[None].float()
        known = {next(iter(main.inputs)): picture}
        for step in main.operations:
            if step.op_type != "const":
                told = {name: _value(it, known) for name, it in step.inputs.items()}
                results = STEPS[step.op_type](told)
                results = results if len(step.outputs) > 1 else (results,)
                names = (output.name for output in step.outputs)
                known |= zip(names, results, strict=True)
        return {output.name: known[output.name] for output in main.outputs}

    return run


def _value(given, known: dict):
    """A step's input: computed before, or a constant."""
    if isinstance(given, (list, tuple)):
        return [_value(each, known) for each in given]
    if given.name in known:
        return known[given.name]
    value = given.val
    if isinstance(value, np.ndarray):
        return torch.tensor(value) if value.dtype.kind == "f" else value.tolist()
    return value


def _convolve(told: dict) -> torch.Tensor:
    kind, pad = str(told["pad_type"]), [0] * 4
    if kind == "custom":
        top, bottom, left, right = told["pad"]
        pad = [left, right, top, bottom]
    elif kind != "valid":
        raise NotImplementedError(f"a convolution padded as {kind}")
    padded, strides = F.pad(told["x"], pad), told["strides"]
    rest = {"dilation": told["dilations"], "groups": int(told["groups"])}
    return F.conv2d(padded, told["weight"], told["bias"], strides, **rest)


def _pad(told: dict) -> torch.Tensor:
    pairs = np.reshape(told["pad"], (-1, 2))[::-1]  # PyTorch begins at the last axis
    return F.pad(told["x"], pairs.ravel().tolist(), value=float(told["constant_val"]))


def _classify(told: dict) -> tuple[str, dict[str, float]]:
    names = map(str, getattr(told["classes"], "ls", told["classes"]))
    named = dict(zip(names, told["probabilities"].ravel().tolist(), strict=True))
    return max(named, key=named.get), named


def _topk(told: dict) -> tuple[torch.Tensor, torch.Tensor]:
    largest = not told["ascending"]
    return told["x"].topk(int(told["k"]), int(told["axis"]), largest=largest)


def _along(function: Callable) -> Callable[[dict], torch.Tensor]:
    return lambda t: function(t["x"], dim=t["axes"], keepdim=bool(t["keep_dims"]))


STEPS = {
    "abs": lambda t: t["x"].abs(),
    "add": lambda t: t["x"] + t["y"],
    "classify": _classify,
    "clip": lambda t: t["x"].clamp(float(t["alpha"]), float(t["beta"])),
    "conv": _convolve,
    "linear": lambda t: F.linear(t["x"], t["weight"], t["bias"]),
    "maximum": lambda t: torch.maximum(t["x"], torch.as_tensor(t["y"])),
    "mul": lambda t: t["x"] * t["y"],
    "pad": _pad,
    "real_div": lambda t: t["x"] / t["y"],
    "reduce_l2_norm": _along(torch.norm),
    "reduce_max": _along(torch.amax),
    "reduce_mean": _along(torch.mean),
    "reshape": lambda t: t["x"].reshape(t["shape"]),
    "sigmoid": lambda t: t["x"].sigmoid(),
    "sign": lambda t: t["x"].sign(),
    "softmax": lambda t: t["x"].softmax(int(t["axis"])),
    "sqrt": lambda t: t["x"].sqrt(),
    "sub": lambda t: t["x"] - t["y"],
    "tile": lambda t: t["x"].repeat(t["reps"]),
    "topk": _topk,
}
