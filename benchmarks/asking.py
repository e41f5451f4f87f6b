"""Ask a running app over plain HTTP: upload, call, read the answer."""

import json
import re

import requests

SECONDS = 60  # longest wait for a reply
QUEUE_IS_FULL = 503
ANSWER = re.compile(r"^event: complete\ndata: (.*)$", re.MULTILINE)


class Refused(RuntimeError):
    """The app's queue is full."""


def new_session() -> requests.Session:
    """A client's connection to an app on this machine, past any proxy."""
    session = requests.Session()
    session.trust_env = False
    return session


def ask(session: requests.Session, url: str, data: bytes) -> str:
    """Send a JPEG file to an app's /predict.

    Returns:
        The likeliest class.

    Raises:
        Refused: If the app's queue is full.
        RuntimeError: If the app answers with an error.
        requests.RequestException: If it cannot be reached.
    """
    api = f"{url}gradio_api"
    files = {"files": ("plate.jpg", data, "image/jpeg")}
    uploaded = session.post(f"{api}/upload", files=files, timeout=SECONDS)
    uploaded.raise_for_status()
    picture = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
    called = session.post(
        f"{api}/call/predict", json={"data": [picture]}, timeout=SECONDS
    )
    if called.status_code == QUEUE_IS_FULL:
        raise Refused
    called.raise_for_status()
    event = called.json()["event_id"]
    stream = session.get(f"{api}/call/predict/{event}", timeout=SECONDS)
    stream.raise_for_status()
    answer = ANSWER.search(stream.text)
    if not answer:
        raise RuntimeError(f"the app answered: {stream.text[:500]}")
    scores, _ = json.loads(answer[1])
    return scores["label"]
