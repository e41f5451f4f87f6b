"""Strangers: pictures the model was never meant to see, far ones and near ones.

Far ones are no food: portraits, coins, the surface of the moon. Packages that are
installed anyway bring some. Near ones are other dishes. Their photos are not ours to
hand out, and need not be: a frozen base gives everybody the same features for the same
photo, so a file of features serves everybody who uses that base at that size.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular.app.model import PictureError, open_picture
from going_modular.datasets import make_datasets, make_loader
from going_modular.engine import features_of, ready, store_features
from going_modular.files import LessonError, atomic_write
from going_modular.model_builder import Built

# A package, and where in it the pictures are that its own examples use.
PLACES = {
    "gradio": "media_assets/images",
    "matplotlib": "mpl-data/sample_data",
    "skimage": "data",
    "sklearn": "datasets/images",
}
SMALLEST = 100  # pixels a side; smaller ones are icons and test patterns
SAME = 0.999  # cosine of two bases' features of one picture, if they are the same base


STORED = (
    "other_dishes_{}_{}.npz"  # in data/, by the contender's slug and its input size
)


class OODDataError(LessonError):
    """The other dishes' features cannot be read: what happened, what to do next."""


def find_strangers() -> dict[Path, str]:
    """Find pictures that are no food, each once, in packages that are installed anyway.

    They stand for what visitors send that nobody had thought of. Which ones there are
    depends on the packages' versions: say how many you found.

    Returns:
        The package that each picture file is from.
    """
    found, seen = {}, set()
    for package, place in PLACES.items():
        spec = find_spec(package)
        if spec is None:
            continue
        folder = Path(spec.submodule_search_locations[0], place)
        for file in sorted(folder.glob("*.[jp][pn]*g")):
            digest = hashlib.sha256(file.read_bytes()).digest()
            if digest not in seen and _is_large_enough(file):
                found[file] = package
            seen.add(digest)
    return found


def _is_large_enough(file: Path) -> bool:
    try:
        return min(open_picture(file).shape[:2]) >= SMALLEST
    except PictureError:
        return False


@dataclass(frozen=True)
class OtherDishes:
    """Features of dishes that are not ours.

    Attributes:
        names: Of the dishes, in the order of their labels.
        train: Features (N, D) and labels (N,) to make a gate with.
        test: The same of other pictures, to judge it by.
        probe: Features (D,) of `probe_picture`, which tell the base that made them.
        is_practice: Whether the pictures were drawn.
    """

    names: list[str]
    train: TensorDataset
    test: TensorDataset
    probe: torch.Tensor
    is_practice: bool

    @property
    def label(self) -> str:
        """What the pictures are, to put beside every result."""
        return f"{'drawings' if self.is_practice else 'photos'} of other dishes"

    def without(self, *dishes: str) -> "OtherDishes":
        """The same without some of the dishes."""
        kept = [name for name in self.names if name not in dishes]
        halves = [self._only(half, kept) for half in (self.train, self.test)]
        return OtherDishes(kept, *halves, self.probe, self.is_practice)

    def test_of(self, dish: str) -> torch.Tensor:
        """Features of one dish's test pictures."""
        return self._only(self.test, [dish]).tensors[0]

    def _only(self, half: TensorDataset, names: Sequence[str]) -> TensorDataset:
        """The rows of some dishes, labelled in the order of `names`."""
        features, labels = half.tensors
        parts = [features[labels == self.names.index(name)] for name in names]
        counts = torch.tensor([len(part) for part in parts], dtype=torch.long)
        return TensorDataset(
            torch.cat([features[:0], *parts]),
            torch.arange(len(names)).repeat_interleave(counts),
        )


def find_other_dishes(
    built: Built, slug: str, data_dir: Path, *, ours: Sequence[str]
) -> OtherDishes:
    """Other dishes' stored features, if there are any that this very base has made.

    Args:
        built: The contender.
        slug: Its name in file names.
        data_dir: Where the files of features lie.
        ours: Names of our own dishes, which are no others.

    Returns:
        Of no dishes at all, if there is no such file.

    Raises:
        OODDataError: If there is a file, but not a whole one.
    """
    file = Path(data_dir) / STORED.format(slug, built.preprocess.size)
    probe = probe_features(built)
    if file.exists() and is_same(probe, (others := read_other_dishes(file)).probe):
        return others.without(*ours)
    nobody = TensorDataset(torch.empty(0, len(probe)), torch.empty(0).long())
    return OtherDishes([], nobody, nobody, probe, is_practice=False)


def probe_picture() -> np.ndarray:
    """A picture that is the same everywhere: stripes, uint8, (240, 320, 3)."""
    y, x = np.mgrid[:240, :320]
    return np.stack([x, 2 * y, x + y], axis=2).astype(np.uint8)


def probe_features(built: Built) -> torch.Tensor:
    """Features (D,) of `probe_picture`, on the CPU."""
    picture = built.preprocess(torch.from_numpy(probe_picture())).unsqueeze(0)
    return features_of(ready(built.model.base, "cpu"), picture)[0]


def is_same(probe: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two probes (D,) are from the very same base, at the same size."""
    if probe.shape != other.shape:
        return False
    return F.cosine_similarity(probe, other, dim=0).item() >= SAME


def from_folder(
    built: Built,
    folder: Path,
    *,
    is_practice: bool,
    batch_size: int,
    device: str | torch.device = "cpu",
) -> OtherDishes:
    """Features of pictures in a folder that holds train/ and test/, as the lesson's do.

    Args:
        built: Its base does the work.
        folder: With a folder for each dish in both halves.
        is_practice: Whether the pictures were drawn.
        batch_size: Pictures that go through the base together.
        device: Where the base runs.
    """
    halves = make_datasets(folder, built.transform)
    stored = [
        store_features(
            built.model.base, make_loader(half, batch_size=batch_size), device=device
        )
        for half in halves
    ]
    names = [name.replace("_", " ") for name in halves[0].classes]
    return OtherDishes(names, *stored, probe_features(built), is_practice)


def write_other_dishes(others: OtherDishes, file: Path) -> Path:
    """Write them to a file, all or nothing; features are kept with 11 bits (float16).

    Raises:
        FileError: If it cannot be written.
    """
    with atomic_write(file) as part, part.open("wb") as stream:
        np.savez_compressed(
            stream,
            names=np.array(others.names),
            probe=others.probe.half().numpy(),
            is_practice=np.array(others.is_practice),
            **{
                f"{half}_{what}": tensor.half().numpy()
                if tensor.is_floating_point()
                else tensor.numpy().astype(np.uint8)
                for half in ("train", "test")
                for what, tensor in zip(
                    ("features", "labels"), getattr(others, half).tensors, strict=True
                )
            },
        )
    return file


def read_other_dishes(file: Path) -> OtherDishes:
    """Read what `write_other_dishes` wrote; only numbers are read, no code is run.

    Raises:
        OODDataError: If the file is missing or not whole.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            halves = [
                TensorDataset(
                    torch.from_numpy(stored[f"{half}_features"]).float(),
                    torch.from_numpy(stored[f"{half}_labels"]).long(),
                )
                for half in ("train", "test")
            ]
            probe = torch.from_numpy(stored["probe"]).float()
            names, is_practice = stored["names"].tolist(), stored["is_practice"].item()
            return OtherDishes(names, *halves, probe, is_practice)
    except Exception as error:  # torn files fail in many ways
        raise OODDataError(
            f"{file} does not hold other dishes' features ({type(error).__name__}). "
            "Fetch the course's file again, or make it anew: "
            "python -m tools.store_other_dishes --help"
        ) from error
