"""Teach FoodVision Pocket real dishes in Chromium, and count what it names afterwards.

    python -m benchmarks.teaching

Needs real photos: FOODVISION_DATA for our three dishes, and FOODVISION_BIG for others,
a tree in Food-101's format. Takes some minutes on two cores; writes teaching.md.
"""

import argparse
import base64
import json
import os
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, StrictUndefined
from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.browser import chromium, open_pocket
from benchmarks.plan import ROOT, SEED, progress
from benchmarks.report import Goal
from going_modular.big.food101 import choose_photos, find_tree
from going_modular.data_setup import find_pictures
from going_modular.datasets import make_datasets
from going_modular.files import atomic_write
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import write_pocket

MODEL = ROOT / "models" / "foodvision_mini.onnx"
RESULTS = ROOT / "benchmarks" / "teaching.md"
PAGE = Path(__file__).with_name("teaching.md.j2")
PHOTOS = 20  # that a dish is taught from
LEARNED = "body[data-model=ready] #taught:not([hidden])"
BATCH = 25  # photos that go to the page together
GOAL_NAMED, GOAL_WORSE, GOAL_MS = 0.65, 2, 1000
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
TEACH = """async ([name, files]) => {
    const { teach } = await import("./worker-client.js");
    const begun = performance.now();
    let id;
    for (const base64 of files) {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
        ({ id } = await teach("add", { name, source: new Blob([bytes]) }));
    }
    const looked = performance.now();
    await teach("train");
    const trained = performance.now();
    const checked = await teach("check", { id });
    const ended = performance.now();
    return {
        checked,
        looking: looked - begun,
        training: trained - looked,
        checking: ended - trained,
    };
}"""
CALL = """async ([name, given]) => {
    const { teach } = await import("./worker-client.js");
    if (given.file) given.file = new Blob([given.file]);
    return await teach(name, given);
}"""


def encoded(files: Sequence[Path]) -> list[str]:
    """Files as a page can be given them."""
    return [base64.b64encode(Path(file).read_bytes()).decode() for file in files]


def ask_all(page: Page, files: Sequence[Path]) -> list[str]:
    """What the page names each photo."""
    said = []
    for start in range(0, len(files), BATCH):
        said += page.evaluate(ASK, encoded(files[start : start + BATCH]))
    return said


def teach(page: Page, name: str, files: Sequence[Path]) -> dict:
    """Teach a dish from photos.

    Returns:
        checked: right and asked, leaving one out; milliseconds of looking, training and
        checking.
    """
    return page.evaluate(TEACH, [name, encoded(files)])


def call(page: Page, name: str, **given: object) -> object:
    """Ask the page's teacher for something."""
    return page.evaluate(CALL, [name, given])


def open_taught(context: BrowserContext, url: str) -> Page:
    """Open the page, and wait until it knows what it was taught."""
    page = open_pocket(context.new_page(), url)
    page.wait_for_selector(LEARNED, timeout=120_000)
    return page


def moved(text: str) -> str:
    """A file of taught dishes as if another model had made it."""
    return json.dumps(json.loads(text) | {"model": "another"})


@dataclass
class Taught:
    """One dish, taught alone. Counts are of its test photos, or of ours.

    Attributes:
        before: What its photos were called.
        named: How many were named rightly afterwards; later, after a reload without
            network; in a fresh profile from the file; by another model that looked at
            the file's small pictures.
        our_total: How many test photos of ours were asked about.
        ours: How many of those were named rightly, before and afterwards.
        times: Milliseconds of looking, training and checking.
        checked: What leaving one out said: right, asked.
        kilobytes: Of the file, without and with small pictures.
    """

    dish: str
    total: int
    before: Counter
    named: dict[str, int] = field(default_factory=dict)
    our_total: int = 0
    ours: list[int] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    checked: list[int] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)


@dataclass
class Photos:
    """Photos by dish, to learn from and to ask about; and ours to ask about."""

    train: dict[str, list[Path]]
    test: dict[str, list[Path]]
    ours: list[tuple[Path, str]]


def find_photos() -> Photos:
    """The photos that the environment names."""
    pictures = find_pictures(ROOT / "data")
    tree = find_tree(os.environ.get("FOODVISION_BIG", ""), ROOT / "data")
    if pictures.is_practice:
        raise SystemExit("This is measured on real photos: set FOODVISION_DATA.")
    test = make_datasets(pictures.folder, None)[1]
    ours = [(Path(file), test.classes[label]) for file, label in test.samples]
    part = choose_photos(tree, share=1.0)
    halves = []
    for half in (part.train, part.test):
        by_dish: dict[str, list[Path]] = {}
        for file, label in half:
            name = part.class_names[label].replace("_", " ")
            if name not in test.classes:
                by_dish.setdefault(name, []).append(Path(file))
        halves.append(by_dish)
    return Photos(*halves, ours)


def ours_right(page: Page, photos: Photos) -> int:
    """How many of our test photos are named rightly."""
    said = ask_all(page, [file for file, _ in photos.ours])
    truth = [name for _, name in photos.ours]
    return sum(one == other for one, other in zip(said, truth, strict=True))


