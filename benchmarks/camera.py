"""The browser demo's live camera for ten minutes: answers, their age, and memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image, ImageOps

from benchmarks.browser import READY_MS, chromium, open_pocket
from benchmarks.plan import Bench, Part, goal, progress
from going_modular.files import progress_bar
from pocket.server import serve_folder

CAMERA = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",  # nobody is there to allow it
)
FILM_SIZE = (1280, 720)  # pixels, what the page asks a camera for
FILM_PHOTOS = 12  # the film shows one after another, then begins again
FILM_FPS = 30  # what Chromium plays a film of JPEG pictures at
SLIDE = 0.25  # of the width, by which a photo slides in its second
WARM_UP_MS = 5000  # of live answers that do not count
SAMPLE = 2.5  # seconds between two looks at the memory
TENTHS = 10  # parts of the time; of ten minutes, each is a minute
# Runs before the page's own code. Of every answer it notes when the viewfinder showed
# its frame, when the worker answered, and how many answers came since the former, its
# own included.
NOTES = """globalThis.notes = [];
(() => {
    const times = [];
    let shown, grabbed;
    const follow = (video) => video.requestVideoFrameCallback((_, frame) => {
        const at = frame.presentationTime;
        shown = { at, before: times.findLastIndex((time) => time <= at) + 1 };
        follow(video);
    });
    addEventListener("playing", ({ target }) => follow(target), true);
    const grab = globalThis.createImageBitmap;
    globalThis.createImageBitmap = (source, ...rest) => {
        if (source instanceof HTMLVideoElement) grabbed = shown;
        return grab(source, ...rest);
    };
    globalThis.Worker = class extends Worker {
        constructor(...given) {
            super(...given);
            this.addEventListener("message", ({ data }) => {
                if (!data.result?.probabilities || !grabbed) return;
                times.push(performance.now());
                notes.push([grabbed.at, times.at(-1), times.length - grabbed.before]);
            });
        }
    };
})();"""


def measure(bench: Bench) -> Part:
    """Let the page answer for a film of test photos that never stands still.

    Raises:
        RuntimeError: If the page is not live from beginning to end.
    """
    seconds, film = bench.plan.camera_seconds, bench.workdir / "film.mjpeg"
    _write_film([file for file, _ in bench.test_pictures(FILM_PHOTOS)], film)
    progress(f"the live camera, for {seconds:g} seconds")
    looks, memory = max(TENTHS, round(seconds / SAMPLE)), []
    with (
        serve_folder(bench.write_site()) as served,
        chromium(*CAMERA, f"--use-file-for-fake-video-capture={film}") as browser,
    ):
        page = open_pocket(browser.new_page(), served.url, first=NOTES)
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector("#bars li", timeout=READY_MS)
        page.wait_for_timeout(WARM_UP_MS)
        # The page with its worker and the model, and what draws it.
        listed = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        kinds = {process["id"]: process["type"] for process in listed["processInfo"]}
        processes = [
            psutil.Process(n) for n in kinds if kinds[n] in ("renderer", "GPU")
        ]
        page.evaluate("notes.splice(0)")
        for _ in progress_bar("watching the live camera", iterable=range(looks)):
            page.wait_for_timeout(1000 * seconds / looks)
            # Its own memory and, as Linux says it, its share of what is shared.
            memory.append(sum(p.memory_full_info().pss for p in processes) / 1e6)
            chip = page.inner_text("#rate-chip")
            if not chip.endswith("a second"):
                raise RuntimeError(f"the live camera came to rest: {chip!r}")
        notes, runs = page.evaluate("notes"), page.inner_text("#runs")
    answers = pd.DataFrame(notes, columns=["shown", "answered", "age"])
    ms, oldest = answers.answered - answers.shown, int(answers.age.max())
    tenth, minutes = looks // TENTHS, round(seconds / 60, 1)
    early, late = np.median(memory[tenth : 2 * tenth]), np.median(memory[-tenth:])
    row = {
        "minutes": minutes,
        "answers a second": round(1000 / answers.answered.diff().mean(), 1),
        "oldest frame, in answers": oldest,
        "frame to answer, median ms": round(ms.median()),
        "99th pct ms": round(ms.quantile(0.99)),
        "memory MB, second tenth": round(early),
        "last tenth": round(late),
    }
    growth = goal("camera_memory", late / early - 1, minutes=minutes)
    return {
        "goals": [growth, goal("camera_age", oldest)],
        "watched": [row],
        "runs": runs,
        "film_fps": FILM_FPS,
    }


def _write_film(files: Sequence[Path], film: Path) -> None:
    """Write a film in which every photo slides by for a second."""
    width, height = FILM_SIZE
    wide = (round(width * (1 + SLIDE)), height)
    with film.open("wb") as out:
        for file in files:
            fitted = ImageOps.fit(Image.open(file).convert("RGB"), wide)
            for left in np.linspace(0, wide[0] - width, FILM_FPS).round().astype(int):
                frame = fitted.crop((left, 0, left + width, height))
                frame.save(out, "JPEG", quality=80)
