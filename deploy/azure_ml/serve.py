"""Run Azure's inference server, for this machine only, from the uploaded folder."""

import os
import shutil
import sys
from pathlib import Path

from deploy import DEFAULT_MODEL, server_options, stage

HERE = Path(__file__).resolve().parent
OWN = HERE / "score.py", HERE / "logging.json"  # of three log lines a request, one


def main() -> None:
    """Fill the folder, and become the server."""
    parser = server_options(__doc__, 5001, folder="azure_ml")  # Azure's own port
    parser.add_argument("--stage", action="store_true", help="fill it, and stop")
    args = parser.parse_args()
    folder = stage(args.folder.resolve(), *OWN)
    if args.stage:
        print(f"{folder} is ready to upload")
        return
    models = Path(f"{folder}_models", DEFAULT_MODEL.stem, "1")  # as Azure lays it out
    models.mkdir(parents=True, exist_ok=True)
    shutil.copy(args.model, models / DEFAULT_MODEL.name)
    os.environ |= {
        "AML_APP_ROOT": str(folder),
        "AZUREML_ENTRY_SCRIPT": str(folder / "score.py"),  # must be absolute
        "AZUREML_MODEL_DIR": str(models),
    }
    # For a whole request: a stalled upload must not hold the only worker.
    os.environ.setdefault("SCORING_TIMEOUT_MS", "30000")
    os.chdir(folder)
    server = ["gunicorn", f"--bind=127.0.0.1:{args.port}", "--access-logfile=-"]
    server += ["--no-control-socket", "azureml_inference_server_http.server.entry:app"]
    # Isolated: what works here must not owe it to this repository's being at hand.
    os.execv(sys.executable, [sys.executable, "-IB", "-m", *server])


if __name__ == "__main__":
    main()
