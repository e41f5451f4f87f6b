"""Fewer pictures for runs that only have to show that each cell works."""

import json
import zipfile
from pathlib import Path

from going_modular.files import atomic_write


def keep_few(archive: Path, target: Path, every: int = 4) -> Path:
    """Write a zip with each so-manyth picture of another; listings name only those."""
    with zipfile.ZipFile(archive) as whole:
        files = {info: whole.read(info) for info in whole.infolist()}
    photos = [info for info in files if info.filename.endswith(".jpg")]
    kept = set(photos[::every])
    ids = {"/".join(Path(info.filename).with_suffix("").parts[-2:]) for info in kept}
    with atomic_write(target) as part, zipfile.ZipFile(part, "w") as few:
        for info, content in files.items():
            if info.filename.endswith(".json"):
                lists = json.loads(content).items()
                lists = {dish: [n for n in names if n in ids] for dish, names in lists}
                few.writestr(info, json.dumps(lists))
            elif info in kept or not info.filename.endswith(".jpg"):
                few.writestr(info, content)
    return target
