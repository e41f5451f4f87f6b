"""Where ONNX Runtime Web's time goes, step by step, as it writes it down itself."""

import json

import numpy as np
import onnx
import pandas as pd
from playwright.sync_api import Browser

from benchmarks.plan import MODEL

RUNS = 20
WARM_UP = 5  # runs before those that count
NODE = r"^(node_Conv_\d+)"  # as ONNX Runtime names what it made of one
KINDS = ("depthwise convolutions", "other convolutions", "all else")
DEPTHWISE, OTHER, REST = KINDS
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


def profile(browser: Browser, url: str) -> list[dict[str, object]]:
    """Ask ONNX Runtime Web in Chromium, on one thread, what its steps take.

    `url` is of the demo, written with that engine. Returns a row for each kind of step;
    milliseconds are the median of runs.
    """
    work, events = _convolutions(), _events(browser, url)
    begins = np.sort(events[events["name"] == "model_run"].ts)
    kernels = events[events["name"].str.endswith("_kernel_time")]
    kind = kernels["name"].str.extract(NODE)[0].map(work.kind).fillna(REST)
    run = np.searchsorted(begins, kernels.ts, side="right")
    steps = pd.DataFrame({"run": run, "kind": kind, "ms": kernels.dur / 1e3})
    steps = steps[steps.run > WARM_UP]
    ms = steps.groupby(["run", "kind"]).ms.sum().unstack().median()
    done = work.groupby("kind").multiplications.sum().reindex(KINDS, fill_value=0)
    return [
        {
            "step": kind,
            "number": int((steps.kind == kind).sum()) // RUNS,
            "multiplications, millions": round(done[kind] / 1e6),
            "of all multiplications": f"{done[kind] / done.sum():.0%}",
            "ms": round(ms[kind], 1),
            "of all ms": f"{ms[kind] / ms.sum():.0%}",
        }
        for kind in KINDS
    ]


def _events(browser: Browser, url: str) -> pd.DataFrame:
    """What ONNX Runtime Web notes of its runs."""
    texts = []
    with browser.new_page() as page:
        page.on("console", lambda message: texts.append(message.text))
        page.goto(f"{url}model.json")  # nothing of the page runs there
        page.evaluate(ASK, [MODEL.name, WARM_UP + RUNS])
        while "]" not in texts:  # what is on the console comes a little later
            page.wait_for_timeout(50)
    return pd.DataFrame(json.loads("".join(texts[texts.index("[") :])))


def _convolutions() -> pd.DataFrame:
    """By name: their kind, and their multiplications for a picture."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(MODEL)).graph
    shapes = {value.name: value.type.tensor_type.shape for value in graph.value_info}
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    stored = {node.output[0]: node.input[0] for node in graph.node}
    rows = {}
    for node in (node for node in graph.node if node.op_type == "Conv"):
        kernel = weights[stored[node.input[1]]]  # out, in of a group, high, wide
        places = [size.dim_value for size in shapes[node.output[0]].dim[2:]]
        kind = DEPTHWISE if kernel[1] == 1 else OTHER
        rows[node.name] = kind, int(np.prod([*places, *kernel]))
    columns = ["kind", "multiplications"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
