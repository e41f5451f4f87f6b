"""Convert, and ask ExecuTorch's Python runtime about a list of photos.

python -m deploy.executorch.try_it PHOTOS.json OUT.json
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime

from deploy.converting import try_command
from deploy.executorch.convert import write_pte
from deploy.network import try_runtime
from deploy.trial import TargetResult

PACKAGES = ("executorch", "torch")


def runner(file: Path) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """What a .pte file says about a prepared picture (1, 3, S, S), on one thread."""
    _unsafe_reset_threadpool(1)  # unsafe while something runs; nothing does yet
    program = Runtime.get().load_program(file)
    method = program.load_method("forward")
    return lambda picture: method.execute([picture])


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert and ask."""
    ask = partial(try_runtime, "ExecuTorch", write_pte, runner, packages=PACKAGES)
    return [ask(model, photos)]


if __name__ == "__main__":
    try_command(try_all, "Try ExecuTorch.")
