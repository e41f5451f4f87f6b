"""Try a place: ask it about photos, and write down what it said.

python -m deploy.try_it PLACE PHOTOS.json OUT.json
"""

import argparse
import json
from importlib import import_module
from pathlib import Path

from deploy import DEFAULT_MODEL
from deploy.asking import TARGETS, try_target
from deploy.trial import write_trials


def main() -> None:
    """Read the command line, ask, write the answers."""
    parser = argparse.ArgumentParser(description="Ask a place about photos.")
    parser.add_argument("place", help="a folder of deploy/, or reference")
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    args = parser.parse_args()
    photos = [Path(name) for name in json.loads(args.photos.read_text("utf-8"))]
    if args.place in TARGETS:
        trials = [try_target(TARGETS[args.place], args.model, photos)]
    else:
        own = "reference" if args.place == "reference" else f"{args.place}.try_it"
        trials = import_module(f"deploy.{own}").try_all(args.model, photos)
    write_trials(args.out, trials)


if __name__ == "__main__":
    main()
