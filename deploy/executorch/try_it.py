"""Convert, and ask ExecuTorch's Python runtime about a list of photos."""

from collections.abc import Callable
from pathlib import Path

import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime

from deploy.converting import try_runtime
from deploy.executorch.convert import write_pte
from deploy.trial import TargetResult


def runner(file: Path) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """What a .pte file says about a prepared picture (1, 3, S, S), on one thread."""
    _unsafe_reset_threadpool(1)  # unsafe while something runs; nothing does yet
    program = Runtime.get().load_program(file)
    method = program.load_method("forward")
    return lambda picture: method.execute([picture])


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert and ask."""
    both, packages = (model, photos), ("executorch", "torch")
    return [try_runtime("ExecuTorch", write_pte, runner, *both, packages=packages)]
