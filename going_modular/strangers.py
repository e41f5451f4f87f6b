"""Pictures that are no food, from packages that are installed anyway.

They stand for what visitors send that nobody had thought of.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from going_modular.datasets import UNREADABLE

# A package, and where in it the pictures are that its own examples use.
PLACES = {
    "gradio": "media_assets/images",
    "matplotlib": "mpl-data/sample_data",
    "skimage": "data",
    "sklearn": "datasets/images",
}
SMALLEST = 100  # pixels a side; smaller ones are icons and test patterns


def find_strangers() -> dict[Path, str]:
    """Find the pictures, each once, with the package that each is from.

    Which ones there are depends on the packages' versions: say how many you found.
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
        with Image.open(file) as picture:
            return min(picture.size) >= SMALLEST
    except UNREADABLE:
        return False
