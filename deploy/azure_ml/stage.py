"""Fill build/azure_ml/, the folder of code that deployment.yml has Azure upload."""

from pathlib import Path

from deploy import ROOT
from deploy.stage import stage

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "azure_ml"
OWN = (HERE / "score.py", HERE / "logging.json")  # of three log lines a request, one

if __name__ == "__main__":
    print(f"{stage(BUILD, *OWN)} is ready to upload")
