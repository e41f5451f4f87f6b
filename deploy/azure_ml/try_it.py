"""Ask Azure's server about photos: python -m deploy.azure_ml.try_it PHOTOS OUT.json"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from deploy import DEFAULT_MODEL as MODEL
from deploy import ROOT
from deploy.local_server import environment, free_ports, running, try_photos
from deploy.trial import TargetResult, main

PACKAGES = ("azureml-inference-server-http", "gunicorn", "onnxruntime")


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


def try_it(photos: list[Path]) -> list[TargetResult]:
    """Ask about photos."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(sys.executable, Path(folder)) as url,
    ):
        answers, median_ms = try_photos(url, photos)
    versions = {name: version(name) for name in PACKAGES}
    return [
        TargetResult("Azure ML", versions, MODEL.stat().st_size, answers, median_ms)
    ]


if __name__ == "__main__":
    main(try_it, __doc__)
