"""Convert, and ask ExecuTorch's Python runtime about a list of photos.

python -m deploy.executorch.try_it PHOTOS.json OUT.json
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime

from deploy.converting import try_command, versions_of
from deploy.executorch.convert import NAME, write_pte
from deploy.network import answering
from deploy.reference import read_about, read_deployable
from deploy.trial import TargetResult, ask_all


def runner(file: Path) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """What a .pte file says about a prepared picture (1, 3, S, S), on one thread."""
    _unsafe_reset_threadpool(1)  # unsafe while something runs; nothing does yet
    program = Runtime.get().load_program(file)
    method = program.load_method("forward")
    return lambda picture: method.execute([picture])


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert and ask."""
    torch.set_num_threads(1)
    preprocess, names = read_deployable(model).preprocess, read_about(model).class_names
    with tempfile.TemporaryDirectory() as folder:
        file = write_pte(model, Path(folder, NAME))
        ask = answering(runner(file), preprocess, names)
        answers, median_ms = ask_all(ask, photos)
        size = file.stat().st_size
    versions = versions_of("executorch", "torch")
    return [TargetResult("ExecuTorch", versions, size, answers, median_ms, "fp32")]


if __name__ == "__main__":
    try_command(try_all, "Try ExecuTorch.")
