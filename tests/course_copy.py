"""A copy of the course to run and to spoil, with fewer pictures where few will do."""

import json
import re
import zipfile
from pathlib import Path

from going_modular.app_process import run
from going_modular.files import atomic_write
from tools.course import LESSON, ROOT, copy_course  # noqa: F401

PUBLISH = re.compile(r"```bash\n(  export REPO=.*?)```", re.DOTALL)
REPO, SITE = "some-one/food_vision.v2", "https://some-one-food.static.hf.space"


def publish(course: Path) -> None:
    """Set a copy's public addresses by the command of TEACHING.md."""
    command = PUBLISH.search((course / "TEACHING.md").read_text("utf-8"))[1]
    command = re.sub(r"SITE=\S+", f"SITE={SITE}", command).replace("OWNER/NAME", REPO)
    run("bash", "-c", command, cwd=course)


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
