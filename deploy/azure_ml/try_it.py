"""Ask Azure's server about photos: python -m deploy.azure_ml.try_it PHOTOS OUT.json"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from deploy.local_server import environment, free_ports, running, try_photos
from deploy.stage import MODEL, ROOT
from deploy.trial import Trial

PACKAGES = (
    "azureml-inference-server-http",
    "gunicorn",
    "onnxruntime",
    "numpy",
    "pillow",
)


@contextlib.contextmanager
def serving(python: str | Path, folder: Path, **settings: str) -> Iterator[str]:
    """Run the server for as long as the `with` lasts.

    Args:
        python: The interpreter whose environment has the server.
        folder: For the staged code and for log.txt.
        settings: Environment variables to set.

    Yields:
        The address to send pictures to.
    """
    port = free_ports(1)[0]
    staged = folder / "code"
    command = [python, "-m", "deploy.azure_ml.serve", "--port", port]
    command += ["--folder", staged]
    root = f"http://127.0.0.1:{port}"
    env, log = environment(**settings), folder / "log.txt"
    with running(command, f"{root}/", log, cwd=ROOT, env=env):
        yield f"{root}/score"


def main() -> None:
    """Read the list of photos, ask, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    args = parser.parse_args()
    photos = json.loads(args.photos.read_text("utf-8"))
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(sys.executable, Path(folder)) as url,
    ):
        answers, median_ms = try_photos(url, photos)
    versions = {name: version(name) for name in PACKAGES}
    size = MODEL.stat().st_size
    Trial("Azure ML", versions, size, answers, median_ms).write(args.out)


if __name__ == "__main__":
    main()
