"""How much arithmetic this machine can do, and how much of it a network uses."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from benchmarks.plan import SEED

PEAK_RUNS = 10
ROUNDING = ("QuantizeLinear", "DequantizeLinear")


def measured_peaks(side: int) -> dict[str, float]:
    """Multiply-adds a second in a large matrix product, the best of several.

    fp32 is PyTorch's `mm`; int8 is ONNX Runtime's MatMulInteger, uint8 by int8.

    Args:
        side: Rows and columns of both matrices.
    """
    fp32 = torch.rand(side, side), torch.rand(side, side)
    numbers = np.random.default_rng(SEED)
    left = numbers.integers(0, 256, (side, side), np.uint8)
    session = _integer_product(numbers.integers(-128, 128, (side, side), np.int8))
    return {
        "fp32": side**3 / _best(lambda: torch.mm(*fp32)),
        "int8": side**3 / _best(lambda: session.run(None, {"left": left})),
    }


def _best(run: Callable) -> float:
    run()
    times = []
    for _ in range(PEAK_RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _integer_product(right: np.ndarray) -> onnxruntime.InferenceSession:
    shape = list(right.shape)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("product", TensorProto.INT32, shape)],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return session_of(model)


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Run a model in memory, on as many threads as PyTorch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@torch.inference_mode()
def multiply_adds(model: nn.Module, batch: torch.Tensor) -> int:
    """Count a network's multiply-adds in its convolutions and linear layers.

    Args:
        model: In evaluation mode.
        batch: What it is asked, (N, 3, S, S); the count is for all of it.
    """
    total = 0

    def count(layer: nn.Module, _: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model(batch)
    for hook in hooks:
        hook.remove()
    return total


def network_alone(file: Path) -> tuple[onnxruntime.InferenceSession, str]:
    """Load an exported model without the preprocessing in front of its network.

    Returns:
        A session and the name of its input, float32 (1, 3, S, S).
    """
    model = onnx.load(file)
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    cut = next(node for node in graph.node if node.op_type == "Conv").input[0]
    while cut in made_by and made_by[cut].op_type in ROUNDING:
        cut = made_by[cut].input[0]
    needed, waiting = set(), [output.name for output in graph.output]
    while waiting:
        name = waiting.pop()
        if name != cut and name not in needed:
            needed.add(name)
            waiting += made_by[name].input if name in made_by else []
    kept = [node for node in graph.node if needed & set(node.output)]
    del graph.node[:], graph.input[:], graph.value_info[:]
    graph.node.extend(kept)
    used = [value for value in graph.initializer if value.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)
    shape = [1, 3, None, None]
    graph.input.append(helper.make_tensor_value_info(cut, TensorProto.FLOAT, shape))
    return session_of(model), cut
