"""Where ONNX Runtime Web's time goes, step by step, as it writes it down itself."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pandas as pd

from benchmarks.browser import chromium
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL

RUNS = 20
WARM_UP = 5  # runs before those that count
NODE = re.compile(r"(node_Conv_\d+)")  # as ONNX Runtime names what it made of one
DEPTHWISE, OTHER_CONV, REST = (
    "depthwise convolutions",
    "other convolutions",
    "all else",
)
# The profile comes on the console, line by line.
ASK = """async ([model, runs]) => {
    const ort = await import("./vendor/ort.mjs");
    const read = async (name) => (await fetch(name)).arrayBuffer();
    const { body } = await fetch("vendor/ort.wasm.gz");
    const runtime = new Response(body.pipeThrough(new DecompressionStream("gzip")));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await runtime.arrayBuffer();
    const session = await ort.InferenceSession.create(await read(model), {
        executionProviders: ["wasm"], enableProfiling: true });
    const pixels = Uint8Array.from({ length: 384 * 512 * 3 }, (_, at) => at * 7919);
    const picture = new ort.Tensor("uint8", pixels, [384, 512, 3]);
    for (let run = 0; run < runs; run += 1) await session.run({ picture });
    session.endProfiling();
}"""


class Kind(NamedTuple):
    """Steps of one kind.

    Attributes:
        steps: How many there are.
        multiplications: Of all of them, for one picture.
        ms: That they take, the median of runs.
    """

    steps: int
    multiplications: int
    ms: float


def profile(site: Path) -> dict[str, Kind]:
    """Ask ONNX Runtime Web in Chromium, on one thread, what its steps take.

    Args:
        site: Written by `write_pocket` with that engine.
    """
    texts = []
    with serve_folder(site, isolated=False) as served, chromium() as browser:
        page = browser.new_page()
        page.on("console", lambda message: texts.append(message.text))
        page.goto(f"{served.url}model.json")  # nothing of the page runs there
        page.evaluate(ASK, [MODEL, WARM_UP + RUNS])
        while "]" not in texts:  # what is on the console comes a little later
            page.wait_for_timeout(50)
    events = json.loads("".join(texts[texts.index("[") :]))
    counts = _multiplications(site / MODEL)
    rows = pd.DataFrame(
        [
            {"run": run, "kind": _kind(event["name"], counts), "ms": event["dur"] / 1e3}
            for run, events_of_run in enumerate(_runs(events))
            for event in events_of_run
        ]
    )
    ms = rows.groupby(["run", "kind"]).ms.sum().unstack().iloc[WARM_UP:].median()
    steps = rows[rows.run == WARM_UP].kind.value_counts()
    return {
        kind: Kind(
            int(steps[kind]), sum(n for k, n in counts.values() if k == kind), ms[kind]
        )
        for kind in (DEPTHWISE, OTHER_CONV, REST)
    }


def _runs(events: list[dict]) -> list[list[dict]]:
    """The steps of each run."""
    begins = sorted(e["ts"] for e in events if e["name"] == "model_run")
    steps = [e for e in events if e["name"].endswith("_kernel_time")]
    ends = [*begins[1:], float("inf")]
    return [
        [step for step in steps if begin <= step["ts"] < end]
        for begin, end in zip(begins, ends, strict=True)
    ]


def _kind(name: str, counts: dict[str, tuple[str, int]]) -> str:
    found = NODE.match(name)
    return counts[found.group()][0] if found and found.group() in counts else REST


def _multiplications(model_file: Path) -> dict[str, tuple[str, int]]:
    """The kind of each convolution by its name, and its multiplications a picture."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(model_file)).graph
    shapes = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in graph.value_info
    }
    weights = {c.name: list(c.dims) for c in graph.initializer}
    stored = {n.output[0]: n.input[0] for n in graph.node}
    counts = {}
    for node in graph.node:
        if node.op_type == "Conv":
            kernel = weights[stored[node.input[1]]]  # out, in of a group, high, wide
            places = int(np.prod(shapes[node.output[0]][2:]))
            kind = DEPTHWISE if kernel[1] == 1 else OTHER_CONV
            counts[node.name] = kind, places * int(np.prod(kernel))
    return counts
