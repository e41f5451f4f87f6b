"""Ask TorchServe about photos: python -m deploy.torchserve.try_it PHOTOS OUT.json"""

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from deploy import DEFAULT_MODEL as MODEL
from deploy import ROOT
from deploy.local_server import environment, free_ports, running, try_photos
from deploy.torchserve.archive import MAR
from deploy.trial import TargetResult, main

HERE = Path(__file__).resolve().parent
PACKAGES = ("torchserve", "torch", "onnxruntime")


def on_free_ports(text: str) -> tuple[str, list[int]]:
    """Put a free port in the place of each that config.properties names.

    Returns:
        The settings, and the ports in their order there.
    """
    pattern = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=_port=)\d+")
    ports = free_ports(len(pattern.findall(text)))
    left = iter(ports)
    return pattern.sub(lambda _: str(next(left)), text), ports


@contextlib.contextmanager
def serving(python: str | Path, folder: Path, **settings: str) -> Iterator[str]:
    """Archive the model, and run TorchServe for as long as the `with` lasts.

    Args:
        python: The interpreter whose environment has TorchServe.
        folder: For the archive, the settings, what TorchServe unpacks, and log.txt. Its
            name must be short: a socket in it may have 107 characters.
        settings: Environment variables to set.

    Yields:
        The address to send pictures to.
    """
    config = folder / "config.properties"
    text, ports = on_free_ports((HERE / config.name).read_text("utf-8"))
    config.write_text(text, "utf-8")
    env = environment(TEMP=str(folder), TMPDIR=str(folder), **settings)
    make = [python, "-m", "deploy.torchserve.archive", folder]
    subprocess.run(make, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    command = [Path(python).with_name("torchserve"), "--foreground", "--ncs"]
    command += ["--disable-token-auth", "--ts-config", config]
    command += ["--log-config", HERE / "log4j2.xml"]
    command += ["--model-store", folder, "--models", MAR]
    root, log = f"http://127.0.0.1:{ports[0]}", folder / "log.txt"
    with running(command, f"{root}/ping", log, cwd=folder, env=env):
        yield f"{root}/predictions/{MODEL.stem}"


def try_it(photos: list[Path]) -> list[TargetResult]:
    """Ask about photos."""
    with tempfile.TemporaryDirectory(prefix="ts") as name:
        folder = Path(name)
        with serving(sys.executable, folder) as url:
            answers, median_ms = try_photos(url, photos)
        size = (folder / MAR).stat().st_size
    versions = {name: version(name) for name in PACKAGES}
    return [TargetResult("TorchServe", versions, size, answers, median_ms)]


if __name__ == "__main__":
    main(try_it, __doc__)
