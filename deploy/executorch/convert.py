"""Write the model as .pte, which ExecuTorch runs on Android, iOS and in C++.

python -m deploy.executorch.convert [--model FILE] [OUT]
"""

from pathlib import Path

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
    XnnpackPartitioner,
)
from executorch.exir import to_edge_transform_and_lower

from deploy.converting import Network, convert_command
from deploy.reference import read_deployable
from going_modular.export import quiet
from going_modular.files import atomic_write


def write_pte(model: Path, out: Path) -> Path:
    """Write a model file's network in floats, all or nothing.

    XNNPACK, the library for phones' processors, does the convolutions. The file takes
    a prepared picture, (1, 3, S, S), and gives what `Network` does.

    Raises:
        LessonError: If the model file is not one of the lesson's, or the file cannot
            be written.
    """
    network = Network(read_deployable(model))
    with atomic_write(out) as part, quiet(), torch.no_grad():
        traced = torch.export.export(network, (network.example,))
        parts = [XnnpackPartitioner()]
        lowered = to_edge_transform_and_lower(traced, partitioner=parts)
        part.write_bytes(lowered.to_executorch().buffer)
    return out


if __name__ == "__main__":
    convert_command(write_pte, "foodvision_mini.pte")
