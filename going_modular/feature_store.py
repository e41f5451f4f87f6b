"""Keep the features of many photos on disk, in shards, so that no work is done twice.

A shard is one file with the features of some photos. It appears whole or not at all,
so a run that was killed goes on after the last whole shard. A shard is known by what
it was made from: by another network, another preparation or other photos it is never
taken, and the shards of several networks may lie in one folder.
"""

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset

from going_modular.progress import Progress

SHARD_SIZE = 128  # photos; a run that is killed loses the work on fewer than that
FORMAT = "1"  # raise it when shards are written otherwise

Sample = tuple[Path, int]
# From n photo files to features, (n - m, D), and why m of them, by place, have none.
Extract = Callable[[Sequence[Path]], tuple[np.ndarray, dict[int, str]]]


class FeatureStoreError(RuntimeError):
    """Features cannot be stored: what happened, what to do next."""


@dataclass(frozen=True)
class Shard:
    """Some photos, and where their features go.

    Attributes:
        file: Named after the key.
        key: Changes with the network and with the photos.
        photos: Their files, in order.
    """

    file: Path
    key: str
    photos: tuple[Path, ...]


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

    Args:
        folder: Where shards lie; made when the first is written.
        samples: Photo files and labels.
        network: Any text that changes with the network and its preparation of photos.
        shard_size: Photos a shard.

    Raises:
        FeatureStoreError: If there are no photos, or one of them is not there.
    """

    def __init__(
        self,
        folder: Path,
        samples: Sequence[Sample],
        *,
        network: str,
        shard_size: int = SHARD_SIZE,
    ):
        if not samples:
            raise FeatureStoreError("There are no photos to store features of.")
        self.samples = [(Path(file), label) for file, label in samples]
        files = [file for file, _ in self.samples]
        self.shards = [
            _plan_shard(Path(folder), start, files[start : start + shard_size], network)
            for start in range(0, len(files), shard_size)
        ]

    def missing(self) -> list[Shard]:
        """The shards still to be made; a damaged one counts as missing."""
        return [shard for shard in self.shards if _read(shard) is None]

    def fill(self, extract: Extract) -> None:
        """Make the missing shards, saying how far it is."""
        missing = self.missing()
        done = len(self.samples) - sum(len(shard.photos) for shard in missing)
        if done:
            print(f"{done:,} of {len(self.samples):,} photos are stored already.")
        progress = Progress(len(self.samples), before=done)
        for shard in missing:
            write_shard(shard, *extract(shard.photos))
            progress.add(len(shard.photos))

    def read(self) -> Stored:
        """All features, in the order of the photos.

        Raises:
            FeatureStoreError: If shards are missing, or no photo could be opened.
        """
        rows, kept, skipped = [], [], {}
        for shard in self.shards:
            if (content := _read(shard)) is None:
                raise FeatureStoreError(
                    f"{shard.file} is missing or damaged. Run the cell that stores the "
                    "features again: it makes what is missing and nothing else."
                )
            features, reasons = content
            kept += [place not in reasons for place in range(len(shard.photos))]
            skipped |= {_name(shard.photos[at]): why for at, why in reasons.items()}
            rows += [features] if len(features) else []
        if not rows:
            name, reason = next(iter(skipped.items()))
            raise FeatureStoreError(
                f"None of the {len(kept)} photos could be opened, such as {name}: "
                f"{reason} Put good copies in their place, then run this again."
            )
        samples = [
            sample for sample, good in zip(self.samples, kept, strict=True) if good
        ]
        labels = torch.tensor([label for _, label in samples])
        features = torch.from_numpy(np.concatenate(rows))
        return Stored(TensorDataset(features, labels), samples, skipped)


def write_shard(shard: Shard, features: np.ndarray, reasons: dict[int, str]) -> None:
    """Write a shard, all or nothing.

    Args:
        shard: Where it goes.
        features: (n, D), a row for each photo that could be opened, in order.
        reasons: Why the others could not, by their place in the shard.

    Raises:
        FeatureStoreError: If it cannot be written.
        ValueError: If the features are not of these photos.
    """
    if len(features) + len(reasons) != len(shard.photos):
        raise ValueError("every photo needs features, or a reason why there are none")
    if not np.isfinite(features).all():
        raise ValueError(f"the network gave no number for a photo of {shard.file.name}")
    part = shard.file.with_name(f".{shard.file.name}.{os.getpid()}.part")
    try:
        shard.file.parent.mkdir(parents=True, exist_ok=True)
        # What a killed run left of this shard.
        for left in shard.file.parent.glob(f".{shard.file.name}.*.part"):
            left.unlink(missing_ok=True)
        with part.open("wb") as file:
            np.savez(
                file,
                key=shard.key,
                features=np.asarray(features, np.float32),
                reasons=json.dumps(reasons),
            )
            file.flush()
            os.fsync(file.fileno())  # a full disk may show only here
        os.replace(part, shard.file)
    except OSError as error:
        raise FeatureStoreError(
            f"{shard.file} could not be written ({error}). Make room or make its "
            "folder writable, then run this again: the shards before it are kept."
        ) from error
    finally:
        with contextlib.suppress(OSError):  # what went wrong is already being told
            part.unlink(missing_ok=True)


def _plan_shard(folder: Path, start: int, photos: list[Path], network: str) -> Shard:
    try:
        # With its size, a photo that was replaced by a good copy is a new photo.
        known = [(_name(photo), photo.stat().st_size) for photo in photos]
    except OSError as error:
        raise FeatureStoreError(
            f"{error.filename} cannot be read ({error.strerror}). Put it back, or "
            "fetch the photos again, then run this again."
        ) from error
    made_from = json.dumps([FORMAT, network, known])
    key = hashlib.sha256(made_from.encode()).hexdigest()
    return Shard(folder / f"{start:06d}-{key[:16]}.npz", key, tuple(photos))


def _name(photo: Path) -> str:
    """Class folder and file: the same wherever the data set lies."""
    return "/".join(photo.parts[-2:])


def _read(shard: Shard) -> tuple[np.ndarray, dict[int, str]] | None:
    """A shard's features and reasons; None if it is not there, or not whole."""
    try:
        with np.load(shard.file, allow_pickle=False) as content:
            key, features = str(content["key"]), content["features"]
            reasons = json.loads(str(content["reasons"]))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    whole = len(features) + len(reasons) == len(shard.photos)
    if key != shard.key or not whole:
        return None
    return features, {int(place): reason for place, reason in reasons.items()}
