"""The browser demo's live camera for ten minutes: answers, their age, and memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image, ImageOps
from playwright.sync_api import Browser, sync_playwright

from benchmarks.browser import READY_MS, launched, open_pocket
from benchmarks.making import write_site
from benchmarks.plan import Bench, progress
from benchmarks.report import Part, goal
from going_modular.files import progress_bar
from pocket.runtimes import LITE_RT
from pocket.server import serve_folder

FILM_SIZE = (1280, 720)  # pixels, what the page asks a camera for
FILM_PHOTOS = 12  # the film shows one after another, then begins again
FILM_FPS = 30  # what Chromium plays a film of JPEG pictures at
SLIDE = 0.25  # of the width, by which a photo slides in its second
WARM_UP_MS = 5000  # of live answers that do not count
SAMPLE = 2.5  # seconds between two looks at the memory
TENTHS = 10  # parts of the time; of ten minutes, each is a minute
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
                const isAnswer = data.result?.probabilities;
                if (isAnswer) answers.push([grabbed, performance.now()]);
            });
        }
    };
    globalThis.takeNotes = () => [frames.splice(0), answers.splice(0)];
})();"""


def measure(bench: Bench) -> Part:
    """Let the page answer for a film of test photos that never stands still."""
    files = [file for file, _ in bench.test_pictures(FILM_PHOTOS)]
    film = make_film(files, bench.workdir / "film.mjpeg")
    seconds = bench.plan.camera_seconds
    progress(f"the live camera, for {seconds:g} seconds")
    camera = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",  # nobody is there to allow it
        f"--use-file-for-fake-video-capture={film}",
    )
    with (
        serve_folder(write_site(bench, LITE_RT)) as served,
        sync_playwright() as playwright,
        launched(playwright, *camera) as browser,
    ):
        return watch(browser, served.url, seconds)


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


def watch(browser: Browser, url: str, seconds: float) -> Part:
    """Open the demo in a Chromium whose camera shows a film, and take notes.

    Raises:
        RuntimeError: If the page is not live from beginning to end.
    """
    page = open_pocket(browser.new_page(), url, first=NOTES)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#bars li", timeout=READY_MS)
    page.wait_for_timeout(WARM_UP_MS)
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
    found = judge(np.array(frames), noted, pd.Series(memory), seconds / 60)
    return {**found, "runs": page.inner_text("#runs"), "film_fps": FILM_FPS}


def _processes(browser: Browser) -> list[psutil.Process]:
    """The page with its worker and the model, and what draws it."""
    listed = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    found = (p for p in listed["processInfo"] if p["type"] in ("renderer", "GPU"))
    return [psutil.Process(process["id"]) for process in found]


def _megabytes(process: psutil.Process) -> float:
    """Its own memory and, where the system says (Linux does), its share of shared."""
    memory = process.memory_full_info()
    return getattr(memory, "pss", memory.uss) / 1e6


def judge(
    frames: np.ndarray, answers: pd.DataFrame, memory: pd.Series, minutes: float
) -> Part:
    """Turn notes into numbers: how many answers, how old, how much memory.

    The age of a frame in answers is the number of answers that came since the
    viewfinder showed it, its own included.

    Args:
        frames: When the viewfinder showed each, in ms.
        answers: When the frame of each was grabbed and when it was answered, in ms.
        memory: MB of the page's and the graphics process, look by look.
        minutes: How long that was.
    """
    grabbed, answered = answers[answers.grabbed >= frames[0]].to_numpy().T
    shown = frames[np.searchsorted(frames, grabbed, side="right") - 1]
    came_before = np.searchsorted(answered, shown, side="right")
    oldest = int((np.arange(1, len(answered) + 1) - came_before).max())
    age_ms = answered - shown
    tenth = len(memory) // TENTHS
    early, late = memory[tenth : 2 * tenth].median(), memory[-tenth:].median()
    passed = answered[-1] - answered[0]
    row = {
        "minutes": round(minutes, 1),
        "answers a second": round(1000 * (len(answered) - 1) / passed, 1),
        "oldest frame, in answers": oldest,
        "frame to answer, median ms": round(np.median(age_ms)),
        "99th pct ms": round(np.quantile(age_ms, 0.99)),
        "memory MB, second tenth": round(early),
        "last tenth": round(late),
    }
    return {
        "goals": [
            goal("camera_memory", late / early - 1, minutes=round(minutes, 1)),
            goal("camera_age", oldest),
        ],
        "watched": [row],
    }
