"""Send a running app what strangers send, and see what comes back."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import requests
from PIL import Image
from PIL.ExifTags import Base
from requests.adapters import HTTPAdapter

from going_modular.app.model import Predictor, open_picture, spoken

PATIENCE, WAIT = 1.0, 120  # seconds: for the largest photo's answer; before giving up
CROWD, AT_ONCE = 90, 16  # visitors who come together, and how many speak at a time
EVENT = re.compile(r"^event: (\w+)\ndata: (.*)$", re.MULTILINE)
WIDTH = 60  # characters of what came back


@dataclass(frozen=True)
class Reply:
    """What came back from an app."""

    words: str  # what a visitor reads; empty where the app failed without a word
    dish: str | None = None  # that it names
    scores: dict[str, float] = field(default_factory=dict)  # by `spoken` class name
    seconds: float = 0.0  # from the question to the answer, the upload not counted


@dataclass(frozen=True)
class Case:
    """Something that a stranger sends: a file, a place, or nothing but the question."""

    what: str
    should: str  # what ought to come of it, in words
    passes: Callable[[Reply], bool]  # whether a reply is that
    file: Path | None = None
    place: str = ""  # a path or web address that is named in place of an upload
    is_crowd: bool = False  # whether many send the file at once


def is_refused(reply: Reply) -> bool:
    """Whether no dish is named, and a sentence says why."""
    return reply.dish is None and bool(reply.words)


def make_cases(
    folder: Path, predictor: Predictor, *, plates: list, strangers: dict[str, Path]
) -> list[Case]:
    """Put together what strangers send; files that are made for it go into a folder.

    Of `plates`, photos that the model names, the one is sent sideways whose answer
    depends most on which way up it is. `strangers` are files by what they show.
    """
    names = ("empty", "list", "huge", "sideways")
    empty, text, huge, sideways = (Path(folder) / f"{name}.jpg" for name in names)
    Path(folder).mkdir(parents=True, exist_ok=True)
    empty.write_bytes(b"")
    text.write_text("eggs", "utf-8")
    Image.fromarray(open_picture(plates[0])).resize((8000, 6000)).save(huge, quality=90)
    views = []  # of each: lying; the answers of an app that turns it, and does not
    for image in map(Image.fromarray, map(open_picture, plates)):
        lying = image.transpose(Image.Transpose.ROTATE_90)
        answers = [predictor.predict(np.asarray(view)) for view in (image, lying)]
        views.append((lying, *(_spoken(a.probabilities.items()) for a in answers)))
    lying, turned, unturned = max(views, key=lambda view: _apart(*view[1:]))
    exif = Image.Exif()
    exif[Base.Orientation] = 6  # it lies on its left side
    lying.save(sideways, quality=90, exif=exif)

    def is_upright(reply: Reply) -> bool:
        return _apart(reply.scores, turned) < _apart(reply.scores, unturned)

    path = str(Path(plates[0]).resolve())
    address = f"https://{64 * 'x'}.org/plate.jpg"  # too long a name to be looked up
    sentence, no_dish = "a sentence that helps", "no name of a dish"
    late, full = f"an answer within {PATIENCE:g} s", "the last are told to come back"
    hidden, crowd = "nothing given away", f"{CROWD} visitors at once"
    return [
        Case("an empty file", sentence, is_refused, empty),
        Case("text named .jpg", sentence, is_refused, text),
        Case("a sideways phone photo", "turned upright", is_upright, sideways),
        Case("48 megapixels", late, lambda r: r.dish and r.seconds <= PATIENCE, huge),
        *(Case(what, no_dish, is_refused, file) for what, file in strangers.items()),
        Case("a path of the server", hidden, lambda r: r.dish is None, place=path),
        Case("a web address to fetch", sentence, is_refused, place=address),
        Case(crowd, full, lambda r: "Queue is full" in r.words, huge, is_crowd=True),
    ]


def _spoken(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {spoken(name): score for name, score in pairs}


def _apart(some: Mapping[str, float], every: Mapping[str, float]) -> float:
    """The largest difference, over the names in the first: an app may not show all."""
    return max((abs(score - every[name]) for name, score in some.items()), default=0.0)


def run_cases(url: str, cases: Sequence[Case]) -> pd.DataFrame:
    """Send the cases to the app at `url`, one after the other: a row a case."""
    rows = []
    with requests.Session() as session:
        session.trust_env = False  # no proxy reaches this computer's own ports
        session.headers["Connection"] = "close"  # a busy app ends one that was kept
        session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
        for case in cases:
            reply = _send(session, f"{url}gradio_api", case)
            words = reply.words or "an error without a word"
            if len(words) > WIDTH:
                words = f"{words[: WIDTH - 3].rstrip()}..."
            if reply.dish is not None and reply.seconds >= 0.5:
                words += f" ({reply.seconds:.1f} s)"
            passed = "🟢 yes" if case.passes(reply) else "🔴 no"
            rows.append((case.what, passed, words, case.should))
    columns = ["who comes", "as it should", "what comes back", "what should"]
    return pd.DataFrame(rows, columns=columns).set_index("who comes")


def _send(session: requests.Session, api: str, case: Case) -> Reply:
    """Speak Gradio's protocol: its own client would upload a path that is named."""
    path = case.place
    if case.file:
        files = {"files": (case.file.name, case.file.read_bytes())}
        upload = session.post(f"{api}/upload", files=files, timeout=WAIT)
        if not upload.ok:
            return Reply(_complaint(upload))
        path = upload.json()[0]
    inputs = {"path": path, "meta": {"_type": "gradio.FileData"}} if path else None
    if "://" in path:
        inputs["url"] = path

    def ask(_: int = 0) -> requests.Response:
        call, question = f"{api}/call/predict", {"data": [inputs]}
        return session.post(call, json=question, timeout=WAIT)

    if case.is_crowd:  # all ask and none waits: who is let in, and who is told what?
        with ThreadPoolExecutor(AT_ONCE) as pool:
            calls = [*pool.map(ask, range(CROWD))]
        told = Counter(_complaint(c).split(".")[0] for c in calls if not c.ok)
        words = [f"{CROWD - told.total()} wait", *(f"{told[w]}: {w}" for w in told)]
        return Reply("; ".join(words))
    start = time.perf_counter()
    call = ask()
    if not call.ok:
        return Reply(_complaint(call))
    with session.get(f"{call.url}/{call.json()['event_id']}", timeout=WAIT) as response:
        event, data = EVENT.findall(response.text)[-1]
    return _read(event, json.loads(data), seconds=time.perf_counter() - start)


def _complaint(response: requests.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code} {response.reason}"


def _read(event: str, content: list | dict | None, *, seconds: float) -> Reply:
    if event != "complete":
        return Reply((content or {}).get("error") or "", seconds=seconds)
    label, note = content[0] or {}, content[1] if len(content) > 1 else ""
    pairs = label.get("confidences") or []
    scores = _spoken((pair["label"], pair["confidence"]) for pair in pairs)
    name = label.get("label")
    if note and f"looks like {name}." not in note:  # scores are given all the same
        return Reply(" ".join(note.splitlines()[:2]), None, scores, seconds)
    if not scores:
        return Reply(name or "", seconds=seconds)
    return Reply(f"{name} {max(scores.values()):.0%}", name, scores, seconds)
