"""Uploading to a Hub on this machine, and what its refusals are turned into."""

import json
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import HfApi, close_session
from huggingface_hub.utils import filter_repo_objects
from small_demo import FILES, TOKEN

from going_modular import spaces
from going_modular.demo_folder import DeployError
from going_modular.spaces import upload_to_space


class FakeHub(BaseHTTPRequestHandler):
    """Answers "create this Space" with a status, and knows no Space."""

    def reply(self, status: int, content: dict):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        asked = json.loads(self.rfile.read(size))
        self.server.asked.append((self.path, asked, self.headers["Authorization"]))
        said = {"error": "what the Hub says"}
        if self.server.status in (200, 409):
            said["url"] = "https://huggingface.co/spaces/me/mini"
        self.reply(self.server.status, said)

    def do_GET(self):
        self.reply(404, {"error": "no such Space"})

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    """A Hub on this machine; uploads are noted down instead of sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.asked, server.uploads, server.status = [], [], 200

    class Api(HfApi):
        def upload_folder(self, **options):
            server.uploads.append(options)

    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()  # the Hub's client remembers its proxies
    monkeypatch.setattr(spaces, "HfApi", partial(Api, endpoint=address))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_upload_creates_the_space_and_sends_the_folder(hub, demo, capfd):
    url = upload_to_space(demo, "me/mini", token=f" {TOKEN}\n")
    assert url.endswith("/spaces/me/mini")
    [(path, asked, header)] = hub.asked
    assert path == "/api/repos/create"
    wanted = {"name": "mini", "organization": "me", "type": "space", "sdk": "gradio"}
    assert asked == wanted
    assert header == f"Bearer {TOKEN}"
    [sent] = hub.uploads
    assert (sent["repo_id"], sent["repo_type"]) == ("me/mini", "space")
    assert sent["folder_path"] == demo
    everything = [p.relative_to(demo).as_posix() for p in demo.rglob("*")]
    kept = filter_repo_objects(everything, ignore_patterns=sent["ignore_patterns"])
    assert sorted(name for name in kept if (demo / name).is_file()) == FILES
    printed = "".join(capfd.readouterr())
    assert "6 files" in printed and TOKEN not in printed


def test_upload_of_another_kind(hub, demo):
    (demo / "README.md").write_text("---\nsdk: static\n---\n")
    upload_to_space(demo, "me/pocket", token=TOKEN, sdk="static")
    assert hub.asked[0][1]["sdk"] == "static"
    assert "hardware" not in hub.asked[0][1]
    (demo / "README.md").write_text("---\ntitle: x\nsdk: gradio\n---\n")
    upload_to_space(demo, "me/mini", token=TOKEN, hardware="zero-a10g")
    assert hub.asked[1][1]["hardware"] == "zero-a10g"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (402, ["PRO", "ZeroGPU", "static Space", "free"]),
        (401, ["token", "settings/tokens"]),
        (403, ["write access", "user name"]),
        (500, ["500", "try again"]),
    ],
)
def test_refusals_are_explained(hub, demo, status, words, capfd):
    hub.status = status
    with pytest.raises(DeployError) as caught:
        upload_to_space(demo, "me/mini", token=TOKEN)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "what the Hub says" in message
    assert not hub.uploads
    assert TOKEN not in message + "".join(capfd.readouterr())


def test_an_existing_space_is_updated(hub, demo):
    hub.status = 409
    url = upload_to_space(demo, "me/mini", token=TOKEN)
    assert url.endswith("/spaces/me/mini")
    assert len(hub.uploads) == 1


def test_no_hub_in_reach(demo, monkeypatch):
    with socket.socket() as taken:  # bound, so free of others, and not listening
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(spaces, "HfApi", partial(HfApi, endpoint=address))
        with pytest.raises(DeployError, match="could not be reached"):
            upload_to_space(demo, "me/mini", token=TOKEN)


def test_no_message_quotes_the_token(hub, demo, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError(f"bad header b'Bearer {TOKEN}'")

    monkeypatch.setattr(spaces, "_upload", fail)
    with pytest.raises(DeployError) as caught:
        upload_to_space(demo, "me/mini", token=TOKEN)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": None}, "token is empty"),
        ({"token": "hf_a b"}, "holds characters"),
        ({"space_name": "mini"}, "user/space"),
        ({"space_name": "https://huggingface.co/spaces/me/mini"}, "user/space"),
        ({"sdk": "static"}, "it has gradio"),
    ],
)
def test_plain_mistakes_never_reach_the_hub(hub, demo, changes, words):
    options = {"folder": demo, "space_name": "me/mini", "token": TOKEN} | changes
    with pytest.raises(DeployError, match=words) as caught:
        upload_to_space(**options)
    assert not hub.asked
    assert str(options["token"]) not in str(caught.value)
