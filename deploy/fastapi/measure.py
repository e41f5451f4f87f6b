"""Count answers a second: the FastAPI server beside the Gradio app, in turns."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from deploy import DEFAULT_MODEL
from deploy.spaces.try_it import app_running
from deploy.try_it import TARGETS, Client, running

CLIENTS, FASTAPI = 8, TARGETS["fastapi"]
CALL = "/gradio_api/call/predict"
HEAD = "|  | answers a second, median | range |\n| --- | ---: | ---: |"


def ask_gradio(client: Client, photo: bytes) -> None:
    """Upload, call, read the answer: what Gradio's own clients do."""
    form, kind = FASTAPI.pack(photo)
    form = form.replace(b'name="picture"', b'name="files"', 1)
    (path,) = json.loads(client.send("POST", "/gradio_api/upload", form, kind)[1])
    question = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
    question = json.dumps(question), "application/json"
    event = json.loads(client.send("POST", CALL, *question)[1])["event_id"]
    if "event: complete" not in (text := client.send("GET", f"{CALL}/{event}")[1]):
        raise RuntimeError(f"the Gradio app answered: {text[:300]}")


def rate(port: int, ask: Callable, photos: list[bytes], seconds: float) -> float:
    """Let the clients ask for some seconds; return the answers a second."""
    start = time.perf_counter()

    def work(number: int) -> int:
        answers, own = 0, islice(cycle(photos), number, None)
        with Client(port) as client:
            while time.perf_counter() - start < seconds:
                ask(client, next(own))
                answers += 1
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = sum(pool.map(work, range(CLIENTS)))
    return answers / (time.perf_counter() - start)


def measure(files: list[Path], *, rounds: int = 5, seconds: float = 5) -> str:
    """Measure both in turns, with JPEG files; the first turn of each is a warm-up."""
    how, fastapi, gradio = ([file.read_bytes() for file in files], seconds), [], []
    with running(FASTAPI) as server, app_running(DEFAULT_MODEL) as app:
        port = urlsplit(app.url).port
        for _ in range(rounds + 1):
            fastapi.append(rate(server.port, lambda c, p: c.ask(FASTAPI, p), *how))
            gradio.append(rate(port, ask_gradio, *how))
    lines, ratios = [HEAD], [a / b for a, b in zip(fastapi, gradio, strict=True)][1:]
    for name, (_, *rates) in {"FastAPI": fastapi, "the Gradio app": gradio}.items():
        middle, ends = statistics.median(rates), f"{min(rates):.0f} to {max(rates):.0f}"
        lines.append(f"| {name} | {middle:.0f} | {ends} |")
    times = f"{statistics.median(ratios):.1f} times as many, the median of {rounds}"
    return "\n".join([*lines, f"\n{times} rounds."])


if __name__ == "__main__":
    print(measure([Path(name) for name in sys.argv[1:]]))
