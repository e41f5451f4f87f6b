"""Small things the lesson needs everywhere: seeds, devices, saving and loading."""

import contextlib
import importlib.util
import inspect
import os
import random
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from IPython.display import Code
from torch import nn


class CheckpointError(RuntimeError):
    """A saved model cannot be read or written: what happened, what to do next."""


def set_seeds(seed: int = 42) -> None:
    """Seed Python, NumPy and PyTorch (every device)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def show_source(thing) -> Code:
    """A function's or class's own source, for reading in the notebook."""
    return Code(inspect.getsource(thing), language="python")


def load_module(file: Path) -> ModuleType:
    """Import a demo's module by its file, under a name that nothing else has."""
    name = f"{file.resolve().parent.name}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def pick_device() -> str:
    """The fastest device PyTorch finds: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def save_checkpoint(model: nn.Module, file: Path) -> Path:
    """Save a model's weights; the file is replaced only by a complete one.

    Raises:
        CheckpointError: If it cannot be written. What was there before stays.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), part)
        os.replace(part, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as the latter
        raise CheckpointError(
            f"{file} could not be saved ({error}). Make room or make its folder "
            "writable, then run this again."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what went wrong is already being told
            part.unlink(missing_ok=True)
    return file


def load_checkpoint(model: nn.Module, file: Path) -> nn.Module:
    """Load weights into a model; only tensors are read, no code is run.

    Raises:
        CheckpointError: If the file is missing, torn, or of another model.
    """
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
        model.load_state_dict(weights)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file} is not there. Run the lesson's section 2 to make it."
        ) from error
    except Exception as error:  # noqa: BLE001 - torn files fail in many ways
        raise CheckpointError(
            f"{file} does not hold this model ({type(error).__name__}). Delete it and "
            "run the lesson's section 2 again."
        ) from error
    return model
