"""Where ONNX Runtime Web's time goes, step by step, as it writes it down itself."""

import json
import re
from bisect import bisect
from pathlib import Path

import numpy as np
import onnx
import pandas as pd

from benchmarks.browser import chromium
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL

RUNS = 20
WARM_UP = 5  # runs before those that count
NODE = re.compile(r"(node_Conv_\d+)")  # as ONNX Runtime names what it made of one
KINDS = ("depthwise convolutions", "other convolutions", "all else")
DEPTHWISE, OTHER_CONV, REST = KINDS
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


def profile(site: Path) -> list[dict[str, object]]:
    """Ask ONNX Runtime Web in Chromium, on one thread, what its steps take.

    Args:
        site: Written by `write_pocket` with that engine.

    Returns:
        A row for each kind of step; milliseconds are the median of runs.
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
    begins = sorted(e["ts"] for e in events if e["name"] == "model_run")
    steps = pd.DataFrame(
        [
            {
                "run": bisect(begins, event["ts"]),
                "kind": _kind(event["name"], counts),
                "ms": event["dur"] / 1e3,
            }
            for event in events
            if event["name"].endswith("_kernel_time")
        ]
    )
    steps = steps[steps.run > WARM_UP]
    ms = steps.groupby(["run", "kind"]).ms.sum().unstack().median()
    work = pd.Series(dict.fromkeys(KINDS, 0))
    for kind, multiplications in counts.values():
        work[kind] += multiplications
    return [
        {
            "step": kind,
            "number": int((steps.kind == kind).sum()) // RUNS,
            "multiplications, millions": round(work[kind] / 1e6),
            "of all multiplications": f"{work[kind] / work.sum():.0%}",
            "ms": round(ms[kind], 1),
            "of all ms": f"{ms[kind] / ms.sum():.0%}",
        }
        for kind in KINDS
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
