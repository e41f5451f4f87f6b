"""Archive the model, and run TorchServe with it, for this machine only."""

import argparse
import os
import re
import sys
from pathlib import Path

from deploy import DEFAULT_MODEL
from deploy.asking import free_ports
from deploy.torchserve.archive import MAR, STORE, archive

HERE = Path(__file__).resolve().parent
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=_port=)\d+")


def on_ports(text: str, port: int) -> str:
    """Settings with a port in the place of their first, and free ones of the others."""
    ports = iter([port, *free_ports(len(PORT.findall(text)) - 1)])
    return PORT.sub(lambda _: str(next(ports)), text)


def main() -> None:
    """Archive, and become the server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="default: 8080")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--folder", type=Path, default=STORE, help="for all its files")
    args = parser.parse_args()
    folder = args.folder.resolve()
    archive(folder, args.model)
    config = folder / "config.properties"
    config.write_text(on_ports((HERE / config.name).read_text("utf-8"), args.port))
    os.environ |= {"TEMP": str(folder), "TMPDIR": str(folder)}
    os.chdir(folder)
    server = [Path(sys.executable).with_name("torchserve"), "--foreground", "--ncs"]
    server += ["--disable-token-auth", "--ts-config", config]
    server += ["--log-config", HERE / "log4j2.xml"]
    server += ["--model-store", folder, "--models", MAR]
    os.execv(server[0], list(map(str, server)))


if __name__ == "__main__":
    main()
