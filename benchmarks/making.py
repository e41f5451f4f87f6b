"""Make what is measured: trained networks, ONNX files, the app and its PyTorch twin."""

import random
import re
import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.plan import ROOT, SEED, Bench, progress
from benchmarks.training import LITE2, SETTINGS, Trained, our_way
from going_modular.app.model import ModelMetadata
from going_modular.demo_folder import APP, COPIED, WRITTEN, copy_app, write_readme
from going_modular.export import export_onnx, made_with, make_deployable
from going_modular.quantize import quantize
from pocket.runtimes import Engine
from pocket.site import write_pocket

OURS, TWIN = "ONNX int8", "PyTorch"
EXAMPLES = 3  # pictures that the page offers to try
TORCH_PACKAGES = ("torch", "torchvision", "timm")


class Made(NamedTuple):
    """What the later parts measure: a trained EffNet-Lite2."""

    int8_file: Path  # as ONNX, in the folder of the app
    apps: dict[str, Path]  # OURS, as the lesson leaves it, without examples; its TWIN


@cache
def make_all(bench: Bench) -> Made:
    """Train, export, quantise and lay out both apps, once a run."""
    progress("training a head, exporting, quantising")
    lite2 = our_way(bench)
    # Storing features left it in channels_last; most programs never do that.
    lite2.built.model.to(memory_format=torch.contiguous_format)
    # Its gate has met no other dishes: here its speed counts, not its judgement.
    deployable, facts = make_deployable(lite2.built, lite2.features, settings=SETTINGS)
    about = ModelMetadata(
        **facts,
        name="foodvision_mini",
        title="FoodVision Mini",
        class_names=bench.class_names,
        gate={"made_with": "no other dishes"},
        contender=LITE2.name,
        input_size=lite2.built.preprocess.size,
        precision="fp32",
        trained_on=f"{len(lite2.features)} {bench.pictures.label}",
        is_practice=bench.pictures.is_practice,
        test_result={"correct": lite2.score.right, "total": lite2.score.total},
        made_with=made_with(),
    )
    fp32_file = export_onnx(deployable, bench.workdir / "fp32.onnx", about=about)
    apps = {OURS: bench.workdir / "app", TWIN: bench.workdir / "twin"}
    for folder in apps.values():
        copy_app(APP, folder, [*COPIED, *WRITTEN])
        write_readme(about, folder)
    files = [file for file, _ in bench.datasets()[0].samples]
    some = random.Random(SEED).sample(files, min(100, len(files)))
    int8_file = apps[OURS] / f"{about.name}.onnx"
    quantize(fp32_file, int8_file, calibrate_on=some)
    _turn_into_twin(apps[TWIN], lite2, about)
    return Made(int8_file, apps)


def write_site(bench: Bench, engine: Engine) -> Path:
    """The browser demo of that file, once a run, with pictures to try."""
    folder = bench.workdir / engine.code.name
    if not folder.exists():
        examples = [file for file, _ in bench.test_pictures(EXAMPLES)]
        model = make_all(bench).int8_file
        write_pocket(model, folder, examples=examples, engine=engine)
    return folder


def _turn_into_twin(app: Path, trained: Trained, about: ModelMetadata) -> None:
    """Give a copy of the app another `model.py`, its packages and its file."""
    shutil.copyfile(Path(__file__).with_name("twin_model.py"), app / "model.py")
    ours = (app / "requirements.txt").read_text("utf-8").splitlines()
    course = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    needed = re.compile(rf"({'|'.join(TORCH_PACKAGES)})\b")
    lines = [line for line in ours if not line.startswith("onnxruntime")]
    lines += [line for line in course if needed.match(line)]
    (app / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")
    model = trained.built.model
    head = model.head[-1].state_dict(prefix="classifier.")
    content = {"weights": model.base.state_dict() | head, "about": asdict(about)}
    torch.save(content, app / f"{about.name}.pth")
