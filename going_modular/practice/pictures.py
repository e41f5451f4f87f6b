"""Draw pictures of pizza, steak and sushi, or other food, without internet.

They let the whole lesson run; what a model scores on them says nothing about photos.
The same seed always gives the same pictures (with the same version of Pillow).
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from going_modular.files import FileError, atomic_write
from going_modular.practice.drawing import Scene
from going_modular.practice.other_dishes import OTHER_DISHES
from going_modular.practice.pizza import pizza
from going_modular.practice.shapes import TURN
from going_modular.practice.steak import steak
from going_modular.practice.sushi import sushi
from going_modular.practice.table import (
    lay_cutlery,
    lay_table,
    lay_ware,
    scatter_sides,
)

CLASS_NAMES = ("pizza", "steak", "sushi")
OTHER_NAMES = tuple(OTHER_DISHES)  # what a model of the three never sees
MARKER = "PRACTICE_PICTURES.txt"
DRAWING_VERSION = 1  # raise it when the drawing changes, so old folders are redrawn
SIZES = [(512, 384), (512, 384), (384, 512), (512, 512), (512, 342)]  # width, height
SPLIT_STRIDE = 1_000_000  # more pictures than any split has: seeds never meet
DISHES = {"pizza": pizza, "steak": steak, "sushi": sushi, **OTHER_DISHES}
ALL_NAMES = tuple(DISHES)  # a name's place seeds its pictures: add at the end only


def draw_picture(
    class_name: str, seed: int, *, size: tuple[int, int] | None = None
) -> Image.Image:
    """Draw one picture.

    Args:
        class_name: One of `CLASS_NAMES` or `OTHER_NAMES`.
        seed: Not negative; decides everything about the picture.
        size: Width and height in pixels; picked from `SIZES` when None.

    Raises:
        ValueError: If the class is unknown, the seed negative or the size tiny.
    """
    if class_name not in ALL_NAMES:
        raise ValueError(f"class_name must be one of {ALL_NAMES}, not {class_name!r}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    if size is not None and min(size) < 32:
        raise ValueError(f"size must be at least 32 x 32 pixels, got {size}")
    rng = np.random.default_rng([seed, ALL_NAMES.index(class_name)])
    chosen = SIZES[rng.integers(len(SIZES))]  # drawn even if unused: same details then
    scene = Scene(rng, size or chosen)
    _serve(scene, class_name)
    return scene.finish()


def draw_pictures(
    folder: Path,
    *,
    train_per_class: int = 150,
    test_per_class: int = 50,
    seed: int = 42,
    names: Sequence[str] = CLASS_NAMES,
) -> Path:
    """Write `train/<class>/*.jpg`, `test/<class>/*.jpg` and the marker file.

    All or nothing. A complete folder of the same seed, counts and dishes is kept.

    Args:
        folder: Where; made if absent.
        train_per_class: How many pictures of each dish in `train`.
        test_per_class: And in `test`.
        seed: Not negative; decides everything about the pictures.
        names: Which dishes, in any order: of `CLASS_NAMES` or `OTHER_NAMES`.

    Returns:
        `folder`.

    Raises:
        FileError: If `folder` holds anything that was not drawn here.
        ValueError: If a count is not positive, the seed negative or a dish unknown.
    """
    folder = Path(folder)
    counts = {"train": train_per_class, "test": test_per_class}
    _check_asked(counts, seed, names)
    names = sorted(set(names))  # the same dishes are the same set, however listed
    note = _marker_text(counts, seed, names)
    if not _is_complete(folder, counts, names, note):
        _replace(folder, counts, names, seed, note)
    return folder


def _check_asked(counts: dict[str, int], seed: int, names: Sequence[str]) -> None:
    if seed < 0 or not all(0 < count < SPLIT_STRIDE for count in counts.values()):
        raise ValueError(f"need positive counts and a seed >= 0, got {counts}, {seed}")
    if not names or not set(names) <= set(ALL_NAMES):
        raise ValueError(f"names must be some of {ALL_NAMES}, got {names!r}")


def _serve(scene: Scene, class_name: str) -> None:
    """Draw table, side things and plate, the same for all dishes; then the dish."""
    lay_table(scene)
    with scene.at(*scene.rng.uniform(-0.08, 0.08, 2)):
        lay_cutlery(scene, class_name)
        scatter_sides(scene)
        ware = scene.pick(["round"] * 10 + ["board"] * 7 + ["box"] * 3)
        # Boards and boxes are only turned a little: a box opens away from the viewer.
        upright = scene.rng.normal(0, 0.25)
        turn = scene.between(0, TURN) if ware == "round" else upright
        with scene.at(turn=turn):
            top = lay_ware(scene, ware)
        with scene.at(turn=turn, z=top):
            DISHES[class_name](scene)


def _replace(
    folder: Path, counts: dict[str, int], names: list[str], seed: int, note: str
) -> None:
    _check_replaceable(folder)
    with atomic_write(folder) as part:
        _write(part, counts, names, seed)
        (part / MARKER).write_text(note, encoding="utf-8")
        if folder.exists() and not _is_complete(folder, counts, names, note):
            shutil.rmtree(folder)


def _write(folder: Path, counts: dict[str, int], names: list[str], seed: int) -> None:
    """Draw and save every picture, saying so class by class."""
    for part, (split, count) in enumerate(counts.items()):
        for class_name in names:
            target = folder / split / class_name
            target.mkdir(parents=True)
            print(f"Drawing practice pictures: {split}/{class_name}, {count}")
            for number in range(count):
                own_seed = (2 * seed + part) * SPLIT_STRIDE + number
                picture = draw_picture(class_name, own_seed)
                picture.save(target / _file_name(class_name, number), quality=88)


def _file_name(class_name: str, number: int) -> str:
    return f"practice_{class_name}_{number:04d}.jpg"


def _marker_text(counts: dict[str, int], seed: int, names: list[str]) -> str:
    """Return what the marker file says; it tells one set of pictures from another."""
    # The lesson's own dishes go unnamed: folders drawn before there were others stay.
    dishes = "" if names == sorted(CLASS_NAMES) else f"dishes: {', '.join(names)}\n"
    return (
        "These pictures are drawn by going_modular/practice/pictures.py.\n"
        "They are no photos: scores on them say nothing about real food.\n"
        f"train per class: {counts['train']}, test per class: {counts['test']}, "
        f"seed: {seed}, drawing version: {DRAWING_VERSION}\n{dishes}"
    )


def _is_complete(
    folder: Path, counts: dict[str, int], names: list[str], note: str
) -> bool:
    """Return whether the folder holds exactly this set of pictures."""
    marker = folder / MARKER
    if not marker.is_file() or marker.read_text(encoding="utf-8") != note:
        return False
    return all(
        (folder / split / class_name / _file_name(class_name, number)).is_file()
        for split, count in counts.items()
        for class_name in names
        for number in range(count)
    )


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace a folder with anything in it that was not drawn here."""
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file. Move it and run this again.")
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        drawn = path.name == MARKER or path.match("practice_*.jpg")
        if path.is_file() and not drawn:
            raise FileError(
                f"{folder} holds {path.relative_to(folder)}, which was not drawn here. "
                "Move it, or choose another folder, and run this again."
            )
