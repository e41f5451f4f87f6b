"""Ask both demos about photos: the app over HTTP, the page in a browser."""

import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.try_it import TargetResult, ask_all, versions_of
from going_modular.app_process import RunningDemo, connected, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app
from pocket.site import write_pocket
from pocket.stopwatch import measure_in_browser


@contextmanager
def app_running(model: Path) -> Iterator[RunningDemo]:
    """The app, started as a Gradio Space does."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_app(APP, Path(scratch, "foodvision_mini"), TEXTS)
        shutil.copyfile(model, folder / "foodvision_mini.onnx")
        with run_demo(folder) as running:
            yield running


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Ask the app as a program would, and let a browser answer, on one thread."""

    def ask(content: bytes) -> dict:
        plate.write_bytes(content)
        label, _ = ask_demo(plate, 60)
        parts = label["confidences"]
        return {"probabilities": {part["label"]: part["confidence"] for part in parts}}

    with tempfile.TemporaryDirectory() as scratch:
        plate, versions = Path(scratch, "plate.jpg"), versions_of("gradio onnxruntime")
        facts = {"versions": versions, "file_bytes": model.stat().st_size}
        with app_running(model) as app, connected(app.url) as ask_demo:
            by_app = ask_all("Spaces, Gradio", ask, photos, **facts)
        folder = write_pocket(model, Path(scratch, "foodvision_pocket"))
        about = json.loads((folder / "model.json").read_text("utf-8"))
        speed = measure_in_browser(folder, photos)
        size = (folder / about["file"]).stat().st_size
    versions = {"browser": speed.browser, "engine": speed.runs}
    rows = [dict(zip(about["class_names"], row, strict=True)) for row in speed.answers]
    answers = [{"probabilities": probabilities} for probabilities in rows]
    facts = versions, size, answers, statistics.median(speed.milliseconds)
    gzip = {"note": "the file is packed by gzip"}
    return [by_app, TargetResult("Spaces, static", *facts, **gzip)]
