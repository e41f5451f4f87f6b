"""A copy of the course to run and to spoil, with fewer pictures where few will do."""

import json
import zipfile
from pathlib import Path

from going_modular.files import atomic_write
from tools.course import LESSON, ROOT, copy_course  # noqa: F401


def keep_few(archive: Path, target: Path, every: int = 4) -> None:
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
