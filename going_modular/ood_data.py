"""Pictures that are out of distribution.

Far ones are no food: portraits, coins, the moon. Near ones are other dishes.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from going_modular.app.model import PictureError, open_picture, spoken
from going_modular.drawn import OTHER_NAMES, drawn_pictures
from going_modular.model_builder import Built
from going_modular.stored_features import (
    HALVES,
    StoredFeatures,
    find_features,
    probe_features,
    store_pictures,
)

# A package, and where in it the pictures are that its own examples use.
PLACES = {
    "gradio": "media_assets/images",
    "matplotlib": "mpl-data/sample_data",
    "skimage": "data",
    "sklearn": "datasets/images",
}
SMALLEST = 100  # pixels a side; smaller ones are icons and test patterns


def find_strangers() -> dict[Path, str]:
    """Pictures of no food, each once, that installed packages bring, and which does.

    Which ones there are depends on the packages' versions: say how many you found.
    """
    found = {}  # by content
    for package, place in PLACES.items():
        if spec := find_spec(package):
            folder = Path(spec.submodule_search_locations[0], place)
            for file in sorted(folder.glob("*.[jp][pn]*g")):
                found.setdefault(file.read_bytes(), (file, package))
    return {file: package for file, package in found.values() if _is_large(file)}


def _is_large(file: Path) -> bool:
    try:
        return min(open_picture(file).shape[:2]) >= SMALLEST
    except PictureError:
        return False


def find_other_dishes(
    built: Built, slug: str, data_dir: Path, *, ours: Sequence[str], is_practice=False
) -> StoredFeatures:
    """Other dishes' stored features, if there are any that this very base has made.

    There are none of `ours` among them. If ours are drawn (`is_practice`), then the
    others are, too; else there are none where there is no file, and one that is not
    whole raises a LessonError.
    """
    if is_practice:
        folder = drawn_pictures() / "other_dishes"
        names = [spoken(name) for name in OTHER_NAMES]
        halves = [store_pictures(built, folder, half) for half in HALVES]
    elif stored := find_features(built, slug, data_dir, what="other_dishes"):
        return stored.without(*ours)
    else:
        width = built.model.head[-1].in_features
        names, nobody = [], TensorDataset(torch.empty(0, width), torch.empty(0).long())
        halves = [nobody, nobody]
    stored = StoredFeatures(names, *halves, probe_features(built), is_practice)
    return stored.without(*ours)
