"""The browser demo's live camera for ten minutes: answers, their age, and memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browser import READY_MS, launched, open_pocket
from benchmarks.making import make_all
from benchmarks.plan import Bench, progress
from benchmarks.report import Part, goal
from going_modular.files import progress_bar
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import write_pocket

FILM_SIZE = (1280, 720)  # pixels, what the page asks a camera for
FILM_PHOTOS = 12  # the film shows one after another, then begins again
FILM_FPS = 30  # what Chromium plays a film of JPEG pictures at
SLIDE = 0.25  # of the width, by which a photo slides in its second
WARM_UP = 5.0  # seconds of live answers that do not count
SAMPLE = 2.5  # seconds between two looks at the memory
TENTHS = 10  # parts of the time; of ten minutes, each is a minute
GROWTH = 0.05  # of the memory, from the second minute to the last
OLDEST = 2  # answers
# Runs before the page's own code, and notes when the viewfinder showed a frame and when
# the worker answered for it. Python takes the notes away now and then: they stay few.
NOTES = """(() => {
    const [frames, answers] = [[], []];
    let grabbed;
    const follow = (video) => video.requestVideoFrameCallback((_, frame) => {
        frames.push(frame.presentationTime);
        follow(video);
    });
    addEventListener("playing", ({ target }) => follow(target), true);
    const grab = globalThis.createImageBitmap;
    globalThis.createImageBitmap = (source, ...rest) => {
        if (source instanceof HTMLVideoElement) grabbed = performance.now();
        return grab(source, ...rest);
    };
    globalThis.Worker = class extends Worker {
        constructor(...given) {
            super(...given);
            this.addEventListener("message", ({ data }) => {
                if (data.answer) answers.push([grabbed, performance.now()]);
            });
        }
    };
    globalThis.takeNotes = () => [frames.splice(0), answers.splice(0)];
})();"""


class Watched(NamedTuple):
    """What was noted while the camera was live."""

    runs: str  # on what, as the page says
    frames: np.ndarray  # when the viewfinder showed each, in ms
    answers: pd.DataFrame  # when its frame was grabbed and answered, in ms
    memory: pd.Series  # MB of the page's and the graphics process, look by look


def measure(bench: Bench) -> Part:
    """Let the page answer for a film of test photos that never stands still."""
    site = write_pocket(make_all(bench).int8_file, bench.workdir / "pocket")
    files = [file for file, _ in bench.test_pictures(FILM_PHOTOS)]
    film = make_film(files, bench.workdir / "film.mjpeg")
    minutes = bench.plan.camera_minutes
    progress(f"the live camera, for {minutes:g} minutes")
    return judge(watch(site, film, 60 * minutes), minutes)


def make_film(files: Sequence[Path], film: Path) -> Path:
    """Write a film in which every photo slides by for a second."""
    width, height = FILM_SIZE
    wide = (round(width * (1 + SLIDE)), height)
    with film.open("wb") as out:
        for file in files:
            with Image.open(file) as photo:
                fitted = ImageOps.fit(photo.convert("RGB"), wide)
            for left in np.linspace(0, wide[0] - width, FILM_FPS).round().astype(int):
                frame = fitted.crop((left, 0, left + width, height))
                frame.save(out, "JPEG", quality=80)
    return film


def watch(site: Path, film: Path, seconds: float) -> Watched:
    """Open the demo in a Chromium whose camera shows a film, and take notes.

    Raises:
        RuntimeError: If the page is not live from beginning to end.
    """
    camera = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",  # nobody is there to allow it
        f"--use-file-for-fake-video-capture={film}",
    )
    with (
        serve_folder(site) as served,
        sync_playwright() as playwright,
        launched(playwright, *camera) as browser,
    ):
        page = open_pocket(browser.new_page(), served.url, first=NOTES)
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector("#bars li", timeout=READY_MS)
        page.wait_for_timeout(1000 * WARM_UP)
        return _take_notes(page, browser, seconds)


def _take_notes(page: Page, browser: Browser, seconds: float) -> Watched:
    processes = _processes(browser)
    page.evaluate("takeNotes()")
    frames, answers, memory = [], [], []
    looks = max(TENTHS, round(seconds / SAMPLE))
    with progress_bar("watching the live camera", looks) as bar:
        for _ in range(looks):
            page.wait_for_timeout(1000 * seconds / looks)
            more_frames, more_answers = page.evaluate("takeNotes()")
            frames += more_frames
            answers += more_answers
            memory.append(sum(map(_megabytes, processes)))
            chip = page.inner_text("#rate-chip")
            if not chip.endswith("a second"):
                raise RuntimeError(f"the live camera came to rest: {chip!r}")
            bar.update(1)
    noted = pd.DataFrame(answers, columns=["grabbed", "answered"])
    return Watched(page.inner_text("#runs"), np.array(frames), noted, pd.Series(memory))


def _processes(browser: Browser) -> list[psutil.Process]:
    """The page with its worker and the model, and what draws it."""
    listed = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    kinds = ("renderer", "GPU")
    found = (p for p in listed["processInfo"] if p["type"] in kinds)
    return [psutil.Process(process["id"]) for process in found]


def _megabytes(process: psutil.Process) -> float:
    """Its own memory and, where the system says (Linux does), its share of shared."""
    memory = process.memory_full_info()
    return getattr(memory, "pss", memory.uss) / 1e6


def judge(watched: Watched, minutes: float) -> Part:
    """Turn notes into numbers: how many answers, how old, how much memory.

    The age of a frame in answers is the number of answers that came since the
    viewfinder showed it, its own included.
    """
    frames, answers = watched.frames, watched.answers
    grabbed, answered = answers[answers.grabbed >= frames[0]].to_numpy().T
    shown = frames[np.searchsorted(frames, grabbed, side="right") - 1]
    came_before = np.searchsorted(answered, shown, side="right")
    ages = np.arange(1, len(answered) + 1) - came_before
    age_ms = answered - shown
    per_second = 1000 * (len(answered) - 1) / (answered[-1] - answered[0])
    tenth = len(watched.memory) // TENTHS
    early = watched.memory[tenth : 2 * tenth].median()
    late = watched.memory[-tenth:].median()
    growth = late / early - 1
    flat = f"{minutes:g} minutes of live camera: memory in the last tenth at most "
    flat += f"{GROWTH:.0%} above that in the second"
    fresh = f"the same: no answer is for a frame older than {OLDEST} answers"
    oldest = int(ages.max())
    row = {
        "minutes": minutes,
        "answers a second": round(per_second, 1),
        "oldest frame, in answers": oldest,
        "frame to answer, median ms": round(np.median(age_ms)),
        "99th pct ms": round(np.quantile(age_ms, 0.99)),
        "memory MB, second tenth": round(early),
        "last tenth": round(late),
    }
    return {
        "goals": [
            goal(flat, f"{growth:+.1%}", growth <= GROWTH),
            goal(fresh, f"the oldest was {oldest}", oldest <= OLDEST),
        ],
        "runs": watched.runs,
        "film_fps": FILM_FPS,
        "watched": [row],
    }
