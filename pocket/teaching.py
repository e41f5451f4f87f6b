"""Dishes that a model learns afterwards, from a few photos' features.

The file carries what it learned from as numbers. A new dish's photos join them, and one
more head is fitted to all: the lesson's strict one, in which every dish counts alike. A
picture is named as a taught dish if that dish **leads**, its logit being the largest;
and if its lead over the next dish and its **likeness** to the dish's own photos, in
standard deviations, come to enough together: see `needed`. The scale of likeness is
what the model's own dishes reach: a taught dish has no photos to spare for one.

FoodVision Pocket does the same in JavaScript (`head.js`); tests hold it to this file.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch.nn import functional as F

from going_modular.gate import fit_softmax, middle_and_width, signed_sqrt
from going_modular.stored_features import StoredFeatures
from pocket.model_file import ReferenceFeatures

NEAREST = 3  # photos of a dish that likeness is the mean over
# Chosen on training photos of five dishes, 20 to learn from and 130 to ask about.
MARGIN = 0.25


def needed(dishes: int) -> float:
    """What lead and likeness must come to: a stranger can be taken for any dish."""
    return MARGIN * (1 + math.log2(dishes))


def likeness_to(unit: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    """Mean cosine (M,) of unit rows (M, D) to their nearest among photos (n, D)."""
    nearest = min(NEAREST, len(photos))
    return (unit @ photos.T).topk(nearest, dim=1).values.mean(dim=1)


def own_likeness(known: ReferenceFeatures, count: int) -> tuple[float, float]:
    """How like `count` photos of its own kind, evenly spread, a training photo is.

    At most half of a class are compared with. Returns mean and standard deviation over
    all the others; 0 and 1 if there are none.
    """
    scores = []
    for rows in known.features.split(known.counts):
        compared = min(count, len(rows) // 2)
        if compared:
            chosen = torch.tensor([n * len(rows) // compared for n in range(compared)])
            others = torch.ones(len(rows), dtype=torch.bool)
            others[chosen] = False
            scores.append(likeness_to(rows[others], rows[chosen]))
    return middle_and_width(torch.cat(scores)) if scores else (0.0, 1.0)


class TaughtHead:
    """Knows a model's own dishes and taught ones, by their photos' features (n, D)."""

    def __init__(self, known: ReferenceFeatures, dishes: Mapping[str, torch.Tensor]):
        self.names = [*known.class_names, *dishes]  # the model's own come first
        self.own = len(known.class_names)
        self.photos = [F.normalize(rows, dim=1) for rows in dishes.values()]
        self.scales = [own_likeness(known, len(rows)) for rows in self.photos]
        rows = signed_sqrt(torch.cat([known.features, *self.photos]))
        counts = torch.tensor([len(photos) for photos in self.photos])
        numbers = torch.arange(self.own, len(self.names)).repeat_interleave(counts)
        labels = torch.cat([known.labels, numbers])
        self.head = fit_softmax(rows, labels, scale_by=signed_sqrt(known.features))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Of all classes, (M, C + T), for features (M, D)."""
        return self.head(signed_sqrt(F.normalize(features, dim=1)))

    def judge(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each taught dish's lead and likeness, both (M, T), for features (M, D)."""
        logits, unit = self.logits(features), F.normalize(features, dim=1)
        leads, likeness = [], []
        scaled = zip(self.photos, self.scales, strict=True)
        for number, (photos, (middle, width)) in enumerate(scaled, start=self.own):
            rivals = [name != self.names[number] for name in self.names]
            leads.append(logits[:, number] - logits[:, rivals].amax(dim=1))
            likeness.append((likeness_to(unit, photos) - middle) / width)
        return torch.stack(leads, dim=1), torch.stack(likeness, dim=1)

    def find(self, features: torch.Tensor) -> torch.Tensor:
        """The number of the taught dish that each of M pictures shows, or -1, (M,)."""
        leads, likeness = self.judge(features)
        scores = (leads + likeness).masked_fill(leads < 0, -torch.inf)
        best = scores.max(dim=1)
        return best.indices.masked_fill(best.values < needed(len(self.photos)), -1)


def taught_table(
    known: ReferenceFeatures,
    others: StoredFeatures,
    *,
    ours: torch.Tensor,
    right: torch.Tensor,
    photos: Sequence[int] = (3, 5, 10, 20),
    runs: int = 2,
) -> pd.DataFrame:
    """Teach each of the other dishes alone, from few photos and from more, and ask.

    `ours` are features of our own test pictures, (N, D); `right` says which of those
    the model named rightly before, and let through, (N,). Each dish is taught from so
    many `photos`, in so many `runs`, each time others. Returns a row for each number,
    the first for none: means over dishes and runs.
    """
    generator = torch.Generator().manual_seed(42)
    rows = {0: ("", "", f"{int(right.sum())} of {len(ours)}")}
    for count in photos if others.names else ():
        trials = []
        for dish in runs * others.names:
            alone = others.without(*(name for name in others.names if name != dish))
            features = alone.train.tensors[0]
            order = torch.randperm(len(features), generator=generator)
            head = TaughtHead(known, {dish: features[order[:count]]})
            sent = others.test_of(dish), others.without(dish).test.tensors[0]
            shares = [(head.find(asked) == 0).float().mean().item() for asked in sent]
            trials.append([*shares, ((head.find(ours) == -1) & right).sum().item()])
        named, mistaken, still = torch.tensor(trials, dtype=torch.double).mean(dim=0)
        rows[count] = f"{named:.0%}", f"{mistaken:.1%}", f"{still:.1f} of {len(ours)}"
    columns = ["the dish named", "other dishes called it", "ours still right"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("photos")
