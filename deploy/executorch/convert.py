"""Write the model as .pte, which ExecuTorch runs on Android, iOS and in C++."""

from collections.abc import Callable
from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
from executorch.runtime import Runtime

from deploy.reference import Network, convert_command, read_deployable, try_runtime
from deploy.try_it import TargetResult, versions_of
from going_modular.export import quiet
from going_modular.files import atomic_write


def write_pte(model: Path, out: Path) -> Path:
    """Write a model file's `Network` in floats, all or nothing."""
    network = Network(read_deployable(model))
    with atomic_write(out) as part, quiet(), torch.no_grad():
        graph = torch.export.export(network, (network.example,))
        lowered = to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()])
        part.write_bytes(lowered.to_executorch().buffer)
    return out


def runner(file: Path) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """What a .pte file says about a prepared picture (1, 3, S, S), on one thread."""
    _unsafe_reset_threadpool(1)  # unsafe while something runs; nothing does yet
    method = Runtime.get().load_program(file).load_method("forward")
    return lambda picture: method.execute([picture])


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert, and ask ExecuTorch's Python runtime."""
    facts = {"versions": versions_of("executorch torch"), "precision": "fp32"}
    return [try_runtime("ExecuTorch", write_pte, runner, model, photos, **facts)]


if __name__ == "__main__":
    convert_command(write_pte, "foodvision_mini.pte")
