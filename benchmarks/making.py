"""Make what is measured: trained networks, ONNX files, the app and its PyTorch twin."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.plan import SEED, Bench, progress
from going_modular.datasets import make_loader
from going_modular.engine import (
    Settings,
    evaluate,
    feature_loader,
    store_features,
    train,
)
from going_modular.export import (
    Deployable,
    describe_run,
    export_onnx,
    familiarity_threshold,
    ship,
)
from going_modular.model_builder import Built, build_effnet_lite2, build_effnetb2
from going_modular.quantize import quantize
from going_modular.utils import set_seeds

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demos" / "foodvision_mini"
TWIN_MODEL = Path(__file__).with_name("twin_model.py")
TORCH_PACKAGES = ("torch", "torchvision", "timm")
ONNX_NAME, TORCH_NAME = "foodvision_mini.onnx", "foodvision_mini.pth"


@dataclass(frozen=True)
class Made:
    """What the later parts measure.

    Attributes:
        effnetb2: Trained if its weights are pretrained, else as it was built.
        lite2: Trained EffNet-Lite2.
        fp32_file: The latter as ONNX.
        app: The demo folder, with the int8 file.
        twin: The same app, answering with PyTorch.
    """

    effnetb2: Built
    lite2: Built
    fp32_file: Path
    app: Path
    twin: Path


def make_all(bench: Bench) -> Made:
    """Train, export, quantise and lay out both app folders."""
    progress("training the heads, exporting, quantising")
    effnetb2 = build_effnetb2(len(bench.class_names))
    if effnetb2.pretrained:
        _train(bench, effnetb2)
    set_seeds(SEED)
    lite2 = build_effnet_lite2(len(bench.class_names))
    features = _train(bench, lite2)
    about = _about(bench, lite2, features)
    deployable = Deployable(lite2.preprocess, lite2.model, features)
    fp32_file = bench.workdir / "fp32.onnx"
    export_onnx(deployable, fp32_file, metadata=about)
    return Made(
        effnetb2,
        lite2,
        fp32_file,
        _lay_out_app(bench, fp32_file),
        _lay_out_twin(bench, lite2, features, about),
    )


def _train(bench: Bench, built: Built) -> torch.Tensor:
    """Train the head; returns the training features, (N, D)."""
    train_data, _ = bench.datasets(built.transform)
    features = store_features(built.model.base, make_loader(train_data, batch_size=8))
    settings = Settings(epochs=bench.plan.epochs)
    train(built.model.head, feature_loader(features, seed=SEED), settings=settings)
    # Storing features left the weights in channels_last; most programs never do that.
    built.model.to(memory_format=torch.contiguous_format)
    return features.tensors[0]


def _about(bench: Bench, built: Built, features: torch.Tensor) -> dict:
    train_data, test_data = bench.datasets(built.transform)
    score = evaluate(built.model, make_loader(test_data))
    return describe_run(
        class_names=train_data.classes,
        threshold=familiarity_threshold(features),
        contender="EffNet-Lite2",
        preprocess=built.preprocess,
        trained_on=f"{len(train_data)} {bench.pictures.label}",
        is_practice=bench.pictures.is_practice,
        right=score.right,
        total=score.total,
    )


def _lay_out_app(bench: Bench, fp32_file: Path) -> Path:
    """The demo folder as the lesson leaves it, without examples."""
    samples = bench.datasets()[0].samples
    some = random.Random(SEED).sample(samples, min(100, len(samples)))
    int8_file = bench.workdir / "int8.onnx"
    quantize(fp32_file, int8_file, calibrate_on=[Path(file) for file, _ in some])
    folder = bench.workdir / "app"
    _copy_texts(folder)
    ship(int8_file, folder / ONNX_NAME, precision="int8")
    return folder


def _lay_out_twin(
    bench: Bench, built: Built, features: torch.Tensor, about: dict
) -> Path:
    """The same page around a `model.py` that answers with PyTorch."""
    folder = bench.workdir / "twin"
    _copy_texts(folder)
    shutil.copyfile(TWIN_MODEL, folder / "model.py")
    requirements = [
        *_lines(DEMO / "requirements.txt", without=("onnxruntime",)),
        *_lines(ROOT / "requirements.txt", only=TORCH_PACKAGES),
    ]
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n", "utf-8")
    content = {
        "weights": built.model.state_dict(),
        "known": torch.nn.functional.normalize(features, dim=1),
        "about": about,
        "crop": built.preprocess.crop,
    }
    torch.save(content, folder / TORCH_NAME)
    return folder


def _copy_texts(folder: Path) -> None:
    unwanted = shutil.ignore_patterns("*.onnx", "examples", "__pycache__")
    shutil.copytree(DEMO, folder, ignore=unwanted)


def _lines(file: Path, *, only: tuple = (), without: tuple = ()) -> list[str]:
    """Requirements, chosen by the packages' names."""
    chosen = []
    for line in file.read_text("utf-8").splitlines():
        name = line.partition("#")[0].strip().partition(">=")[0].strip()
        if name and name not in without and (not only or name in only):
            chosen.append(line)
    return chosen
