"""Many visitors at once: everybody gets an answer, and nothing piles up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, cycle, islice

import psutil
import pytest
from browsing import PHONE, ask, lay_out, open_page, photo_of, upload_in
from demo_model_fixture import DARK, GREEN, RED

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

CLIENTS, REQUESTS, LONG_RUN = 50, 200, 2000
CROWD = "requests, 50 clients at once, every second one no picture"
ROW = "requests one after the other, memory flat"
MEGABYTES = 25  # that memory may grow by in the long run; Python keeps some to itself


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with run_demo(lay_out(tmp_path_factory.mktemp("load") / "demo")) as running:
        yield running


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Without end: what is sent, and the dish that must be named, or None."""
    folder = tmp_path_factory.mktemp("plates")
    dishes = {"pizza": RED, "steak": DARK, "sushi": GREEN}
    good = [
        (photo_of(colour, folder / f"{dish}.jpg").read_bytes(), dish)
        for dish, colour in dishes.items()
    ]
    half = good[0][0][: len(good[0][0]) // 2]
    bad = [(each, None) for each in (b"my shopping list", b"", half, b"%PDF-1.7")]
    return lambda: chain.from_iterable(zip(cycle(good), cycle(bad), strict=False))


def check(answer: tuple[dict, str], dish: str | None) -> None:
    scores, note = answer
    if dish is None:
        assert scores == {} and note.startswith("This picture did not work.\n")
    else:
        assert scores["label"] == dish and note.startswith(f"This looks like {dish}.\n")


@pytest.mark.reliability(CROWD, REQUESTS)
def test_fifty_clients_at_once_half_of_them_wrong(running, questions):
    start, asked = threading.Barrier(CLIENTS), list(islice(questions(), REQUESTS))

    def client(number: int) -> list:
        start.wait(60)
        own = asked[number::CLIENTS]
        return [(ask(running.url, content), dish) for content, dish in own]

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [pair for pairs in pool.map(client, range(CLIENTS)) for pair in pairs]
    assert len(answers) == REQUESTS
    for answer, dish in answers:
        check(answer, dish)


@pytest.mark.reliability(ROW, LONG_RUN)
def test_memory_stays_flat(running, questions):
    memory = psutil.Process(running.process.pid).memory_info
    early = None
    for number, (content, dish) in enumerate(islice(questions(), LONG_RUN)):
        check(ask(running.url, content), dish)
        if number == LONG_RUN // 4:
            early = memory().rss
    assert (memory().rss - early) / 1e6 < MEGABYTES


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
    with run_demo(folder) as running, ThreadPoolExecutor(3) as pool:
        page = open_page(browser, running.url, PHONE)
        waiting = []
        for number in (1, 2, 3):
            queued, how = threading.Event(), (running.url, plate.read_bytes())
            waiting.append(pool.submit(ask, *how, queued=queued))
            assert queued.wait(60)
            # Two are answered at a time; the third waits, and then the queue is full.
            end = time.monotonic() + 60
            while len(list(folder.glob("begun-*"))) < min(number, 2):
                assert time.monotonic() < end, "it was not begun"
                time.sleep(0.05)
        upload_in(page, plate)
        page.get_by_text("currently busy").wait_for()
        (folder / "go on").touch()
        for one in waiting:
            check(one.result(timeout=60), "pizza")
        page.get_by_label("Remove Image").click()
        upload_in(page, plate)
        page.get_by_text("This looks like pizza.").wait_for()
        page.close()
