"""The same file in a browser and in Python, picture by picture: answers and times."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.browser import CHROMIUM, ask_page, pocket_page
from benchmarks.making import make_all
from benchmarks.plan import Bench, in_turns
from benchmarks.report import Goal, Part
from going_modular.app.model import Predictor
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import list_files, write_pocket

FIRST_VISIT_MB = 20
CLOSE = 0.02  # probabilities may differ by so much
BROWSER, PYTHON = "Chromium, WebAssembly", "Python, the app's own Predictor"


def measure(bench: Bench) -> Part:
    """Ask both about every test picture, in turns."""
    if CHROMIUM is None:
        raise SystemExit("Section 5 needs chromium: install it, or use --only.")
    model = make_all(bench).int8_file
    site = write_pocket(model, bench.workdir / "pocket")
    megabytes = sum(list_files(site)["files"].values()) / 1e6
    pictures = [file.read_bytes() for file, _ in bench.test_pictures()]
    said, threads = _ask_both(site, Predictor(model, threads=1), pictures)
    browser, python = (np.array(own.probabilities.tolist()) for own in said.values())
    same = int((browser.argmax(axis=1) == python.argmax(axis=1)).sum())
    apart = np.abs(browser - python).max()
    agreed = f"{same} of {len(pictures)}, at most {apart:.4f} apart"
    alike = "browser and Python answer alike for all photos but one at most, "
    alike += f"probabilities within {CLOSE}"
    visit = f"the browser demo's first visit loads at most {FIRST_VISIT_MB} MB"
    goals = [
        Goal(alike, agreed, same >= len(pictures) - 1 and apart <= CLOSE),
        Goal(visit, f"{megabytes:.1f} MB", megabytes <= FIRST_VISIT_MB),
    ]
    # Milliseconds are by their own clocks: the way to the page does not count.
    python_ms = said[PYTHON].milliseconds.median()
    facts = {"said": said, "python_ms": python_ms, "agreed": agreed, "threads": threads}
    return facts, goals


def _ask_both(
    site: Path, predictor: Predictor, pictures: Sequence[bytes]
) -> tuple[dict[str, pd.DataFrame], str]:
    """What `ask_page` returns, a row a picture, of both; and the page's threads."""
    with serve_folder(site) as served, pocket_page(served.url) as page:
        ways = {
            BROWSER: lambda picture: ask_page(page, picture),
            PYTHON: lambda picture: _ask_python(predictor, picture),
        }
        said = in_turns("asking the browser demo and Python", ways, pictures)
        return said, page.inner_text("#threads")


def _ask_python(predictor: Predictor, picture: bytes) -> dict:
    """The same as `ask_page` returns."""
    answer = predictor.predict(BytesIO(picture))
    probabilities = [answer.probabilities[n] for n in predictor.about.class_names]
    return {"probabilities": probabilities, "milliseconds": 1000 * answer.seconds}
