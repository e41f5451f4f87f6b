"""How tests reach a place of deploy/ whose packages are not the lesson's."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from drawn_images import drawn_image

from deploy.converting import DEFAULT_MODEL
from deploy.reference import answering, read_about, read_deployable
from deploy.trial import ask_all
from going_modular.drawn import CLASS_NAMES

ROOT = Path(__file__).resolve().parents[1]
FP32 = 1e-4  # how far floats may be from the reference


def python_of(package: str) -> str:
    """The Python that has a converter's package; skips where there is none."""
    own = ROOT / "build" / "targets" / "converters" / "bin" / "python"
    if own.exists():
        return str(own)
    if find_spec(package):
        return sys.executable
    pytest.skip(f"needs {package}: make targets")


def run(python: str, *arguments: object) -> str:
    """What a command prints, started in the repository's root."""
    done = subprocess.run(
        [python, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def draw_photos(folder: Path, *, each: int = 3) -> tuple[Path, list[Path]]:
    """Drawn plates of another size each, as files, and the list of them as JSON."""
    photos = []
    for number in range(each):
        for name in CLASS_NAMES:
            photos.append(folder / f"{name}-{number}.jpg")
            size = (400 + 40 * number, 380)
            drawn_image(name, number, size).save(photos[-1])
    listed = folder / "photos.json"
    listed.write_text(json.dumps([str(photo) for photo in photos]))
    return listed, photos


def reference_answers(photos: list[Path]) -> list[dict]:
    """The PyTorch reference's answers, here."""
    threads = torch.get_num_threads()
    try:
        deployable = read_deployable(DEFAULT_MODEL)
        names = read_about(DEFAULT_MODEL).class_names
        return ask_all(answering(deployable, names), photos)[0]
    finally:
        torch.set_num_threads(threads)


def numbers(answer: dict) -> list[float]:
    """All numbers of an answer, in one order."""
    probabilities = [answer["probabilities"][name] for name in CLASS_NAMES]
    return [*probabilities, answer["knn_similarity"], answer["in_distribution_score"]]


def best(answer: dict) -> str:
    """The likeliest class."""
    return max(answer["probabilities"], key=answer["probabilities"].get)
