"""Many visitors at once: everybody gets an answer, and nothing piles up."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, cycle, islice

import psutil
import pytest
import requests
from browsing import PHONE, lay_out, open_page, photo_of
from demo_model_fixture import DARK, GREEN, RED

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

CLIENTS, REQUESTS, LONG_RUN = 50, 200, 2000
CROWD = "requests, 50 clients at once, every second one no picture"
ROW = "requests one after the other, memory flat"
ANSWER = re.compile(r"^event: complete\ndata: (.*)$", re.MULTILINE)
MEGABYTES = 25  # that memory may grow by in the long run; Python keeps some to itself


class Asker:
    """A client of the app that never looks at its page."""

    def __init__(self, url: str) -> None:
        self.api = f"{url}gradio_api"
        self.session = requests.Session()
        self.session.trust_env = False
        self.is_queued = threading.Event()

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *_) -> None:
        self.session.close()

    def ask(self, content: bytes, name: str = "plate.jpg") -> tuple[dict, str]:
        """Upload, call /predict, and read its two values."""
        sent = self.session.post(
            f"{self.api}/upload", files={"files": (name, content)}, timeout=120
        )
        sent.raise_for_status()
        picture = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
        called = self.session.post(
            f"{self.api}/call/predict", json={"data": [picture]}, timeout=120
        )
        called.raise_for_status()
        self.is_queued.set()
        event = f"{self.api}/call/predict/{called.json()['event_id']}"
        with self.session.get(event, timeout=120) as reply:
            found = ANSWER.search(reply.text)
        assert found, reply.text[:300]
        return tuple(json.loads(found[1]))


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with run_demo(lay_out(tmp_path_factory.mktemp("load") / "demo")) as running:
        yield running


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """What is sent, and the dish that must be named; None where none can be."""
    folder = tmp_path_factory.mktemp("plates")
    dishes = {"pizza": RED, "steak": DARK, "sushi": GREEN}
    good = [
        (photo_of(colour, folder / f"{dish}.jpg").read_bytes(), dish)
        for dish, colour in dishes.items()
    ]
    whole = good[0][0]
    bad = [
        (b"my shopping list: milk, eggs", None),
        (b"", None),
        (whole[: len(whole) // 2], None),
        (b"%PDF-1.7", None),
    ]
    return good, bad


def check(answer: tuple[dict, str], dish: str | None) -> None:
    scores, note = answer
    if dish is None:
        assert scores == {} and note.startswith("This picture did not work.\n")
    else:
        assert scores["label"] == dish and note.startswith(f"This looks like {dish}.\n")


@pytest.mark.reliability(CROWD, REQUESTS)
def test_fifty_clients_at_once_half_of_them_wrong(running, questions):
    good, bad = questions
    turns = chain.from_iterable(zip(cycle(good), cycle(bad), strict=False))
    both = list(islice(turns, REQUESTS))
    start = threading.Barrier(CLIENTS)

    def client(number: int) -> list:
        with Asker(running.url) as asker:
            start.wait(60)
            return [
                (asker.ask(content), dish) for content, dish in both[number::CLIENTS]
            ]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [pair for pairs in pool.map(client, range(CLIENTS)) for pair in pairs]
    assert len(answers) == REQUESTS
    for answer, dish in answers:
        check(answer, dish)


def resident_megabytes(pid: int) -> float:
    return psutil.Process(pid).memory_info().rss / 1e6


@pytest.mark.reliability(ROW, LONG_RUN)
def test_memory_stays_flat(running, questions):
    good, bad = questions
    everything = chain.from_iterable(zip(cycle(good), cycle(bad), strict=False))
    early = None
    with Asker(running.url) as asker:
        for number in range(LONG_RUN):
            content, dish = next(everything)
            check(asker.ask(content), dish)
            if number == LONG_RUN // 4:
                early = resident_megabytes(running.process.pid)
    assert resident_megabytes(running.process.pid) - early < MEGABYTES


HELD_UP = """
import time
from pathlib import Path
import model

def held_up(self, picture, answer=model.Predictor.predict):
    if not hasattr(picture, "shape"):  # a visitor's, not the warm-up's
        here = Path(__file__).parent
        (here / f"begun-{time.monotonic_ns()}").touch()
        while not (here / "go on").exists():
            time.sleep(0.05)
    return answer(self, picture)

model.Predictor.predict = held_up
"""


def test_a_full_queue_says_busy_and_works_again(browser, tmp_path):
    folder = lay_out(tmp_path / "demo")
    app = (folder / "app.py").read_text("utf-8").replace("max_size=64", "max_size=1")
    (folder / "app.py").write_text(HELD_UP + app, "utf-8")
    plate = photo_of(RED, tmp_path / "plate.jpg")
    with run_demo(folder) as running, ExitStack() as stack:
        page = open_page(browser, running.url, PHONE)
        pool = stack.enter_context(ThreadPoolExecutor(3))
        askers = [stack.enter_context(Asker(running.url)) for _ in range(3)]
        waiting = []
        for number, asker in enumerate(askers, start=1):
            waiting.append(pool.submit(asker.ask, plate.read_bytes()))
            assert asker.is_queued.wait(60)
            # Two are answered at a time; the third waits, and then the queue is full.
            end = time.monotonic() + 60
            while len(list(folder.glob("begun-*"))) < min(number, 2):
                assert time.monotonic() < end, "it was not begun"
                time.sleep(0.05)
        page.locator("#picture input[type=file]").first.set_input_files(plate)
        page.get_by_text("currently busy").wait_for()
        (folder / "go on").touch()
        for one in waiting:
            check(one.result(timeout=60), "pizza")
        page.get_by_label("Remove Image").click()
        page.locator("#picture input[type=file]").first.set_input_files(plate)
        page.get_by_text("This looks like pizza.").wait_for()
        page.close()
