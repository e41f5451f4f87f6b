"""The browser demo: answers and times in all browsers, a first visit, a live camera."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import psutil
from PIL import Image, ImageOps
from playwright.sync_api import Browser

from benchmarks.browser import FIREFOX, ask_page, chromium, firefox_page, open_pocket
from benchmarks.plan import MODEL, TURN, Bench, goal, in_turns, progress, speed
from going_modular.app.model import Predictor
from going_modular.files import progress_bar
from going_modular.predictions import WARM_UP
from pocket.runtimes import LITE_RT, ORT_WEB
from pocket.server import serve_folder
from pocket.stopwatch import ON_LITE_RT, ON_ORT_WEB

NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
FOUR_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 })"
PYTHON = "Python", "the app's own Predictor, 1 thread"
RUNS = 20  # that are profiled, after a warm-up
NODE = r"^(node_Conv_\d+)"  # as ONNX Runtime names what it made of one
KINDS = ("depthwise convolutions", "other convolutions", "all else")
DEPTHWISE, OTHER, REST = KINDS
# The profile comes on the console, line by line.
PROFILE = """async ([model, runs]) => {
    const ort = await import("./vendor/ort.mjs");
    const { body } = await fetch("vendor/ort.wasm.gz");
    const runtime = new Response(body.pipeThrough(new DecompressionStream("gzip")));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await runtime.arrayBuffer();
    const session = await ort.InferenceSession.create(model, {
        executionProviders: ["wasm"], enableProfiling: true });
    const pixels = Uint8Array.from({ length: 384 * 512 * 3 }, (_, at) => at * 7919);
    const picture = new ort.Tensor("uint8", pixels, [384, 512, 3]);
    for (let run = 0; run < runs; run += 1) await session.run({ picture });
    session.endProfiling();
}"""
# The second for nobody is there to allow it.
CAMERA = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
FILM_SIZE = (1280, 720)  # pixels, what the page asks a camera for
FILM_PHOTOS = 12  # the film shows one after another, then begins again
FILM_FPS = 30  # what Chromium plays a film of JPEG pictures at
SLIDE = 0.25  # of the width, by which a photo slides in its second
CAMERA_WARM_UP_MS = 5000  # of live answers that do not count
SAMPLE = 2.5  # seconds between two looks at the memory
TENTHS = 10  # parts of the time; of ten minutes, each is a minute
# Runs before the page's own code. Of every answer it notes when the viewfinder showed
# its frame, when the worker answered, and how many answers came since, itself included.
NOTES = """globalThis.notes = [];
(() => {
    const times = [];
    let shown, grabbed;
    const follow = (video) => video.requestVideoFrameCallback((_, frame) => {
        const at = frame.presentationTime;
        shown = { at, before: times.findLastIndex((time) => time <= at) + 1 };
        follow(video);
    });
    addEventListener("playing", ({ target }) => follow(target), true);
    const grab = globalThis.createImageBitmap;
    globalThis.createImageBitmap = (source, ...rest) => {
        if (source instanceof HTMLVideoElement) grabbed = shown;
        return grab(source, ...rest);
    };
    globalThis.Worker = class extends Worker {
        constructor(...given) {
            super(...given);
            this.addEventListener("message", ({ data }) => {
                if (!data.result?.probabilities || !grabbed) return;
                times.push(performance.now());
                notes.push([grabbed.at, times.at(-1), times.length - grabbed.before]);
            });
        }
    };
})();"""


def measure(bench: Bench) -> dict:
    """Ask all of them about every test picture, in turns; then visit the page anew."""
    pictures = [file.read_bytes() for file, _ in bench.test_pictures()]
    lite_site, ort_site = (bench.write_site(engine) for engine in (LITE_RT, ORT_WEB))
    with (
        serve_folder(lite_site, isolated=False) as lite,
        serve_folder(lite_site) as shared,
        serve_folder(ort_site, isolated=False) as ort,
        chromium() as browser,
    ):
        tabs = [(lite.url, ""), (lite.url, NO_RELAXED_SIMD), (ort.url, "")]
        tabs.append((shared.url, FOUR_CORES))
        place = f"Chromium {browser.version.partition('.')[0]}"
        said = _ask_all(browser, place, tabs, pictures)
        sites = {LITE_RT.title: lite.url, ORT_WEB.title: ort.url}
        ways = {name: partial(_visit, browser, url) for name, url in sites.items()}
        starts = bench.plan.rounds * bench.plan.starts * pictures[:1]
        runs = in_turns("first visits", ways, starts, turn=1, warm_up=0)
        steps = _profile(browser, ort.url)
    visits = {name: run.median() for name, run in runs.items()}
    lite, ort = visits.values()
    # Milliseconds are by their own clocks: the way to the page does not count.
    ms = {way: own.milliseconds.median() for way, own in said.items()}
    on_lite, on_ort = (ms[place, runs] for runs in (ON_LITE_RT, ON_ORT_WEB))
    found = [np.stack(own.probabilities) for own in said.values()]
    apart = [float(np.abs(scores - found[0]).max()) for scores in found]
    best = [scores.argmax(axis=1) for scores in found]
    same = [int((own == best[0]).sum()) for own in best]
    return {
        "goals": [
            goal("rate", 1000 / on_lite),
            goal("against_ort", on_ort / on_lite),
            goal("against_python", on_lite / ms[PYTHON]),
            goal("alike", max(apart), same=min(same), total=len(pictures)),
            goal("visit_size", lite.megabytes),
            goal("visit_start", lite.seconds / ort.seconds),
        ],
        "on": bench.pictures.label,
        "pictures": len(pictures),
        "turn": TURN,
        "ways": [
            {
                "where": way[0],
                "what runs it": way[1],
                **speed(own.milliseconds),
                "times Python's": round(ms[way] / ms[PYTHON], 1),
                "same class as Python": f"{right} of {len(pictures)}",
                "probabilities apart": round(far, 4),
            }
            for (way, own), right, far in zip(said.items(), same, apart, strict=True)
        ],
        "runs": RUNS,
        "steps": steps,
        "visited": len(starts),
        "visits": [
            {
                "what runs it": name,
                "first answer, median s": round(own.seconds, 2),
                "loaded MB": round(own.megabytes, 1),
            }
            for name, own in visits.items()
        ],
    }


def _ask_all(browser: Browser, place: str, tabs: list, pictures: list) -> dict:
    """By place and runtime: what Python and each tab (address, first script) says."""
    predictor = Predictor(MODEL, threads=1)

    def ask_python(picture: bytes) -> dict[str, object]:
        answer = predictor.predict(BytesIO(picture))
        scores = [answer.probabilities[name] for name in predictor.about.class_names]
        return {"probabilities": scores, "milliseconds": 1000 * answer.seconds}

    ways = {PYTHON: ask_python}
    with ExitStack() as stack:
        for url, first in tabs:
            context = stack.enter_context(browser.new_context())
            page = open_pocket(context.new_page(), url, first=first)
            ways[place, page.inner_text("#runs")] = partial(ask_page, page)
        if FIREFOX:  # where it is installed
            page = stack.enter_context(firefox_page(tabs[0][0]))
            version = page.evaluate("parseInt(navigator.userAgent.split('/').pop())")
            way = f"Firefox {version}", page.inner_text("#runs")
            ways[way] = partial(ask_page, page)
        return in_turns("asking browsers and Python", ways, pictures)


def _visit(browser: Browser, url: str, picture: bytes) -> dict[str, float]:
    """Seconds to a first answer, and megabytes until it works without network."""
    loaded = []
    with browser.new_context() as context:
        context.on("requestfinished", lambda request: loaded.append(request))
        start = time.perf_counter()
        page = open_pocket(context.new_page(), url)
        ask_page(page, picture)
        seconds = time.perf_counter() - start
        page.locator("#offline").wait_for()
        sizes = pd.DataFrame([request.sizes() for request in loaded])
    size = sizes.responseHeadersSize.sum() + sizes.responseBodySize.sum()
    return {"seconds": seconds, "megabytes": size / 1e6}


def _profile(browser: Browser, url: str) -> list[dict[str, object]]:
    """A row for each kind of step that ONNX Runtime Web takes, on one thread."""
    texts, work = [], _convolutions()
    with browser.new_page() as page:
        page.on("console", lambda message: texts.append(message.text))
        page.goto(f"{url}model.json")  # nothing of the page runs there
        page.evaluate(PROFILE, [MODEL.name, WARM_UP + RUNS])
        while "]" not in texts:  # what is on the console comes a little later
            page.wait_for_timeout(50)
    events = pd.DataFrame(json.loads("".join(texts[texts.index("[") :])))
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


def watch_camera(bench: Bench) -> dict:
    """Let the page answer for a film of test photos that never stands still."""
    seconds, film = bench.plan.camera_seconds, bench.workdir / "film.mjpeg"
    _write_film([file for file, _ in bench.test_pictures(FILM_PHOTOS)], film)
    progress(f"the live camera, for {seconds:g} seconds")
    looks, memory = max(TENTHS, round(seconds / SAMPLE)), []
    seen = f"--use-file-for-fake-video-capture={film}"
    with serve_folder(bench.write_site()) as served, chromium(*CAMERA, seen) as browser:
        page = open_pocket(browser.new_page(), served.url, first=NOTES)
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector("#bars li")
        page.wait_for_timeout(CAMERA_WARM_UP_MS)
        # The page with its worker and the model, and what draws it.
        listed = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        listed = [p for p in listed["processInfo"] if p["type"] in ("renderer", "GPU")]
        processes = [psutil.Process(process["id"]) for process in listed]
        page.evaluate("notes.splice(0)")
        for _ in progress_bar("watching the live camera", iterable=range(looks)):
            page.wait_for_timeout(1000 * seconds / looks)
            # Its own memory and, as Linux says it, its share of what is shared.
            memory.append(sum(p.memory_full_info().pss for p in processes) / 1e6)
            if not (chip := page.inner_text("#rate-chip")).endswith("a second"):
                raise RuntimeError(f"the live camera came to rest: {chip!r}")
        notes, runs = page.evaluate("notes"), page.inner_text("#runs")
    answers = pd.DataFrame(notes, columns=["shown", "answered", "age"])
    ms, oldest = answers.answered - answers.shown, int(answers.age.max())
    tenth, minutes = looks // TENTHS, round(seconds / 60, 1)
    early, late = np.median(memory[tenth : 2 * tenth]), np.median(memory[-tenth:])
    row = {
        "minutes": minutes,
        "answers a second": round(1000 / answers.answered.diff().mean(), 1),
        "oldest frame, in answers": oldest,
        "frame to answer, median ms": round(ms.median()),
        "99th pct ms": round(ms.quantile(0.99)),
        "memory MB, second tenth": round(early),
        "last tenth": round(late),
    }
    growth = goal("camera_memory", late / early - 1, minutes=minutes)
    goals = [growth, goal("camera_age", oldest)]
    return {"goals": goals, "watched": [row], "runs": runs, "film_fps": FILM_FPS}


def _write_film(files: Sequence[Path], film: Path) -> None:
    width, height = FILM_SIZE
    wide = (round(width * (1 + SLIDE)), height)
    with film.open("wb") as out:
        for file in files:
            fitted = ImageOps.fit(Image.open(file).convert("RGB"), wide)
            for left in np.linspace(0, wide[0] - width, FILM_FPS).round().astype(int):
                frame = fitted.crop((left, 0, left + width, height))
                frame.save(out, "JPEG", quality=80)
