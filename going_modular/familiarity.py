"""The gate: which features a model knows, how familiar a picture is, and strangers.

Familiarity is the mean cosine similarity of a picture's features to its nearest among
those of the training pictures.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.nn import functional as F

from going_modular.app.model import PictureError, open_picture

NEIGHBOURS = 5
KEPT = 0.95  # share of the training pictures that pass the gate
PER_CLASS = 15  # training pictures whose features a file of many classes carries
# A package, and where in it the pictures are that its own examples use.
PLACES = {
    "gradio": "media_assets/images",
    "matplotlib": "mpl-data/sample_data",
    "skimage": "data",
    "sklearn": "datasets/images",
}
SMALLEST = 100  # pixels a side; smaller ones are icons and test patterns


def familiarity(
    features: torch.Tensor, known: torch.Tensor, *, leave_out_self: bool = False
) -> torch.Tensor:
    """Mean cosine similarity of features (M, D) to their five nearest in known (N, D).

    Args:
        features: One row a picture, of any length.
        known: The training pictures' features, rows of length 1.
        leave_out_self: Row m of the features is row m of the known: not compared.

    Returns:
        (M,), in [-1, 1].
    """
    similarity = F.normalize(features, dim=1) @ known.T
    neighbours = min(NEIGHBOURS, known.shape[0] - leave_out_self)
    if leave_out_self:
        similarity.fill_diagonal_(-1)
    return similarity.topk(neighbours, dim=1).values.mean(dim=1)


def familiarity_threshold(
    features: torch.Tensor, known: torch.Tensor | None = None, *, kept: float = KEPT
) -> float:
    """The familiarity below which a picture is called unlike the training pictures.

    `kept` of the pictures lie at or above the threshold. No test picture is asked.

    Args:
        features: Of training pictures, (M, D).
        known: Features that the file carries, (N, D), of other training pictures. None:
            it carries `features`, and every picture is compared with all the others,
            itself left out.
        kept: Share of the pictures that pass.
    """
    carried = F.normalize(features if known is None else known, dim=1)
    scores = familiarity(features, carried, leave_out_self=known is None)
    # "lower" is a picture's own score: between two, one picture too few would be kept.
    return scores.quantile(1 - kept, interpolation="lower").item()


def choose_known(
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    per_class: int = PER_CLASS,
    seed: int = 42,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose by a seed whose features a file carries, where all would be too many.

    Mini's file carries the features of all 450 training pictures. Food-101's would make
    a file several times the size of the network.

    Args:
        features: Of the training pictures, (N, D).
        labels: (N,).
        per_class: Pictures of each class, or half of a class that has not even two
            times as many: some must be left to set the threshold by.
        seed: Another one chooses others.

    Returns:
        Features of the chosen, (K, D), and of the others, (N - K, D).

    Raises:
        ValueError: If a class has only one picture.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        of_class = order[labels[order] == label]
        if len(of_class) < 2:
            raise ValueError(f"class {label} needs at least two training pictures")
        chosen[of_class[: min(per_class, len(of_class) // 2)]] = True
    return features[chosen], features[~chosen]


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
