"""A demo folder with a stand-in model, and who visits it: programs and browsers."""

import json
import re
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit

from demo_model_fixture import DARK, DEMO, GREEN, RED, make_model
from PIL import Image

from going_modular.demo_folder import TEXTS, copy_app

DESKTOP, PHONE = (1280, 800), (390, 844)
API = "/gradio_api"
ANSWER = re.compile(r"^event: complete\ndata: (.*)$", re.MULTILINE)


def lay_out(folder: Path, **changes: str) -> Path:
    """Copy the demo to `folder`, with a stand-in model."""
    copy_app(DEMO, folder, TEXTS)
    make_model(folder / "foodvision_mini.onnx", **changes)
    (folder / "examples").mkdir()
    for name, colour in (("1", RED), ("2", DARK), ("3", GREEN)):
        photo_of(colour, folder / "examples" / f"{name}.jpg")
    return folder


def photo_of(colour: tuple[int, int, int], file: Path) -> Path:
    Image.new("RGB", (80, 60), colour).save(file)
    return file


def open_page(browser, url: str, size: tuple[int, int] = DESKTOP):
    """Open the app in a new tab, which notes the hosts that it asks and its crashes."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.hosts, page.crashes = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: page.crashes.append(str(error)))
    page.on("filechooser", lambda _: None)  # a key is faster than a late listener
    page.goto(url)
    page.get_by_text("What is on your plate?").first.wait_for()
    return page


def upload_in(page, file: Path) -> None:
    page.locator("#picture input[type=file]").first.set_input_files(file)


def send(url, method, path, body=None, kind="application/json") -> tuple[int, str]:
    """One request as it stands: nothing tidies the path on the way."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=120)
    connection.request(method, path, body, {"Content-Type": kind})
    reply = connection.getresponse()
    try:
        text = reply.read()
    except IncompleteRead as error:  # the app broke off
        text = error.partial
    connection.close()
    return reply.status, text.decode(errors="replace")


def upload(url: str, content: bytes, name: str = "plate.jpg") -> tuple[int, str]:
    """Send a file: the status, and the JSON that names its place."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"'
    body = head.encode() + b"\r\n\r\n" + content + b"\r\n--x--\r\n"
    return send(url, "POST", f"{API}/upload", body, "multipart/form-data; boundary=x")


def call(url: str, payload: object) -> str:
    """Ask /predict about a payload; returns the path of its events, or a complaint."""
    body = json.dumps({"data": [payload]})
    status, text = send(url, "POST", path := f"{API}/call/predict", body)
    return f"{path}/{json.loads(text)['event_id']}" if status == 200 else text


def ask(url: str, content: bytes, name: str = "plate.jpg", queued=None) -> tuple:
    """Upload a picture, call /predict (now an event is `queued`), read its values."""
    status, text = upload(url, content, name)
    assert status == 200, text
    picture = {"path": json.loads(text)[0], "meta": {"_type": "gradio.FileData"}}
    events = call(url, picture)
    if queued:
        queued.set()
    _, text = send(url, "GET", events)
    assert (found := ANSWER.search(text)), text[:300]
    return tuple(json.loads(found[1]))
