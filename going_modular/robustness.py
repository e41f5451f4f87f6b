"""Send a running app what strangers send, and see what comes back."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import requests
from PIL import Image
from requests.adapters import HTTPAdapter

from going_modular.app.model import Predictor, open_picture, spoken
from going_modular.files import atomic_write

PATIENCE = 1.0  # seconds that an answer to the largest photo may take
CROWD, AT_ONCE = 90, 16  # visitors who come together, and how many speak at a time
TURNED = 0x0112, 6  # EXIF's orientation, and its value for "turn me clockwise"
EVENT = re.compile(r"^event: (\w+)\ndata: (.*)$", re.MULTILINE)
WAIT = 120  # seconds
WIDTH = 60  # characters of what came back


@dataclass(frozen=True)
class Reply:
    """What came back from an app.

    Attributes:
        words: What a visitor reads; empty where the app failed without a word.
        dish: The dish that it names, if any.
        scores: Probabilities by `spoken` class name; empty where there are none. An
            app may tell only the likeliest.
        seconds: From the question to the answer, the upload not counted.
    """

    words: str
    dish: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Visit:
    """Something that a stranger sends.

    Attributes:
        what: In words.
        should: What ought to come of it, in words.
        is_fine: Whether that is what came.
        file: A file to upload; None where a place is named instead.
        place: A path or web address, which is asked for without an upload.
        is_crowd: Whether many send the file at once.
    """

    what: str
    should: str
    is_fine: Callable[[Reply], bool]
    file: Path | None = None
    place: str = ""
    is_crowd: bool = False


def _is_refused(reply: Reply) -> bool:
    return reply.dish is None and bool(reply.words)


def make_cases(
    folder: Path, predictor: Predictor, *, plates: Sequence[Path], strangers: dict
) -> list[Visit]:
    """Put together what strangers send.

    Args:
        folder: Where the files go that are made for it.
        predictor: Says what a photo ought to get when it is turned as it should be.
        plates: Photos that the model names when they are upright. The one is sent
            sideways whose answer depends most on which way up it is.
        strangers: Files by what they show, none of which is one of our dishes.
    """
    folder = Path(folder)
    _write(folder / "empty.jpg", b"")
    _write(folder / "list.jpg", b"my shopping list: milk, eggs")
    sideways, is_upright = _sideways(folder, predictor, plates)
    huge = _save(
        folder / "huge.jpg",
        Image.fromarray(open_picture(plates[0])).resize((8000, 6000)),
    )
    a_sentence, no_dish = "a sentence that helps", "no name of a dish"
    return [
        Visit("an empty file", a_sentence, _is_refused, folder / "empty.jpg"),
        Visit("text named .jpg", a_sentence, _is_refused, folder / "list.jpg"),
        Visit("a sideways phone photo", "turned upright", is_upright, sideways),
        Visit(
            "48 megapixels",
            f"an answer within {PATIENCE:g} s",
            lambda reply: bool(reply.dish) and reply.seconds <= PATIENCE,
            huge,
        ),
        *(Visit(what, no_dish, _is_refused, file) for what, file in strangers.items()),
        Visit(
            "a path of the server",
            "nothing given away",
            lambda reply: reply.dish is None,
            place=str(Path(plates[0]).resolve()),
        ),
        Visit(
            "a web address to fetch",
            a_sentence,
            _is_refused,
            place="https://" + 64 * "x" + ".org/plate.jpg",  # too long to be looked up
        ),
        Visit(
            f"{CROWD} visitors at once",
            "the last are told to come back",
            lambda reply: "Queue is full" in reply.words,
            huge,
            is_crowd=True,
        ),
    ]


def _sideways(
    folder: Path, predictor: Predictor, plates: Sequence[Path]
) -> tuple[Path, Callable[[Reply], bool]]:
    """A photo that lies on its side and says so, and a check that it was turned."""
    best, most = None, -1.0
    for plate in plates:
        image = Image.fromarray(open_picture(plate))
        lying = np.asarray(image.transpose(Image.Transpose.ROTATE_90))
        upright, unturned = (
            _by_spoken_name(predictor.predict(pixels).probabilities.items())
            for pixels in (np.asarray(image), lying)
        )
        apart = _apart(upright, unturned)
        if apart > most:
            best, most = (image, upright, unturned), apart
    image, upright, unturned = best
    exif = Image.Exif()
    exif[TURNED[0]] = TURNED[1]
    lying = image.transpose(Image.Transpose.ROTATE_90)
    file = _save(folder / "sideways.jpg", lying, exif=exif)
    return (
        file,
        lambda reply: (
            bool(reply.scores)
            and _apart(reply.scores, upright) < _apart(reply.scores, unturned)
        ),
    )


def _apart(one: dict[str, float], other: dict[str, float]) -> float:
    """The largest difference, over the classes in the first."""
    return max(abs(share - other[name]) for name, share in one.items())


def _by_spoken_name(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {spoken(name): share for name, share in pairs}


def _save(file: Path, image: Image.Image, **more) -> Path:
    with atomic_write(file) as part:
        image.convert("RGB").save(part, format="JPEG", quality=90, **more)
    return file


def _write(file: Path, content: bytes) -> None:
    with atomic_write(file) as part:
        part.write_bytes(content)


def run_cases(url: str, visits: Sequence[Visit]) -> pd.DataFrame:
    """Make the visits to a running app, one after the other.

    Args:
        url: Where it answers.
        visits: From `make_cases`.

    Returns:
        A row a visit: who comes, whether what comes back is as it should be, with
        "yes" or "no" in it, what comes back, and what should.
    """
    rows = []
    with requests.Session() as session:
        session.trust_env = False  # no proxy reaches this computer's own ports
        session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
        for visit in visits:
            reply = _visit(session, f"{url}gradio_api", visit)
            fine = "🟢 yes" if visit.is_fine(reply) else "🔴 no"
            said = reply.words or "an error without a word"
            rows.append((visit.what, fine, _in_short(said, reply), visit.should))
    columns = ["who comes", "as it should", "what comes back", "what should"]
    return pd.DataFrame(rows, columns=columns).set_index("who comes")


def _in_short(said: str, reply: Reply) -> str:
    said = said if len(said) <= WIDTH else f"{said[: WIDTH - 3].rstrip()}..."
    return f"{said} ({reply.seconds:.1f} s)" if reply.seconds >= 0.5 else said


def _visit(session: requests.Session, api: str, visit: Visit) -> Reply:
    path = visit.place
    if visit.file:
        files = {"files": (visit.file.name, visit.file.read_bytes())}
        sent = session.post(f"{api}/upload", files=files, timeout=WAIT)
        if not sent.ok:
            return Reply(_detail(sent))
        path = sent.json()[0]
    question = {"path": path, "meta": {"_type": "gradio.FileData"}}
    if "://" in path:
        question["url"] = path
    if visit.is_crowd:
        return _crowd(session, api, question)
    start = time.perf_counter()
    called = session.post(
        f"{api}/call/predict", json={"data": [question]}, timeout=WAIT
    )
    if not called.ok:
        return Reply(_detail(called))
    event = f"{api}/call/predict/{called.json()['event_id']}"
    with session.get(event, timeout=WAIT) as reply:
        found = EVENT.findall(reply.text)
    return _read(*found[-1], seconds=time.perf_counter() - start)


def _read(event: str, data: str, *, seconds: float) -> Reply:
    """The last event of an answer: `complete` with outputs, or `error`."""
    told = json.loads(data)
    if event != "complete":
        return Reply((told or {}).get("error") or "", seconds=seconds)
    label, note = told[0] or {}, told[1] if len(told) > 1 else ""
    pairs = label.get("confidences") or []
    scores = _by_spoken_name((pair["label"], pair["confidence"]) for pair in pairs)
    name = label.get("label")
    if note and f"looks like {name}." not in note:  # scores are given all the same
        return Reply(" ".join(note.splitlines()[:2]), None, scores, seconds)
    if not scores:
        return Reply(name or "", seconds=seconds)
    return Reply(f"{name} {max(scores.values()):.0%}", name, scores, seconds)


def _crowd(session: requests.Session, api: str, question: dict) -> Reply:
    """Ask for many at once and wait for none: who is let in, and who is told what?"""

    def ask(_: int) -> str:
        called = session.post(
            f"{api}/call/predict", json={"data": [question]}, timeout=WAIT
        )
        return "" if called.ok else _detail(called).split(".")[0]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = Counter(pool.map(ask, range(CROWD)))
    waiting = f"{told.pop('', 0)} wait"
    return Reply("; ".join([waiting, *(f"{n}: {t}" for t, n in told.items())]))


def _detail(reply: requests.Response) -> str:
    try:
        return str(reply.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{reply.status_code} {reply.reason}"
