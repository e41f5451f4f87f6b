"""Teach FoodVision Pocket dishes in Chromium, and count what it names afterwards.

Real dishes come from a tree in Food-101's format, which FOODVISION_BIG names; on drawn
practice pictures the other dishes are drawn, too.
"""

import base64
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.browser import READY_MS, chromium, open_pocket
from benchmarks.plan import ROOT, SEED, Bench, progress
from benchmarks.report import Part, goal
from going_modular.big.food101 import choose_photos, find_tree, spoken
from pocket.server import serve_folder
from pocket.site import write_pocket

MODEL = ROOT / "models" / "foodvision_mini.onnx"
PHOTOS = 20  # that a dish is taught from
LEARNED = "body[data-model=ready] #taught:not([hidden])"
BATCH = 25  # photos that go to the page together
ANOTHER, NO_PLATE = "another dish", "no plate"
# Says what the page would say of each file: a name, "another dish" or "no plate".
ASK = """async (files) => {
    const { ask } = await import("./worker-client.js");
    const { describe } = await import("./words.js");
    const about = await (await fetch("model.json")).json();
    const said = [];
    for (const base64 of files) {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
        const { preview, ...answer } = await ask(new Blob([bytes]));
        preview.close();
        const { kind, verdict } = describe(answer, about);
        const name = verdict.slice("This looks like ".length, -1);
        said.push(kind === "dish" ? name : kind);
    }
    return said;
}"""
CALL = """async ([name, given]) => {
    const { teach } = await import("./worker-client.js");
    const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt());
    if (given.source) given.source = new Blob([bytes(given.source)]);
    return await teach(name, given);
}"""


class Photos(NamedTuple):
    """Photos by dish, to learn from and to ask about; and ours to ask about."""

    train: dict[str, list[Path]]
    test: dict[str, list[Path]]
    ours: list[tuple[Path, str]]


def measure(bench: Bench) -> Part:
    """Teach every dish alone; then all but one, and ask about that one."""
    photos, alone, fifth = find_photos(bench), [], []
    site = write_pocket(MODEL, bench.workdir / "taught")
    with chromium() as browser, serve_folder(site, isolated=False) as served:
        for dish in photos.test:
            progress(f"teaching {dish}, then the others")
            alone.append(teach_alone(browser, served.url, photos, dish))
            fifth.append(teach_others(browser, served.url, photos, dish))
        version = browser.version.partition(".")[0]
    return {
        "goals": goals(alone, photos),
        "on": bench.pictures.label.capitalize(),
        "photos": PHOTOS,
        "ours": len(photos.ours),
        "version": version,
        "alone": alone,
        "fifth": fifth,
    }


def find_photos(bench: Bench) -> Photos:
    """The photos that the environment names, without dishes that are ours.

    Raises:
        SystemExit: If ours are real and the others drawn, or the other way round.
    """
    tree = find_tree(os.environ.get("FOODVISION_BIG", ""), ROOT / "data")
    if tree.is_practice != bench.pictures.is_practice:
        raise SystemExit(
            "Teaching takes real photos of our dishes and of others: set "
            "FOODVISION_DATA and FOODVISION_BIG to them, or leave it out by --only."
        )
    part, halves = choose_photos(tree, share=1.0), []
    names = [name for name in spoken(part.class_names) if name not in bench.class_names]
    for half in (part.train, part.test):
        by_dish = {name: [] for name in names[: bench.plan.taught]}
        for file, label in half:
            name = spoken(part.class_names)[label]
            if name in by_dish:
                by_dish[name].append(Path(file))
        halves.append(by_dish)
    return Photos(*halves, bench.test_pictures())


