"""Archive the model, and run TorchServe with it, for this machine only."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import DEFAULT_MODEL, free_ports, server_options, stage

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
NAME = DEFAULT_MODEL.stem


def main() -> None:
    """Write model, handler and our code into one archive, and become the server."""
    args = server_options(__doc__, 8080, folder="torchserve").parse_args()
    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as code:
        command = [BIN / "torch-model-archiver", "--force", "--version", "1.0"]
        command += ["--model-name", NAME, "--serialized-file", args.model]
        command += ["--handler", HERE / "handler.py", "--export-path", folder]
        # The archiver copies what is in a folder, folders and all.
        command += ["--extra-files", stage(Path(code))]
        subprocess.run(list(map(str, command)), check=True)
    settings = (HERE / "config.properties").read_text("utf-8")
    config = folder / "config.properties"
    config.write_text(settings.format(args.port, *free_ports(4)), "utf-8")
    os.environ |= {"TEMP": str(folder), "TMPDIR": str(folder)}
    os.chdir(folder)
    server = [BIN / "torchserve", "--foreground", "--ncs", "--disable-token-auth"]
    server += ["--ts-config", config, "--log-config", HERE / "log4j2.xml"]
    server += ["--model-store", folder, "--models", f"{NAME}.mar"]
    os.execv(server[0], list(map(str, server)))


if __name__ == "__main__":
    main()
