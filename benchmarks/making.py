"""Make what is measured: trained networks, ONNX files, the app and its PyTorch twin."""

import random
import re
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.plan import ROOT, SEED, Bench, progress
from benchmarks.training import LITE2, SETTINGS, train
from going_modular.app.model import ModelMetadata
from going_modular.demo_folder import APP, COPIED, WRITTEN, copy_app, write_readme
from going_modular.export import export_onnx, made_with, make_deployable
from going_modular.quantize import quantize
from pocket.runtimes import Engine
from pocket.site import write_pocket

OURS, TWIN = "ONNX int8", "PyTorch"
EXAMPLES = 3  # pictures that the page offers to try
TORCH_PACKAGES = r"(torch|torchvision|timm)\b"


class Made(NamedTuple):
    """What the later parts measure: a trained EffNet-Lite2."""

    int8_file: Path  # as ONNX, in the folder of the app
    apps: dict[str, Path]  # OURS, as the lesson leaves it, without examples; its TWIN


@cache
def make_all(bench: Bench) -> Made:
    """Train, export, quantise and lay out both apps, once a run."""
    progress("training a head, exporting, quantising")
    built, features, score, _ = train(bench)
    # Storing features left it in channels_last; most programs never do that.
    built.model.to(memory_format=torch.contiguous_format)
    # Its gate has met no other dishes: here its speed counts, not its judgement.
    deployable, facts = make_deployable(built, features, settings=SETTINGS)
    about = ModelMetadata(
        **facts,
        name="foodvision_mini",
        title="FoodVision Mini",
        class_names=bench.class_names,
        gate={"made_with": "no other dishes"},
        contender=LITE2.name,
        input_size=built.preprocess.size,
        precision="fp32",
        trained_on=f"{len(features)} {bench.pictures.label}",
        is_practice=bench.pictures.is_practice,
        test_result={"correct": score.right, "total": score.total},
        made_with=made_with(),
    )
    fp32_file = export_onnx(deployable, bench.workdir / "fp32.onnx", about=about)
    apps = {OURS: bench.workdir / "app", TWIN: bench.workdir / "twin"}
    for folder in apps.values():
        copy_app(APP, folder, [*COPIED, *WRITTEN])
        write_readme(about, folder)
    files = [file for file, _ in bench.datasets()[0].samples]
    some = random.Random(SEED).sample(files, min(100, len(files)))
    int8_file, twin_file = (app / f"{about.name}.onnx" for app in apps.values())
    quantize(fp32_file, int8_file, calibrate_on=some)
    head = built.model.head[-1].state_dict(prefix="classifier.")
    weights = built.model.base.state_dict() | head
    # PyTorch's own kind of file; the app looks for a name that ends like that.
    torch.save({"weights": weights, "about": about.to_metadata()}, twin_file)
    _replace_runtime(apps[TWIN])
    return Made(int8_file, apps)


def _replace_runtime(app: Path) -> None:
    """Give a copy of the app PyTorch in the place of ONNX Runtime."""
    twin = Path(__file__).with_name("twin_runtime.py")
    shutil.copyfile(twin, app / "onnxruntime.py")
    ours, course = (
        Path(folder, "requirements.txt").read_text("utf-8").splitlines()
        for folder in (app, ROOT)
    )
    lines = [line for line in ours if not line.startswith("onnxruntime")]
    lines += [line for line in course if re.match(TORCH_PACKAGES, line)]
    (app / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")


def write_site(bench: Bench, engine: Engine) -> Path:
    """The browser demo of that file, once a run, with pictures to try."""
    folder = bench.workdir / engine.code.name
    if not folder.exists():
        examples = [file for file, _ in bench.test_pictures(EXAMPLES)]
        model = make_all(bench).int8_file
        write_pocket(model, folder, examples=examples, engine=engine)
    return folder
