"""Count answers a second: the FastAPI server beside the Gradio app, in turns.

Both are started as their users start them and answer from the same model file. The same
clients ask both, on the same machine, whose cores they share with them: each sends a
photo, waits for the answer and sends the next.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from deploy import DEFAULT_MODEL
from deploy.asking import TARGETS, Client, as_form, running
from going_modular.app_process import run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app

API = "/gradio_api"
FASTAPI = TARGETS["fastapi"]
Ask = Callable[[Client, bytes], object]


def ask_gradio(client: Client, photo: bytes) -> None:
    """Upload, call, read the answer: what Gradio's own clients do."""

    def send(*request: str | bytes) -> str:
        status, text = client.send(*request)
        if status != 200:
            raise RuntimeError(f"the Gradio app answered {status}: {text[:300]}")
        return text

    uploaded = json.loads(send("POST", f"{API}/upload", *as_form(photo, "files")))
    picture = {"path": uploaded[0], "meta": {"_type": "gradio.FileData"}}
    question, kind = json.dumps({"data": [picture]}), "application/json"
    called = json.loads(send("POST", f"{API}/call/predict", question, kind))
    text = send("GET", f"{API}/call/predict/{called['event_id']}")
    if "event: complete" not in text:
        raise RuntimeError(f"the Gradio app answered: {text[:300]}")


def rate(port: int, ask: Ask, photos: list[bytes], args: argparse.Namespace) -> float:
    """Let the clients ask for some seconds; return the answers a second."""
    start = time.perf_counter()

    def work(number: int) -> int:
        answers, own = 0, islice(cycle(photos), number, None)
        with Client(port) as client:
            while time.perf_counter() - start < args.seconds:
                ask(client, next(own))
                answers += 1
        return answers

    with ThreadPoolExecutor(args.clients) as pool:
        answers = sum(pool.map(work, range(args.clients)))
    return answers / (time.perf_counter() - start)


def compare(args: argparse.Namespace) -> dict[str, list[float]]:
    """Measure both in turns; the first turn of each is a warm-up and not counted."""
    rates = {"FastAPI": [], "the Gradio app": []}
    asks = (lambda client, photo: client.ask(FASTAPI, photo), ask_gradio)
    photos = [file.read_bytes() for file in args.photos]
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_app(APP, Path(scratch, "foodvision_mini"), TEXTS)
        (folder / DEFAULT_MODEL.name).write_bytes(DEFAULT_MODEL.read_bytes())
        with running(FASTAPI) as server, run_demo(folder) as app:
            ports = server.port, urlsplit(app.url).port
            ways = list(zip(rates, ports, asks, strict=True))
            for turn in range(args.rounds + 1):
                for name, port, ask in ways if turn % 2 else reversed(ways):
                    found = rate(port, ask, photos, args)
                    if turn:
                        rates[name].append(found)
    return rates


def main() -> None:
    """Read the command line, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+", help="JPEG files to send")
    parser.add_argument("--clients", type=int, default=8, help="default: 8")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=5, help="a turn; default: 5")
    args = parser.parse_args()
    rates = compare(args)
    print("|  | answers a second, median | range |\n| --- | ---: | ---: |")
    for name, found in rates.items():
        low, high = min(found), max(found)
        print(f"| {name} | {statistics.median(found):.0f} | {low:.0f} to {high:.0f} |")
    pairs = zip(*rates.values(), strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"\n{ratio:.1f} times as many, the median of {args.rounds} rounds.")


if __name__ == "__main__":
    main()
