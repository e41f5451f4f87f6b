"""Ask both demos about photos: the app over HTTP, the page in a browser."""

import json
import shutil
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from deploy import DEFAULT_MODEL as MODEL
from deploy.trial import WARM_UPS, TargetResult, main
from going_modular.app_process import connected, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app
from going_modular.pocket.site import write_pocket
from going_modular.pocket.stopwatch import measure_in_browser

SECONDS = 60


def try_app(photos: list[Path]) -> TargetResult:
    """Start the app as a Gradio Space does, and ask it as a program would."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_app(APP, Path(scratch, "foodvision_mini"), TEXTS)
        shutil.copyfile(MODEL, folder / MODEL.name)
        answers, waits = [], []
        with run_demo(folder) as running, connected(running.url) as ask:
            for photo in [*photos[:WARM_UPS], *photos]:
                start = time.perf_counter()
                label, _ = ask(photo, SECONDS)
                waits.append(1000 * (time.perf_counter() - start))
                parts = label["confidences"]
                answers.append(
                    {"probabilities": {p["label"]: p["confidence"] for p in parts}}
                )
    return TargetResult(
        "Spaces, Gradio",
        {name: version(name) for name in ("gradio", "onnxruntime")},
        MODEL.stat().st_size,
        answers[WARM_UPS:],
        statistics.median(waits[WARM_UPS:]),
    )


def try_page(photos: list[Path]) -> TargetResult:
    """Put the page together, and let a browser answer, on one thread."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_pocket(MODEL, Path(scratch, "foodvision_pocket"))
        told = json.loads((folder / "model.json").read_text("utf-8"))
        speed = measure_in_browser(folder, photos)
        size = (folder / told["file"]).stat().st_size
    named = [dict(zip(told["class_names"], row, strict=True)) for row in speed.answers]
    return TargetResult(
        "Spaces, static",
        {"browser": speed.browser, "engine": speed.runs},
        size,
        [{"probabilities": probabilities} for probabilities in named],
        statistics.median(speed.milliseconds),
        note="the file is packed by gzip",
    )


def try_it(photos: list[Path]) -> list[TargetResult]:
    """Try both."""
    return [try_app(photos), try_page(photos)]


if __name__ == "__main__":
    main(try_it, __doc__)
