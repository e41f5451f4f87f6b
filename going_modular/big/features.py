"""Keep the features of many photos in a file, so that no work is done twice.

The file has a row a photo, mapped into memory by NumPy's `open_memmap`. A row counts if
its checksum fits, which is made of the features and the size of the photo's file: a run
that was killed goes on where it was, and a photo that was replaced is taken anew.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch.utils.data import TensorDataset

from going_modular.datasets import Sample
from going_modular.files import LessonError, atomic_write, progress_bar
from going_modular.model_builder import Built
from going_modular.predictions import WARM_UP
from going_modular.stored_features import Extract

CHUNK = 128  # photos written at once; a run that is killed loses fewer
FORMAT = "2"  # raise it when rows are written otherwise
ZEROS = bytes(1 << 24)  # written to reserve the disk


class FeatureStoreError(LessonError):
    """Features cannot be stored: what happened, what to do next."""


def weights_fingerprint(built: Built) -> str:
    """A text that changes with any weight of the base and any step before it."""
    digest = hashlib.sha256(f"{built.preprocess}".encode())
    for part in (built.preprocess, built.model.base):
        for name, weights in part.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def seconds_a_photo(extract: Extract, photos: Sequence[Path]) -> float:
    """What a photo costs from file to features, after a warm-up."""
    extract(photos[:WARM_UP])
    start = time.perf_counter()
    extract(photos)
    return (time.perf_counter() - start) / len(photos)


def in_chunks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many rows at a time as are written together."""
    yield from (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))


@dataclass(frozen=True)
class Stored:
    """All that a store holds.

    Attributes:
        features: Features (N, D), float32, and labels (N,).
        samples: The N photos and their labels, in the same order.
        skipped: Photos that could not be opened, and why.
    """

    features: TensorDataset
    samples: list[Sample]
    skipped: dict[str, str]


class FeatureStore:
    """The features of a list of photos by one network.

    It is known by the network and the photos' names: the stores of several networks may
    lie in one folder, and the folder of the photos may move.

    Args:
        folder: Where the file lies; made when features are first written.
        samples: Photo files and labels.
        network: Any text that changes with the network and its preparation of photos.
        width: Features a photo, D.

    Raises:
        FeatureStoreError: If there are no photos, or one of them is not there.
    """

    def __init__(
        self, folder: Path, samples: Sequence[Sample], *, network: str, width: int
    ):
        if not samples:
            raise FeatureStoreError("There are no photos to store features of.")
        self.samples = list(samples)
        names = [_name(file) for file, _ in self.samples]
        made_from = json.dumps([FORMAT, network, width, names])
        key = hashlib.sha256(made_from.encode()).hexdigest()
        self.file = Path(folder) / f"features-{key[:16]}.npy"
        self.width = width
        self.dtype = np.dtype([("features", "<f4", (width,)), ("check", "<u4")])
        self.sizes = [_size(file) for file, _ in self.samples]
        self.skipped: dict[str, str] = {}

    def missing(self) -> list[int]:
        """The rows still to be made; those of photos that do not open stay missing."""
        rows, everything = self._rows(), range(len(self.samples))
        if rows is None:
            return list(everything)
        features, checks = rows["features"], rows["check"]
        return [n for n in everything if checks[n] != self._check(n, features[n])]

    def fill(self, extract: Extract) -> None:
        """Make the missing rows, saying how far it is.

        Raises:
            FeatureStoreError: If the network gives something that is no number.
            FileError: If the file cannot be written.
        """
        missing, total = self.missing(), len(self.samples)
        done = total - len(missing)
        with progress_bar("Features", total, initial=done, unit=" photos") as bar:
            for places in in_chunks(missing):
                self.write(places, *extract([self.samples[at][0] for at in places]))
                bar.update(len(places))

    def write(
        self, places: Sequence[int], features: np.ndarray, reasons: dict[int, str]
    ) -> None:
        """Write rows.

        Args:
            places: The n rows.
            features: (n - m, D), for each photo that could be opened, in order.
            reasons: Why the other m could not, by their place among the n.
        """
        if len(features) + len(reasons) != len(places):
            raise ValueError("every photo needs features, or a reason why it has none")
        for at, why in reasons.items():
            self.skipped[_name(self.samples[places[at]][0])] = why
        good = [place for at, place in enumerate(places) if at not in reasons]
        if not np.isfinite(features).all():
            name = _name(self.samples[good[0]][0])
            raise FeatureStoreError(f"the network gave no number for {name} or near it")
        rows = self._rows(make=True)
        if good:
            features = np.asarray(features, np.float32)
            checks = [
                self._check(n, row) for n, row in zip(good, features, strict=True)
            ]
            rows["features"][good], rows["check"][good] = features, checks
            rows.flush()

    def read(self) -> Stored:
        """All features, in the order of the photos.

        Raises:
            FeatureStoreError: If rows are missing, or no photo could be opened.
        """
        missing = self.missing()
        unknown = [n for n in missing if _name(self.samples[n][0]) not in self.skipped]
        if unknown:
            raise FeatureStoreError(
                f"{len(unknown)} of {len(self.samples)} photos have no features in "
                f"{self.file}. Run the cell that stores the features again: it makes "
                "what is missing and nothing else."
            )
        if len(missing) == len(self.samples):
            name, reason = next(iter(self.skipped.items()))
            raise FeatureStoreError(
                f"None of the {len(missing)} photos could be opened, such as {name}: "
                f"{reason} Put good copies in their place, then run this again."
            )
        kept = np.setdiff1d(np.arange(len(self.samples)), missing)
        samples = [self.samples[place] for place in kept]
        labels = torch.tensor([label for _, label in samples])
        features = torch.from_numpy(self._rows()["features"][kept])
        return Stored(TensorDataset(features, labels), samples, dict(self.skipped))

    def _check(self, place: int, features: np.ndarray) -> int:
        return zlib.crc32(features.tobytes(), self.sizes[place])

    def _rows(self, *, make: bool = False) -> np.memmap | None:
        """The file, mapped; None if it is not there, or not whole."""
        try:
            rows = open_memmap(self.file, "r+")
            if rows.dtype == self.dtype and rows.shape == (len(self.samples),):
                return rows
        except (OSError, ValueError, EOFError):
            pass
        if not make:
            return None
        self._reserve()
        return open_memmap(self.file, "r+")

    def _reserve(self) -> None:
        """Write the file with rows of zeros, so that a full disk shows at once."""
        with atomic_write(self.file) as part:
            rows = open_memmap(part, "w+", self.dtype, (len(self.samples),))
            begin, size = rows.offset, rows.nbytes
            del rows  # which has written the head; now the rest, for real
            with part.open("r+b") as file:
                file.seek(begin)
                for at in range(0, size, len(ZEROS)):
                    file.write(ZEROS[: size - at])


def _name(photo: Path) -> str:
    """Class folder and file: the same wherever the data set lies."""
    return "/".join(Path(photo).parts[-2:])


def _size(photo: Path) -> int:
    try:
        return Path(photo).stat().st_size
    except OSError as error:
        raise FeatureStoreError(
            f"{photo} cannot be read ({error.strerror}). Put it back, or fetch the "
            "photos again, then run this again."
        ) from error