def teach_alone(
    browser: Browser, url: str, photos: Photos, dish: str
) -> dict[str, object]:
    """Teach one dish, and reload the page; a row of what became of it, and its cost."""
    test, ours = photos.test[dish], [file for file, _ in photos.ours]
    truth = [name for _, name in photos.ours]
    with browser.new_context() as context:
        page = open_taught(context, url)
        before = same(page, ours, truth)
        measured = teach(page, dish, choose(photos.train[dish]))
        named, after = same(page, test, dish), same(page, ours, truth)
        page.locator("#offline").wait_for(timeout=READY_MS)
        context.set_offline(True)
        page.close()
        reloaded = same(open_taught(context, url), test, dish)
    checked = measured["checked"]
    return {
        "dish": dish,
        f"named after {PHOTOS} photos": f"{named} of {len(test)}",
        "the same, reloaded without network": reloaded,
        "leave one out, in the page": f"{checked['right']} of {checked['asked']}",
        "ours right, before": before,
        "and after": after,
        "training, ms": round(measured["training"]),
        "leave one out, ms": round(measured["checking"]),
    }


def teach_others(
    browser: Browser, url: str, photos: Photos, dish: str
) -> dict[str, object]:
    """Teach all dishes but one, and ask about that one."""
    with browser.new_context() as context:
        page = open_taught(context, url)
        before = Counter(ask_all(page, photos.test[dish]))
        others = [name for name in photos.test if name != dish]
        for other in others:
            teach(page, other, choose(photos.train[other]))
        named = sum(same(page, photos.test[other], other) for other in others)
        after = Counter(ask_all(page, photos.test[dish]))
    total, asked = len(photos.test[dish]), sum(len(photos.test[o]) for o in others)
    away = [said[ANOTHER] + said[NO_PLATE] for said in (before, after)]
    return {
        "not taught": dish,
        "turned away before": f"{away[0]} of {total}",
        "turned away after": f"{away[1]} of {total}",
        "called one of the taught": f"{sum(after[o] for o in others)} of {total}",
        "the taught dishes named": f"{named} of {asked}",
    }


def goals(rows: list[dict], photos: Photos) -> list[dict]:
    """What a page that learns is to reach, each dish taught alone."""
    counts = [row[f"named after {PHOTOS} photos"].split(" of ") for row in rows]
    named = statistics.mean(int(right) / int(asked) for right, asked in counts)
    worse = max(row["ours right, before"] - row["and after"] for row in rows)
    ms = statistics.median(r["training, ms"] + r["leave one out, ms"] for r in rows)
    return [
        goal("taught", named),
        goal("taught_ours", worse, total=len(photos.ours)),
        goal("taught_time", ms, photos=PHOTOS),
    ]


def choose(files: Sequence[Path]) -> list[Path]:
    """Photos to learn from, always the same."""
    return random.Random(SEED).sample(sorted(files), min(PHOTOS, len(files)))


def open_taught(context: BrowserContext, url: str) -> Page:
    """Open the page, and wait until it knows what it was taught."""
    page = open_pocket(context.new_page(), url)
    page.wait_for_selector(LEARNED, timeout=READY_MS)
    return page


def ask_all(page: Page, files: Sequence[Path]) -> list[str]:
    """What the page names each photo."""
    said = []
    for start in range(0, len(files), BATCH):
        said += page.evaluate(ASK, encoded(files[start : start + BATCH]))
    return said


def same(page: Page, files: Sequence[Path], truth: str | Sequence[str]) -> int:
    """How many photos the page names rightly, which are all of one dish or each of."""
    names = [truth] * len(files) if isinstance(truth, str) else truth
    return sum(a == b for a, b in zip(ask_all(page, files), names, strict=True))


def encoded(files: Sequence[Path]) -> list[str]:
    """Files as a page can be given them."""
    return [base64.b64encode(Path(file).read_bytes()).decode() for file in files]


def teach(page: Page, name: str, files: Sequence[Path]) -> dict:
    """Teach a dish from photos.

    Returns:
        checked: right and asked, leaving one out; training and checking, in ms.
    """
    for photo in encoded(files):
        dish = call(page, "add", name=name, source=photo)
    clock = [time.perf_counter()]
    call(page, "train")
    clock.append(time.perf_counter())
    checked = call(page, "check", id=dish["id"])
    clock.append(time.perf_counter())
    training, checking = (1000 * (end - start) for start, end in pairwise(clock))
    return {"checked": checked, "training": training, "checking": checking}


def call(page: Page, name: str, /, **given: object) -> object:
    """Ask the page's teacher for something."""
    return page.evaluate(CALL, [name, given])