@contextmanager
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor who has never been here."""
    context = browser.new_context()
    yield context
    context.close()


def teach_alone(browser: Browser, url: str, photos: Photos, dish: str) -> Taught:
    """Teach one dish, and follow it to a reload and to other profiles."""
    test, chosen = photos.test[dish], choose(photos.train[dish])
    with profile(browser) as context:
        page = open_taught(context, url)
        before = Counter(ask_all(page, test))
        taught = Taught(dish, len(test), before, our_total=len(photos.ours))
        taught.ours.append(ours_right(page, photos))
        measured = teach(page, dish, chosen)
        taught.checked = [measured["checked"]["right"], measured["checked"]["asked"]]
        taught.times = {n: measured[n] for n in ("looking", "training", "checking")}
        taught.named["taught"] = ask_all(page, test).count(dish)
        taught.ours.append(ours_right(page, photos))
        files = [call(page, "save", withPictures=small) for small in (False, True)]
        taught.kilobytes = [len(text) / 1000 for text in files]
        page.locator("#offline").wait_for(timeout=120_000)
        context.set_offline(True)
        page.close()
        again = open_taught(context, url)
        taught.named["reloaded"] = ask_all(again, test).count(dish)
    for where, text in (("carried", files[0]), ("looked again", moved(files[1]))):
        with profile(browser) as context:
            page = open_taught(context, url)
            call(page, "read", file=text)
            taught.named[where] = ask_all(page, test).count(dish)
    return taught


def choose(files: Sequence[Path], count: int = PHOTOS) -> list[Path]:
    """Photos to learn from, always the same."""
    return random.Random(SEED).sample(sorted(files), count)


@dataclass
class Fifth:
    """A dish that was not taught, while the others were: what it was called."""

    dish: str
    total: int
    before: Counter
    after: Counter
    others_named: dict[str, list[int]]  # how many of each taught dish's, of how many

    @property
    def mistaken(self) -> int:
        """How many were called one of the taught dishes."""
        return sum(self.after[name] for name in self.others_named)

    @property
    def named(self) -> list[int]:
        """How many of all the taught dishes' test photos were named, of how many."""
        return [sum(counts) for counts in zip(*self.others_named.values(), strict=True)]

    def away(self, said: Counter) -> int:
        """How many were called no dish that the page knows."""
        return said[ANOTHER] + said[NO_PLATE]


def teach_others(browser: Browser, url: str, photos: Photos, dish: str) -> Fifth:
    """Teach all dishes but one, and ask about that one."""
    with profile(browser) as context:
        page = open_taught(context, url)
        before = Counter(ask_all(page, photos.test[dish]))
        others = [name for name in photos.test if name != dish]
        for other in others:
            teach(page, other, choose(photos.train[other]))
        said = {other: ask_all(page, photos.test[other]) for other in others}
        named = {other: [each.count(other), len(each)] for other, each in said.items()}
        after = Counter(ask_all(page, photos.test[dish]))
    return Fifth(dish, len(photos.test[dish]), before, after, named)


def write_page(alone: Sequence[Taught], fifth: Sequence[Fifth], version: str) -> str:
    """The page of results."""
    share = statistics.mean(one.named["taught"] / one.total for one in alone)
    worse = max(one.ours[0] - one.ours[1] for one in alone)
    beyond = statistics.median(
        one.times["training"] + one.times["checking"] for one in alone
    )
    named = f"at least {GOAL_NAMED:.0%} of a taught dish's other photos named (mean)"
    ours = f"ours at most {GOAL_WORSE} worse, each dish taught alone"
    soon = f"{PHOTOS} photos learned and checked in under {GOAL_MS} ms, looking aside"
    most = f"at most {worse} of {alone[0].our_total}"
    goals = [
        Goal(named, f"{share:.0%}", share >= GOAL_NAMED),
        Goal(ours, most, worse <= GOAL_WORSE),
        Goal(soon, f"{beyond:.0f} ms (median)", beyond < GOAL_MS),
    ]
    jinja = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return jinja.from_string(PAGE.read_text("utf-8")).render(
        alone=alone,
        fifth=fifth,
        goals=goals,
        photos=PHOTOS,
        version=version,
        another=ANOTHER,
        no_plate=NO_PLATE,
        today=f"{datetime.now(UTC):%d %B %Y}",
    )


def main() -> None:
    """Measure, print the page and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the page goes")
    out = parser.parse_args().out
    photos = find_photos()
    with TemporaryDirectory() as folder, chromium() as browser:
        site = write_pocket(MODEL, Path(folder) / "site")
        with serve_folder(site, isolated=False) as served:
            alone, fifth = [], []
            for dish in photos.test:
                progress(f"teaching {dish}, then the others")
                alone.append(teach_alone(browser, served.url, photos, dish))
                fifth.append(teach_others(browser, served.url, photos, dish))
        text = write_page(alone, fifth, browser.version.partition(".")[0])
    with atomic_write(out) as part:
        part.write_text(text, "utf-8")
    print(f"\n{text}\nWritten to {out}")


if __name__ == "__main__":
    main()
