"""Features of pictures, kept in files: results without the pictures themselves."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular.app.model import spoken
from going_modular.datasets import SPLITS, DataError, load_picture, make_datasets
from going_modular.drawn import OTHER_NAMES, drawn_pictures
from going_modular.engine import features_of, ready
from going_modular.files import LessonError, atomic_write
from going_modular.model_builder import Built

# From n photo files to features, (n - m, D), and why m of them, by place, have none.
Extract = Callable[[Sequence[Path]], tuple[np.ndarray, dict[int, str]]]
SAME = 0.999  # cosine of two bases' features of one picture, if they are the same base


@dataclass(frozen=True)
class StoredFeatures:
    """Features of pictures in two halves, each (N, D), float32, and labels (N,)."""

    names: list[str]  # of the classes, in the order of their labels
    train: TensorDataset
    test: TensorDataset
    probe: Tensor  # features (D,) of a fixed picture: which base made them?
    is_practice: bool  # whether the pictures were drawn
    files: dict[str, list] = field(default_factory=dict)  # or their names, by half

    @property
    def label(self) -> str:
        return "drawn pictures" if self.is_practice else "real photos"

    def without(self, *names: str) -> Self:
        """The same without some of the classes; of files it knows none."""
        kept = [name for name in self.names if name not in names]
        return replace(self, names=kept, files={}, **self.numbered(kept))

    def test_of(self, name: str) -> Tensor:
        """Features of one class's test pictures."""
        return self.numbered([name])["test"].tensors[0]

    def numbered(self, names: list[str]) -> dict[str, TensorDataset]:
        """The rows of these classes alone, by half, labelled by their places here."""
        places = [names.index(name) if name in names else -1 for name in self.names]
        place, halves = torch.tensor(places, dtype=torch.long), {}
        for half in SPLITS:
            features, labels = getattr(self, half).tensors
            labels = place[labels]
            halves[half] = TensorDataset(features[labels >= 0], labels[labels >= 0])
        return halves


class Extractor:
    """Gets the features of photo files, 8 together, or on a GPU 64.

    A GPU waits for photos: two threads decode them, and a `Preprocess` runs on it, too.
    """

    def __init__(self, built: Built, *, device="cpu", batch_size: int | None = None):
        on_gpu = torch.device(device).type == "cuda"
        self.base, self.device = ready(built.model.base, device), device
        self.batch_size = batch_size or (64 if on_gpu else 8)
        self.decoders = 2 if on_gpu else 1
        self.transform, self.preprocess = built.transform, None
        if built.transform is built.preprocess:
            self.preprocess = copy.deepcopy(built.preprocess).to(device)

    def __call__(self, photos: Sequence[Path]) -> tuple[np.ndarray, dict[int, str]]:
        """Features (n, D) of those that can be opened; why not, by place, of the rest.

        Raises a DataError if a photo is gone: then most likely all are.
        """
        rows, reasons, size = [], {}, self.batch_size
        with ThreadPoolExecutor(self.decoders) as pool:
            ahead = pool.map(self._open, photos[:size])
            for start in range(0, len(photos), size):
                opened, after = list(ahead), start + size
                # Decoded while this batch is at work.
                ahead = pool.map(self._open, photos[after : after + size])
                told = enumerate(opened, start)
                reasons |= {place: why for place, why in told if isinstance(why, str)}
                if batch := [each for each in opened if not isinstance(each, str)]:
                    rows.append(self._features(batch))
        features = torch.cat(rows).numpy() if rows else np.empty((0, 0), np.float32)
        return features, reasons

    def _features(self, batch: list[Tensor]) -> Tensor:
        if self.preprocess:
            batch = [self.preprocess(pixels.to(self.device)) for pixels in batch]
        return features_of(self.base, torch.stack(batch), device=self.device)

    def _open(self, photo: Path) -> Tensor | str:
        try:
            picture = load_picture(photo)
        except DataError as error:
            if not Path(photo).exists():
                raise
            return str(error.__cause__)
        if self.preprocess:
            return torch.from_numpy(np.array(picture))
        return self.transform(picture)


