"""What it costs if an app resizes a photo in its own way before the network sees it.

    python -m deploy.resizing PHOTOS.json

Phones' libraries resize for themselves, often without antialiasing, and crop otherwise
than the lesson. Prints, for each way, how many photos keep their class and how far the
answers move from the reference's.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from deploy.converting import DEFAULT_MODEL
from deploy.network import Network
from deploy.reference import read_deployable
from going_modular.app.model import open_picture
from going_modular.model_builder import Preprocess


@dataclass(frozen=True)
class Way:
    """A way to make a photo as small as the network wants it.

    Attributes:
        name: For the table.
        crop: Share of the shorter side that the centred square has.
        mode: As for `interpolate`.
        antialias: Whether a new pixel averages all that it covers.
    """

    name: str
    crop: float
    mode: str
    antialias: bool

    def prepare(self, pixels: torch.Tensor, like: Preprocess) -> torch.Tensor:
        """Prepare pixels, uint8 (H, W, 3): (1, 3, S, S), rounded to 8 bits."""
        side = max(1, int(min(pixels.shape[:2]) * self.crop))
        top, left = ((length - side) // 2 for length in pixels.shape[:2])
        square = pixels[top : top + side, left : left + side]
        resized = F.interpolate(
            square.permute(2, 0, 1)[None].float(),
            (like.size, like.size),
            mode=self.mode,
            antialias=self.antialias,
        )
        return resized.clamp(0, 255).round() * like.scale + like.shift


def ways(crop: float) -> list[Way]:
    """What apps do; `crop` is the lesson's."""
    return [
        Way("as in training, rounded to 8 bits", crop, "bicubic", True),
        Way("bilinear, antialiased", crop, "bilinear", True),
        Way("bilinear", crop, "bilinear", False),
        Way("bilinear, of the largest square", 1, "bilinear", False),
    ]


@torch.inference_mode()
def main() -> None:
    """Read the command line, ask, print a table."""
    parser = argparse.ArgumentParser(description="What an app's own resizing costs.")
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    args = parser.parse_args()
    deployable = read_deployable(args.model)
    network, preprocess = Network(deployable), deployable.preprocess
    photos = json.loads(args.photos.read_text(encoding="utf-8"))
    pictures = [torch.tensor(open_picture(photo)) for photo in photos]
    expected = [deployable(pixels) for pixels in pictures]
    print(
        "| resizing | same class | probability "
        "| knn_similarity | in_distribution_score |"
    )
    print("|---|---|---|---|---|")
    for way in ways(preprocess.crop or 1):
        same, apart = 0, torch.zeros(3)
        for pixels, ours in zip(pictures, expected, strict=True):
            theirs = network(way.prepare(pixels, preprocess))
            same += int(theirs[0].argmax() == ours[0].argmax())
            moved = [(a[0] - b).abs().max() for a, b in zip(theirs, ours, strict=True)]
            apart = torch.maximum(apart, torch.stack(moved))
        numbers = " | ".join(f"{each:.3f}" for each in apart.tolist())
        print(f"| {way.name} | {same} of {len(photos)} | {numbers} |")


if __name__ == "__main__":
    main()
