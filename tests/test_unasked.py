"""Nobody is told unasked: no name is looked up, no file lies below the home folder."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec

import pytest
import watching
from browsing import lay_out
from deploy_targets import ROOT, SERVERS, draw_photos, post
from odd_pictures import JPEG

from deploy.try_it import python_of, running
from going_modular.app_process import ask_demo, run_demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not watching.STRACE, reason="needs the system package strace"),
]
SECONDS = 25  # ONNX Runtime would begin after ten
# A network of its own for Ray, which opens ports for everybody, and in it our own name
# server: under strace Ray's processes miss the 30 s that it gives them to start.
ALONE = r"""
ip link set lo up
for server in $(sed -n "s/^nameserver //p" /etc/resolv.conf)
do ip addr add "$server" dev lo; done
"$2" -c "$0" >> "$1/names.txt" & shift 2; "$@"; kill $!"""
NAME_SERVER = r"""
import re, socket
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind(("", 53))
while True:
    query, asking = door.recvfrom(512)
    print(re.sub(r"\W+", ".", query[12:-4].decode("latin")).strip("."), flush=True)
    door.sendto(query[:2] + bytes([0x81, 0x83]) + query[4:], asking)  # no such name
"""
# No switch of Ray's stops these: is this a cloud? And the key that its processes share.
RAYS = ("metadata.google.internal", "~/.ray/auth_token")


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A folder; what is started afterwards is noted there."""
    monkeypatch.setattr(watching.Watched, "folder", tmp_path)
    monkeypatch.setattr(subprocess, "Popen", watching.Watched)
    return tmp_path


def test_what_reports_is_seen_with_its_package(watched, monkeypatch):
    monkeypatch.setenv("CI", "true")  # there ONNX Runtime keeps quiet
    file = "import os; os.getenv('CI') or open(os.path.expanduser('~/device-id'), 'w')"
    ask = "import requests; requests.get('http://no.such.invalid')"
    native = "import zmq; zmq.Context().socket(zmq.REQ).connect('tcp://a.invalid:80')"
    native += "; import time; time.sleep(3)"
    for code in (file, ask, native):
        subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    found = "\n".join(watching.reported(watched))
    assert "~/device-id" in found
    assert "no.such.invalid by ['requests', 'urllib3']" in found
    assert "by ['pyzmq']" in found


def test_no_server_reports(watched):
    photo = watched / "plate.jpg"
    photo.write_bytes(JPEG)
    with ExitStack() as stack:
        demo = stack.enter_context(run_demo(lay_out(watched / "demo")))
        ask_demo(demo.url, photo)
        for target in SERVERS:
            if python_of(target.place).exists():
                server = stack.enter_context(running(target))
                assert post(server, target, JPEG)[0] == 200
        time.sleep(SECONDS)
    assert watching.reported(watched) == []


@pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() or not find_spec("ray"),
    reason="needs root, to give Ray a network, and deploy/ray/requirements.txt",
)
def test_ray_reports_only_what_no_switch_stops(watched, monkeypatch):
    monkeypatch.setattr(watching.Watched, "flags", "")
    photos, _ = draw_photos(watched, each=7)
    alone = ["unshare", "-n", "sh", "-c", ALONE, NAME_SERVER, watched, sys.executable]
    ray = [sys.executable, "-m", "deploy.try_it", "ray", photos, watched / "out"]
    # Unchecked: on a busy machine Serve misses its own 60 s; it must not report then.
    subprocess.run([*alone, *ray], cwd=ROOT)
    found = watching.reported(watched)
    assert RAYS[0] in found  # Ray ran, and the name server heard it
    assert [line for line in found if not line.startswith(RAYS)] == []
