"""What it costs if an app resizes a photo in its own way before the network sees it.

    python -m deploy.resizing PHOTOS.json

Phones' libraries resize for themselves, often without antialiasing, and crop otherwise
than the lesson. Prints, for each way, how many photos keep their class and how far the
answers move from the reference's.
"""

import json
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

from deploy import DEFAULT_MODEL
from deploy.converting import Network
from deploy.reference import read_deployable
from deploy.try_it import KEPT
from going_modular.app.model import open_picture
from going_modular.model_builder import Preprocess

# Whether it is the lesson's square or the largest, as for `interpolate`, and whether a
# new pixel averages all that it covers.
WAYS = {
    "as in training, rounded to 8 bits": (True, "bicubic", True),
    "bilinear, antialiased": (True, "bilinear", True),
    "bilinear": (True, "bilinear", False),
    "bilinear, of the largest square": (False, "bilinear", False),
}


def prepare(pixels: torch.Tensor, like: Preprocess, way: str) -> torch.Tensor:
    """Prepare pixels, uint8 (H, W, 3), in one of the ways: (1, 3, S, S)."""
    cropped, mode, antialias = WAYS[way]
    crop = like.crop if cropped and like.crop else 1
    side = max(1, int(min(pixels.shape[:2]) * crop))
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = pixels[top : top + side, left : left + side].permute(2, 0, 1)[None]
    size = (like.size, like.size)
    resized = F.interpolate(square.float(), size, mode=mode, antialias=antialias)
    return resized.clamp(0, 255).round() * like.scale + like.shift


@torch.inference_mode()
def main() -> None:
    """Ask about the photos that a JSON file lists, and print a table."""
    deployable = read_deployable(DEFAULT_MODEL)
    network, preprocess = Network(deployable), deployable.preprocess
    (listed,) = sys.argv[1:]
    photos = json.loads(Path(listed).read_text("utf-8"))
    pictures = [torch.tensor(open_picture(photo)) for photo in photos]
    expected = [deployable(pixels) for pixels in pictures]
    print(f"| resizing | same class | {' | '.join(KEPT)} |\n|---|---|---|---|---|")
    for way in WAYS:
        same, apart = 0, torch.zeros(3)
        for pixels, ours in zip(pictures, expected, strict=True):
            theirs = network(prepare(pixels, preprocess, way))
            same += int(theirs[0].argmax() == ours[0].argmax())
            moved = [(a[0] - b).abs().max() for a, b in zip(theirs, ours, strict=True)]
            apart = torch.maximum(apart, torch.stack(moved))
        numbers = " | ".join(f"{each:.3f}" for each in apart.tolist())
        print(f"| {way} | {same} of {len(photos)} | {numbers} |")


if __name__ == "__main__":
    main()
