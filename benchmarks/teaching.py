"""Teach FoodVision Pocket dishes in Chromium, and count what it names afterwards.

Real dishes are of a tree in Food-101's format; on drawn pictures, others are drawn.
"""

import base64
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.browser import ask_page, chromium, open_pocket
from benchmarks.plan import ROOT, SEED, Bench, goal, progress
from going_modular.app.model import spoken
from going_modular.big.food101 import choose_photos, find_tree
from pocket.server import serve_folder

PHOTOS = 20  # that a dish is taught from
NAMED = f"named after {PHOTOS} photos"
LEARNED = "body[data-model=ready] #taught:not([hidden])"
# What the page would say: a name, "another dish" or "no plate".
NAME = """async (answer) => {
    const { describe } = await import("./words.js");
    const about = await (await fetch("model.json")).json();
    const { kind, verdict } = describe(answer, about);
    return kind === "dish" ? verdict.slice("This looks like ".length, -1) : kind;
}"""
CALL = """async ([name, given]) => {
    const { teach } = await import("./worker-client.js");
    if (given.source) given.source = new Blob([Uint8Array.fromBase64(given.source)]);
    return await teach(name, given);
}"""
Photos = dict[str, list[Path]]  # by what they show


def measure(bench: Bench) -> dict:
    """Teach every dish alone; then all but one, and ask about that one."""
    lessons, test = find_photos(bench)
    asked = bench.test_pictures()
    ours = {name: [f for f, of in asked if of == name] for name in bench.class_names}
    alone, fifth = [], []
    site = serve_folder(bench.write_site(), isolated=False)
    with chromium() as browser, site as served:
        for dish in test:
            progress(f"teaching {dish}, then the others")
            with _tab(browser, served.url) as page:
                alone.append(_teach_alone(page, dish, lessons[dish], test[dish], ours))
            with _tab(browser, served.url) as page:
                fifth.append(_teach_others(page, dish, lessons, test))
        version = browser.version.partition(".")[0]
    counts = [row[NAMED].split(" of ") for row in alone]
    named = statistics.mean(int(right) / int(total) for right, total in counts)
    worse = max(row["ours right, before"] - row["and after"] for row in alone)
    ms = statistics.median(r["training, ms"] + r["leave one out, ms"] for r in alone)
    return {
        "goals": [
            goal("taught", named),
            goal("taught_ours", worse, total=len(asked)),
            goal("taught_time", ms, photos=PHOTOS),
        ],
        "on": bench.pictures.label.capitalize(),
        "photos": PHOTOS,
        "ours": len(asked),
        "version": version,
        "alone": alone,
        "fifth": fifth,
    }


def find_photos(bench: Bench) -> tuple[Photos, Photos]:
    """Photos of other dishes that FOODVISION_BIG names: to learn, and to ask about."""
    tree = find_tree(os.environ.get("FOODVISION_BIG", ""), ROOT / "data")
    if tree.is_practice != bench.pictures.is_practice:
        raise SystemExit(
            "Teaching takes real photos of our dishes and of others: set "
            "FOODVISION_DATA and FOODVISION_BIG to them, or leave it out by --only."
        )
    part = choose_photos(tree, share=1.0)
    names = [spoken(name) for name in part.class_names]
    others = [name for name in names if name not in bench.class_names]
    train, test = {}, {}
    for name in others[: bench.plan.taught]:
        files, test[name] = (
            sorted(Path(file) for file, label in half if names[label] == name)
            for half in (part.train, part.test)
        )
        train[name] = random.Random(SEED).sample(files, min(PHOTOS, len(files)))
    return train, test


def _tab(browser: Browser, url: str) -> Page:
    """The page where nothing was taught yet, as soon as it can learn."""
    return open_pocket(browser.new_page(), url, until=LEARNED)


def _teach_alone(page: Page, dish: str, files: list, asked: list, ours: dict) -> dict:
    before = _right(page, ours)
    taught = teach(page, dish, files)
    named, after = _right(page, {dish: asked}), _right(page, ours)
    page.locator("#offline").wait_for()
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector(LEARNED)
    return {
        "dish": dish,
        NAMED: f"{named} of {len(asked)}",
        "the same, reloaded without network": _right(page, {dish: asked}),
        "leave one out, in the page": "{right} of {asked}".format(**taught["checked"]),
        "ours right, before": before,
        "and after": after,
        "training, ms": round(taught["training"]),
        "leave one out, ms": round(taught["checking"]),
    }


def _teach_others(page: Page, dish: str, lessons: Photos, test: Photos) -> dict:
    asked, others = test[dish], {name: test[name] for name in test if name != dish}
    before = Counter(ask_all(page, asked))
    for name in others:
        teach(page, name, lessons[name])
    after = Counter(ask_all(page, asked))
    away = [said["another dish"] + said["no plate"] for said in (before, after)]
    total, theirs = len(asked), sum(map(len, others.values()))
    return {
        "not taught": dish,
        "turned away before": f"{away[0]} of {total}",
        "turned away after": f"{away[1]} of {total}",
        "called one of the taught": f"{sum(after[o] for o in others)} of {total}",
        "the taught dishes named": f"{_right(page, others)} of {theirs}",
    }


def _right(page: Page, photos: Photos) -> int:
    return sum(ask_all(page, files).count(name) for name, files in photos.items())


def ask_all(page: Page, files: Sequence[Path]) -> list[str]:
    """What the page names each photo."""
    answers = (ask_page(page, file.read_bytes()) for file in files)
    return [page.evaluate(NAME, answer) for answer in answers]


def teach(page: Page, name: str, files: Sequence[Path]) -> dict:
    """Teach a dish from photos: "checked", leaving one out, and times in ms."""
    for file in files:
        source = base64.b64encode(file.read_bytes()).decode()
        dish = call(page, "add", name=name, source=source)
    start = time.perf_counter()
    call(page, "train")
    trained = time.perf_counter()
    checked = call(page, "check", id=dish["id"])
    times = 1000 * (trained - start), 1000 * (time.perf_counter() - trained)
    return {"checked": checked, "training": times[0], "checking": times[1]}


def call(page: Page, name: str, /, **given: object) -> object:
    """Ask the page's teacher for something."""
    return page.evaluate(CALL, [name, given])