def store_pictures(
    built: Built, folder: Path, half: str, device: str | torch.device = "cpu"
) -> TensorDataset:
    """Features (N, D) and labels (N,) of one half, "train" or "test", in file order.

    Of a base with random weights sixty pictures do. A bad picture is a DataError.
    """
    samples = make_datasets(folder, None)[SPLITS.index(half)].samples
    if not built.pretrained:
        samples = samples[:: max(1, len(samples) // 60)]
    features, reasons = Extractor(built, device=device)([file for file, _ in samples])
    for place in reasons:
        load_picture(samples[place][0])  # which says what to do
    labels = torch.tensor([label for _, label in samples])
    return TensorDataset(torch.from_numpy(features), labels)


def features_file(folder: Path, what: str, slug: str, size: int) -> Path:
    """Where features are kept: of "photos" or "other_dishes", by contender and size."""
    return Path(folder) / f"{what}_{slug}_{size}.npz"


def find_features(
    built: Built, slug: str, folder: Path, *, what: str
) -> StoredFeatures | None:
    """Features of "photos" or "other_dishes" that this very base has made, if any."""
    file = features_file(folder, what, slug, built.preprocess.size)
    stored = read_features(file) if file.exists() else None
    return stored if stored and is_same(probe_features(built), stored.probe) else None


def probe_features(built: Built) -> Tensor:
    """Features (D,), on the CPU, of stripes that are the same everywhere."""
    y, x = np.mgrid[:240, :320]
    stripes = np.stack([x, 2 * y, x + y], axis=2).astype(np.uint8)
    picture = built.preprocess(torch.from_numpy(stripes)).unsqueeze(0)
    return features_of(ready(built.model.base, "cpu"), picture)[0]


def is_same(probe: Tensor, other: Tensor) -> bool:
    """Whether two probes (D,) are from the very same base, at the same size."""
    is_as_wide = probe.shape == other.shape
    return is_as_wide and F.cosine_similarity(probe, other, dim=0).item() >= SAME


def write_features(stored: StoredFeatures, file: Path) -> Path:
    """Write them, all or nothing, or raise a FileError; features as float16."""
    arrays = {"names": stored.names, "is_practice": stored.is_practice}
    arrays["probe"] = stored.probe.half().numpy()
    for half in SPLITS:
        features, labels = getattr(stored, half).tensors
        arrays[f"{half}_features"] = features.half().numpy()
        arrays[f"{half}_labels"] = labels.numpy().astype(np.uint8)
    arrays |= {f"{half}_files": names for half, names in stored.files.items()}
    with atomic_write(file) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return file


def read_features(file: Path) -> StoredFeatures:
    """Read what `write_features` wrote, running no code, or raise a LessonError."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            halves, files = [], {}
            for half in SPLITS:
                features = torch.from_numpy(arrays[f"{half}_features"]).float()
                labels = torch.from_numpy(arrays[f"{half}_labels"]).long()
                halves.append(TensorDataset(features, labels))
                if f"{half}_files" in arrays:
                    files[half] = arrays[f"{half}_files"].tolist()
            probe = torch.from_numpy(arrays["probe"]).float()
            names, is_practice = arrays["names"].tolist(), arrays["is_practice"].item()
            return StoredFeatures(names, *halves, probe, is_practice, files)
    except Exception as error:  # torn files fail in many ways
        raise LessonError(
            f"{file} does not hold stored features ({type(error).__name__}). "
            "Fetch the course's file again, or make it anew: "
            "python -m tools.store_features --help"
        ) from error


def find_other_dishes(
    built: Built, slug: str, data_dir: Path, *, ours: Sequence[str], is_practice=False
) -> StoredFeatures:
    """Other dishes' features, without `ours`, if this very base has made any.

    If ours are drawn (`is_practice`), the others are, too. A torn file: a LessonError.
    """
    if is_practice:
        folder = drawn_pictures() / "other_dishes"
        names = [spoken(name) for name in OTHER_NAMES]
        halves = [store_pictures(built, folder, half) for half in SPLITS]
    elif stored := find_features(built, slug, data_dir, what="other_dishes"):
        return stored.without(*ours)
    else:
        width = built.model.head[-1].in_features
        names, nobody = [], TensorDataset(torch.empty(0, width), torch.empty(0).long())
        halves = [nobody, nobody]
    stored = StoredFeatures(names, *halves, probe_features(built), is_practice)
    return stored.without(*ours)
