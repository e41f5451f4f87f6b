"""The lesson's two commands put the browser demo on a static Space: a Hub on this disk.

The Hub here answers as the real one does to a free account: a Gradio Space costs money,
a static one does not, and large files arrive apart from the others.
"""

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from demo_model_fixture import make_model
from pocket_site import write_site

from going_modular.demo_folder import folder_files, upload_plan

ROOT = Path(__file__).resolve().parents[1]
HF = Path(sys.executable).with_name("hf")
SPACE = "me/foodvision_pocket"


class Hub(BaseHTTPRequestHandler):
    """What creating a Space and uploading a folder ask of the Hub, and no more."""

    protocol_version = "HTTP/1.1"

    def reply(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def do_GET(self):
        known = self.path.split("?")[0] == f"/api/spaces/{SPACE}" and self.server.sdk
        self.reply(200, {"id": SPACE}) if known else self.reply(404, {})

    def do_PUT(self):
        self.server.large[self.path.rsplit("/", 1)[1]] = self.body()
        self.reply(200, {})

    def do_POST(self):
        body = self.body()
        if self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path.endswith("/preupload/main"):
            plan = self.server.plan
            modes = {path: "lfs" if plan[path] == "LFS" else "regular" for path in plan}
            asked = [file["path"] for file in json.loads(body)["files"]]
            files = [
                {"path": path, "uploadMode": modes[path], "shouldIgnore": False}
                for path in asked
            ]
            self.reply(200, {"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self.reply(200, {"transfer": "basic", "objects": self.places(body)})
        elif self.path.endswith("/commit/main"):
            self.commit([json.loads(line) for line in body.splitlines()])
        else:
            self.reply(200, {})

    def create(self, asked: dict) -> None:
        if asked["sdk"] != "static":
            return self.reply(402, {"error": "This kind of Space needs PRO"})
        self.server.sdk = asked["sdk"]
        return self.reply(200, {"url": f"{self.server.url}/spaces/{SPACE}"})

    def places(self, body: bytes) -> list[dict]:
        return [
            {
                **known,
                "actions": {"upload": {"href": f"{self.server.url}/{known['oid']}"}},
            }
            for known in json.loads(body)["objects"]
        ]

    def commit(self, lines: list[dict]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.large[value["oid"]]
        self.reply(
            200,
            {
                "success": True,
                "commitUrl": f"{self.server.url}/spaces/{SPACE}/commit/{'0' * 40}",
                "commitOid": "0" * 40,
            },
        )

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.sdk, server.files, server.large = None, {}, {}
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def commands() -> list[list[str]]:
    """The two commands, word for word, of the companion that makes the page."""
    cells = nbformat.read(ROOT / "companions" / "4_in_the_browser.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    lines = re.findall(r"^\.venv/bin/hf (.*foodvision_pocket.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_two_commands_fill_a_static_space(hub, tmp_path):
    folder = tmp_path / "build" / "pocket"
    folder.parent.mkdir()
    write_site(folder, make_model(tmp_path / "m.onnx"), {"red": (200, 30, 30)})
    hub.plan = {planned.path: planned.storage for planned in upload_plan(folder)}
    env = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "hf_not_a_token",
        "HF_HUB_DISABLE_XET": "1",  # a way of storing that this Hub does not speak
        "NO_PROXY": "127.0.0.1",
    }
    given = commands()
    assert len(given) == 2
    for words in given:
        words = [word.replace("USER", "me") for word in words]
        done = subprocess.run(
            [HF, *words], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert hub.sdk == "static"
    assert sorted(hub.files) == folder_files(folder)
    for name, content in hub.files.items():
        assert content == (folder / name).read_bytes(), name
    model = (folder / "foodvision_mini.onnx").read_bytes()
    assert hub.large[hashlib.sha256(model).hexdigest()] == model
