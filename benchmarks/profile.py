"""Where ONNX Runtime Web's time goes, step by step, as it writes it down itself."""

import json
import re
from bisect import bisect
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from playwright.sync_api import Browser

from pocket.server import serve_folder
from pocket.site import MODEL

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


def profile(browser: Browser, site: Path) -> list[dict[str, object]]:
    """Ask ONNX Runtime Web in Chromium, on one thread, what its steps take.

    Args:
        browser: A Chromium.
        site: Written by `write_pocket` with that engine.

    Returns:
        A row for each kind of step; milliseconds are the median of runs.
    """
    work = multiplications(site / MODEL)  # kind and count by a convolution's name
    events = _events(browser, site)
    begins = sorted(e["ts"] for e in events if e["name"] == "model_run")
    rows = []
    for event in events:
        if event["name"].endswith("_kernel_time"):
            node = NODE.match(event["name"])
            kind, _ = work.get(node and node.group(), (REST, 0))
            run = bisect(begins, event["ts"])
            rows.append({"run": run, "kind": kind, "ms": event["dur"] / 1e3})
    steps = pd.DataFrame(rows).query("run > @WARM_UP")
    ms = steps.groupby(["run", "kind"]).ms.sum().unstack().median()
    done = {kind: sum(n for of, n in work.values() if of == kind) for kind in KINDS}
    return [
        {
            "step": kind,
            "number": int((steps.kind == kind).sum()) // RUNS,
            "multiplications, millions": round(done[kind] / 1e6),
            "of all multiplications": f"{done[kind] / sum(done.values()):.0%}",
            "ms": round(ms[kind], 1),
            "of all ms": f"{ms[kind] / ms.sum():.0%}",
        }
        for kind in KINDS
    ]


def _events(browser: Browser, site: Path) -> list[dict]:
    """What ONNX Runtime Web notes of its runs."""
    texts = []
    with serve_folder(site, isolated=False) as served:
        page = browser.new_page()
        page.on("console", lambda message: texts.append(message.text))
        page.goto(f"{served.url}model.json")  # nothing of the page runs there
        page.evaluate(ASK, [MODEL, WARM_UP + RUNS])
        while "]" not in texts:  # what is on the console comes a little later
            page.wait_for_timeout(50)
        page.close()
    return json.loads("".join(texts[texts.index("[") :]))


def multiplications(model_file: Path) -> dict[str, tuple[str, int]]:
    """The kind of each convolution by its name, and its multiplications a picture."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(model_file)).graph
    shapes = {
        value.name: value.type.tensor_type.shape.dim for value in graph.value_info
    }
    weights = {c.name: list(c.dims) for c in graph.initializer}
    stored = {n.output[0]: n.input[0] for n in graph.node}
    counts = {}
    for node in (node for node in graph.node if node.op_type == "Conv"):
        kernel = weights[stored[node.input[1]]]  # out, in of a group, high, wide
        places = np.prod([size.dim_value for size in shapes[node.output[0]][2:]])
        kind = DEPTHWISE if kernel[1] == 1 else OTHER_CONV
        counts[node.name] = kind, int(places * np.prod(kernel))
    return counts
