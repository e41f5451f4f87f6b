"""What the tests of the browser demo share: its folder, pictures to show it, a tab."""

import json
import tomllib
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW, make_model
from drawn_images import as_bytes, drawn_image
from PIL import Image

from benchmarks.browser import READY, READY_MS
from going_modular.app.model import Answer
from going_modular.drawn import CLASS_NAMES
from going_modular.files import FileError
from pocket.runtimes import LITE_RT, ORT_WEB, Package, vendor
from pocket.server import serve_folder
from pocket.site import write_pocket

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
REFUSED = json.loads(Path(__file__).with_name("refused_files.json").read_text("utf-8"))
CASES = tomllib.loads(Path(__file__).with_name("pocket_cases.toml").read_text("utf-8"))
EXAMPLES = [RED, BLUE, GREEN, YELLOW, DARK]  # pictures to try, in the page's order
SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"
AXE = Package("axe-core", {"axe.min.js": "axe.min.js"})
GRAVE = """axe.run().then(({ violations }) => violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => [id, nodes.map(({ target }) => target)]))"""
# What an event brings: of each file its name, type and bytes.
HAND_OVER = """([event, files]) => {
    const data = new DataTransfer();
    for (const [name, type, bytes] of files) {
        data.items.add(new File([new Uint8Array(bytes)], name, { type }));
    }
    if (event === "change") file.files = data.files;
    const kind = { change: Event, drop: DragEvent, paste: ClipboardEvent }[event];
    const how = { clipboardData: data, dataTransfer: data, cancelable: true };
    (event === "change" ? file : self).dispatchEvent(new kind(event, how));
}"""


@pytest.fixture(scope="session")
def stand_in_site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("pocket") / "site")


@pytest.fixture(scope="session")
def committed_site(tmp_path_factory):
    need_runtime()
    return write_pocket(COMMITTED, tmp_path_factory.mktemp("pocket") / "site")


@pytest.fixture(scope="module")
def url(request):
    """Where the site is served that a test file's SITE names, or the stand-in's."""
    site = request.getfixturevalue(getattr(request.module, "SITE", "stand_in_site"))
    with serve_folder(site) as served:
        yield served.url


@pytest.fixture(scope="session")
def committed_url(committed_site):
    with serve_folder(committed_site) as served:
        yield served.url


class Pocket:
    """The demo in a new tab, and what visitors do there; else Playwright's page."""

    def __init__(self, context, url: str, *, until: str = READY):
        """Open it, list its complaints, and wait for a selector."""
        self.tab, self.complaints = context.new_page(), []
        bad, complain = ("warning", "error"), self.complaints.append
        self.on("console", lambda line: line.type in bad and complain(line.text))
        self.on("filechooser", lambda _: None)  # a key is faster than a late listener
        self.goto(url)
        if until:
            self.wait_for_selector(until, timeout=READY_MS)

    def __getattr__(self, name: str):
        return getattr(self.tab, name)

    def choose(self, content, *texts: str, name="plate.jpg", kind="image/jpeg"):
        """Choose a file, bytes, and wait for what the answer says."""
        file = {"name": name, "mimeType": kind, "buffer": content}
        self.set_input_files("#file", file)
        self.expect(*texts)

    def try_example(self, number: int, *texts: str) -> None:
        self.get_by_role("button", name=f"Example picture {number}").click()
        self.expect(*texts)

    def start_camera(self) -> None:
        self.get_by_role("button", name="Start camera").click()
        self.wait_for_selector("#stage[data-state=live]")

    def expect(self, *texts: str) -> None:
        self.see(*texts, where="#answer")

    def see(self, *texts: str, where: str = "body", timeout: float = 30_000) -> None:
        for text in texts:
            self.locator(where).get_by_text(text).first.wait_for(timeout=timeout)

    def bars(self) -> list[str]:
        return self.locator("#bars .name").all_text_contents()

    def status(self) -> str:
        """What a screen reader said last."""
        return self.locator("#say").text_content()


@contextmanager
def visitor(browser, url: str):
    """Somebody with a phone and its camera, who has never been at `url`."""
    crashes = []
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        context.on("weberror", lambda crash: crashes.append(str(crash.error)))
        context.grant_permissions(["camera"], origin=url.rstrip("/"))
        yield context
    assert not crashes, crashes


@pytest.fixture
def context(browser, url):
    with visitor(browser, url) as context:
        yield context


@pytest.fixture
def page(context, url, request):
    """The demo at `url`, with what a test file's UNTIL finds; it must not complain."""
    page = Pocket(context, url, until=getattr(request.module, "UNTIL", READY))
    yield page
    assert not page.complaints, page.complaints


@cache
def need_runtime() -> Path:
    """Fetch what the page runs on, once, or skip the test; returns axe's folder."""
    try:
        for engine in (LITE_RT, ORT_WEB):
            engine.fetch()
        return vendor((AXE,), ROOT / "build" / "axe")
    except FileError as error:
        pytest.skip(f"needs packages from npm: {error}")


def write_site(folder: Path, **about: str) -> Path:
    need_runtime()
    examples = [folder.with_name(f"{number}.png") for number in range(len(EXAMPLES))]
    for example, colour in zip(examples, EXAMPLES, strict=True):
        example.write_bytes(plate(colour, "PNG"))
    model = make_model(folder.with_name("stand_in.onnx"), **about)
    return write_pocket(model, folder, examples=examples)


def plate(colour=RED, kind="JPEG", size=(80, 60)) -> bytes:
    return as_bytes(Image.new("RGB", size, colour), kind)


def drawn_jpeg(name: str, number: int, size: tuple[int, int] | None = None) -> bytes:
    return as_bytes(drawn_image(name, number, size), "JPEG", quality=88)


def add_code(context, name: str, *, before: str = "", after: str = "") -> None:
    """Have a script of the page come with other code around it."""

    def answer(route):
        reply = route.fetch()
        route.fulfill(response=reply, body=f"{before}{reply.text()}{after}")

    context.route(f"**/{name}", answer)


def assert_agree(theirs: dict, ours: Answer, apart: float) -> None:
    """Compare a page's answer with Python's; probabilities may be `apart`."""
    score = ours.in_distribution_score  # in standard deviations: rounding shows more
    probabilities = [ours.probabilities[name] for name in CLASS_NAMES]
    assert theirs["probabilities"] == pytest.approx(probabilities, abs=apart)
    assert theirs["knn_similarity"] == pytest.approx(ours.knn_similarity, abs=0.02)
    assert theirs["in_distribution_score"] == pytest.approx(score, abs=0.1)


def grave_complaints(page) -> list[tuple]:
    """What axe finds grave, narrow and dark, wide and light; nothing may scroll."""
    page.evaluate((need_runtime() / "axe.min.js").read_text("utf-8"))
    found = []
    for width, scheme in ((360, "dark"), (1440, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found += [(width, scheme, *rule) for rule in page.evaluate(GRAVE)]
        assert not page.evaluate(SIDEWAYS), (width, scheme)
    return found


def _made(value, there=None):
    """A value; or so many times a text, or what is there."""
    if not isinstance(value, dict) or "times" not in value:
        return value
    return (value.get("of", there) * value["times"])[: value["times"]]


def refused_files(good: str) -> dict[str, tuple[bytes, str]]:
    """What is no such file, and a good one damaged, each with what is said of it."""
    others, damages = REFUSED.values()
    refused = {w: (_made(c).encode("latin"), why) for w, (c, why) in others.items()}
    for what, (path, value) in damages.items():
        content = place = json.loads(good)
        *way, last = path.split(".")
        for key in way:
            place = place[int(key) if key.isdigit() else key]
        place[last] = _made(value, place.get(last))
        if value is None:
            del place[last]
        refused[what] = (json.dumps(content).encode(), "damaged")
    return refused
