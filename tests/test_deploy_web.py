"""The servers of deploy/ that are asked over HTTP, the real ones, on this machine."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import chain, repeat
from pathlib import Path

import deploy_targets as targets
import psutil
import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW, make_model
from deploy_targets import CASES, FASTAPI, TORCHSERVE, assert_right, of, post, send
from odd_pictures import JPEG, READABLE, REFUSED, black_png
from pocket_site import plate

from deploy import CODE, DEFAULT_MODEL
from deploy.reply import reply
from deploy.try_it import HOST, TARGETS, Client, Server, running
from going_modular.app.model import DISH, NO_PLATE, OTHER, SENTENCES, Predictor

pytestmark = pytest.mark.slow

VISITORS, REQUESTS, QUEUED = 32, 1000, 32  # as many may wait for Ray's replicas
TRACES = ("Traceback", "Error", "File ")
SHORT = {"SCORING_TIMEOUT_MS": "4000"}  # for a whole request to Azure's server
BAD = {name: (body, 400, SENTENCES[why]) for name, (body, why) in REFUSED.items()} | {
    "200 megapixels": (black_png(20_000, 10_000), 400, SENTENCES["too large"]),
    "20 MB": (JPEG + bytes(20_000_000), 413, "Send at most 15 MB."),
}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CLIENTS = {"bash": ["bash"], "python": [sys.executable, "-"]}
CLIENTS["javascript"] = ["node", "--input-type=module", "-"]


@pytest.fixture(scope="module", autouse=True)
def alone():  # for Ray's sake
    with targets.own_network() as number:
        yield number


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "foodvision_mini.onnx")


@pytest.fixture(scope="module")
def predictor(model) -> Predictor:
    return Predictor(model, threads=1)


@pytest.fixture(scope="module")
def serve(model, alone):
    """Starts the server of a target, or gives the one that runs."""
    servers = {}
    with targets.rays_home() as home, contextlib.ExitStack() as stack:
        how = {"model": model, "environment": home | SHORT}

        def serve(target) -> Server:
            targets.need(target.place, alone)
            if target not in servers:
                servers[target] = stack.enter_context(running(target, **how))
                # With the first, Azure's logger says a word, TorchServe's worker comes.
                assert post(servers[target], target, JPEG)[0] == 200
                time.sleep(1)  # their lines may lag behind
            return servers[target]

        yield serve
        for target, server in servers.items():
            assert server.process.poll() is None, f"{target.name} died"
            if target is targets.RAY_SERVE:
                os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl+C does
                assert server.process.wait(120) == 0, server.log.read_text()[-3000:]
            said = server.log.read_text("utf-8")
            words = TRACES if target in targets.WEB else TRACES[:1]
            assert not [word for word in words if word in said], said
    targets.assert_all_stopped(alone)


@pytest.fixture
def server(target, serve) -> Server:
    return serve(target)


def log_lines(server: Server) -> list[str]:
    return server.log.read_text("utf-8").splitlines()


@pytest.fixture
def lines(server):
    """The lines that the log gains in a test; what wrote them may lag behind."""
    before = len(log_lines(server))

    def gained(wanted: int) -> list[str]:
        end = time.monotonic() + 10
        while len(log_lines(server)) < before + wanted and time.monotonic() < end:
            time.sleep(0.02)
        return log_lines(server)[before:]

    return gained


@of(*TARGETS.values())
def test_a_picture_gets_the_apps_answer_or_a_sentence(server, target, predictor, lines):
    """Every format is answered, a phone's 48 megapixels, and 14 MB."""
    for name, (picture, wanted, sentence) in BAD.items():
        status, answer = post(server, target, picture)
        assert (status, list(answer)) == (wanted, ["detail"]), name
        assert sentence in answer["detail"], name
        assert_right(target, post(server, target, JPEG), predictor, JPEG)
    if target is not targets.RAY_SERVE:  # whose log is elsewhere
        assert len(lines(2 * len(BAD))) == 2 * len(BAD)
    large = black_png(8000, 6000), plate(RED, size=(8000, 6000))
    colours = map(plate, (RED, DARK, YELLOW, BLUE))
    for picture in [*colours, *READABLE.values(), *large, JPEG + bytes(14_000_000)]:
        assert_right(target, post(server, target, picture), predictor, picture)


@of(*TARGETS.values())
@pytest.mark.parametrize("client", CLIENTS)
def test_the_readmes_clients(server, target, tmp_path, client):
    for needed in (CLIENTS[client][0], *(["curl"] if client == "bash" else [])):
        if not shutil.which(needed):
            pytest.skip(f"needs {needed}")
    blocks = BLOCK.findall(targets.readme(target))
    (code,) = (c for n, c in blocks if n == client and targets.ADDRESS.search(c))
    assert len(code.splitlines()) <= 14
    assert {path for _, path in targets.ADDRESS.findall(code)} == {target.predict}
    code = targets.ADDRESS.sub(rf"http://127.0.0.1:{server.port}\2", code)
    env = os.environ | {"no_proxy": "127.0.0.1"}
    told = {"env": env, "cwd": tmp_path, "input": code}
    for picture, words in ((plate(RED), "pizza"), (b"x", SENTENCES["no picture"])):
        (tmp_path / "plate.jpg").write_bytes(picture)
        done = targets.command(*CLIENTS[client], **told)
        assert words in done.stdout + done.stderr


@of(*TARGETS.values())
def test_what_matters_of_a_request_and_what_does_not(server, target, predictor):
    case, form = CASES[target.place], FASTAPI.pack(JPEG)[0]
    for kind in case["refused"]:
        status, answer = send(server, "POST", target.predict, form, kind)
        assert status == case["status"] and case["words"] in answer["detail"]
    for kind in case["accepted"]:
        request = target.predict, JPEG, kind
        assert_right(target, send(server, "POST", *request), predictor, JPEG)
    for method, path, wanted, *words in case["others"]:
        with Client(server.port) as client:
            status, said = client.send(method, path, JPEG)
        assert status == wanted and all(word in said for word in words), (method, path)


@of(*targets.WEB)
def test_it_keeps_what_it_describes(server, target):
    """Schemathesis makes requests up, valid and not, and checks the answers."""
    up = {"status": "ok", "model": "FoodVision Mini"}
    assert send(server, "GET", target.health) == (200, up)
    described = send(server, "GET", "/openapi.json")[1]
    route = described["paths"][target.predict]["post"]
    assert {"200", "4XX", "503"} <= set(route["responses"])
    answer = described["components"]["schemas"]["Reply"]
    assert set(answer["properties"]) == set(answer["required"])
    assert answer["properties"]["verdict"]["enum"] == [DISH, OTHER, NO_PLATE]
    rules = Path(__file__).with_name("schemathesis.toml")
    words = ["-m", "schemathesis.cli", "--config-file", rules, "run", "--warnings=off"]
    url = f"http://{HOST}:{server.port}/openapi.json"
    words += [url, "--max-examples=20", "--seed=1"]
    done = targets.command(sys.executable, *words, cwd=server.log.parent, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]


@of(targets.VERTEX_AI)
def test_vertex_ai_gets_one_prediction_an_instance(server, target, predictor):
    """Also for base64 as clients write it."""

    def ask(body: bytes) -> tuple[int, dict]:
        return send(server, "POST", target.predict, body, "application/json")

    def ask_about(*texts: str) -> tuple[int, dict]:
        question = {"instances": [{"b64": text} for text in texts], "parameters": [1]}
        return ask(json.dumps(question).encode())

    pictures = [plate(colour) for colour in (RED, GREEN, DARK, BLUE) * 3]
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    safe = base64.urlsafe_b64encode(pictures[0]).decode()
    lines, head = base64.encodebytes(pictures[0]).decode(), "data:image/jpeg;base64,"
    ways = lines, safe, safe.rstrip("="), head + texts[0]
    asked = [*pictures, *4 * [pictures[0]]]
    wanted = [targets.expected(predictor, picture) for picture in asked]
    assert ask_about(*texts, *ways) == (200, {"predictions": wanted})
    for text, words in CASES["vertex_ai"]["instances"]:
        status, answer = ask_about(texts[0], text)
        assert status == 400 and answer["detail"].startswith(f"instances[1]: {words}")
    too_many = json.dumps({"instances": [{"b64": ""}] * 17})
    bodies = map(str.encode, [*CASES["vertex_ai"]["bodies"], too_many])
    for body in [*bodies, b"\xff\xfe", b"[" * 1_000_000]:
        status, answer = ask(body)
        assert status in (400, 422) and "1 to 16 pictures" in answer["detail"]


@of(FASTAPI)
def test_a_form_may_hold_more_but_not_less(server, target, predictor):
    body, kind = target.pack(JPEG)
    end = f"--{kind.split('=')[1]}\r\n".encode()
    note = end + b'Content-Disposition: form-data; name="note"\r\n\r\nlunch\r\n'
    for sent, as_kind, wanted in [
        (body.replace(b'name="picture"', b'name="file"'), kind, [422]),
        (body.replace(b'; filename="plate.jpg"', b""), kind, [422]),
        *((broken, kind, [400, 422]) for broken in (body[:-20], b"", b"no form")),
        (body, "multipart/form-data", [400]),
    ]:
        status, answer = send(server, "POST", target.predict, sent, as_kind)
        assert status in wanted and '"picture"' in answer["detail"]
    answer = send(server, "POST", target.predict, note + body, kind)
    assert answer == reply(predictor, JPEG)


@of(*targets.SERVERS)
def test_only_this_machine_can_ask(server, target):
    """A server of all networks would be at this machine's other addresses, too."""
    ports = [server.port]
    if target is TORCHSERVE:
        settings = (server.staged / "config.properties").read_text("utf-8")
        ports = [int(port) for port in re.findall(r"(?:\.1:|_port=)(\d+)", settings)]
        assert len({*ports}) == 5 and server.port in ports
    for port in ports:
        socket.create_connection((HOST, port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def beginning(target) -> bytes:
    """Of a body that is right so far."""
    return target.pack(b"\xff\xd8\xff" + bytes(100))[0][:-50]


def stall(server: Server, target) -> HTTPConnection:
    """A connection that has sent a request's head and some of its body."""
    connection = HTTPConnection(HOST, server.port, timeout=30)
    head = {"Content-Type": target.pack(b"")[1], "Content-Length": "100000"}
    connection.request("POST", target.predict, beginning(target), head)
    return connection


@of(*targets.WEB)
def test_who_sends_too_much_reads_why_who_leaves_is_forgotten(server, target, lines):
    process = psutil.Process(server.process.pid)
    used = process.memory_info().rss
    with contextlib.suppress(AttributeError):  # not on Linux
        process.rlimit(psutil.RLIMIT_FSIZE, (20_000_000, 20_000_000))
    head = {"Content-Type": target.pack(b"")[1]}
    for length in ({}, {"Content-Length": str(len(beginning(target)) + 300_000_000)}):
        connection = HTTPConnection(HOST, server.port, timeout=30)
        with contextlib.closing(connection):
            body = chain([beginning(target)], repeat(bytes(1_000_000), 300))
            told = {"encode_chunked": not length}
            connection.request("POST", target.predict, body, head | length, **told)
            answer = connection.getresponse()
            assert answer.status == 413 and b"15 MB" in answer.read()
            assert answer.headers["connection"] == "close"
    assert process.memory_info().rss - used < 100_000_000
    for _ in range(3):
        stall(server, target).close()
    assert post(server, target, JPEG)[0] == 200
    assert all("HTTP/1.1" in line for line in lines(3))


def test_a_thousand_requests_of_32_visitors(model, predictor):
    """Every second one is no picture. The server stops, though an upload stalls."""
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
    good = [plate(c, k) for k in kinds for c in (RED, DARK, GREEN, YELLOW, BLUE)]
    bad = [body for body, status, _ in BAD.values() if status == 400]
    pictures = [picture for pair in zip(good, bad, strict=False) for picture in pair]
    right = {picture: reply(predictor, picture) for picture in pictures}

    def visit(number: int) -> None:
        with Client(server.port) as client:
            for turn in range(number, REQUESTS, VISITORS):
                picture = pictures[turn % len(pictures)]
                status, text = client.send("POST", "/predict", *FASTAPI.pack(picture))
                assert (status, json.loads(text)) == right[picture]

    with running(FASTAPI, model=model) as server:
        before = len(log_lines(server))
        with ThreadPoolExecutor(VISITORS) as pool:
            list(pool.map(visit, range(VISITORS)))
        assert len(log_lines(server)) - before == REQUESTS
        with contextlib.closing(stall(server, FASTAPI)) as stalled:
            time.sleep(0.5)  # until it has been let in; nothing tells
            server.process.terminate()
            assert stalled.getresponse().status == 503
        server.process.wait(20)
        said = server.log.read_text("utf-8")
        assert not [word for word in TRACES if word in said], said


@of(targets.AZURE_ML, TORCHSERVE)
def test_a_stalled_upload_keeps_nobody_waiting(server, target):
    with contextlib.closing(stall(server, target)) as stalled:
        if target is targets.AZURE_ML:  # its only worker must give the place up
            assert stalled.getresponse().status == 408
        assert post(server, target, JPEG)[0] == 200


@of(targets.RAY_SERVE)
def test_a_full_queue_says_busy_and_loses_nobody(server, target, alone, predictor):
    def ask() -> tuple[int, str]:
        with Client(server.port) as client:
            return client.send("POST", target.predict, JPEG)

    everybody = targets.left_over(alone).items()
    replicas = [pid for pid, line in everybody if line.startswith("ray::ServeReplica")]
    assert len(replicas) == 2
    with ThreadPoolExecutor(200) as pool:
        for replica in replicas:
            os.kill(replica, signal.SIGSTOP)  # as if busy with a very long answer
        try:
            calls = [pool.submit(ask) for _ in range(2 * (2 * 4 + QUEUED))]
            # How many are on their way to a replica, not yet in the queue, changes:
            # more come until ten were turned away, in the time that a request has.
            end = time.monotonic() + 20
            while sum(map(Future.done, calls)) < 10 and time.monotonic() < end:
                time.sleep(0.2)
                calls.append(pool.submit(ask))
            time.sleep(2)  # the others' replies, if there are any
            turned_away = sum(map(Future.done, calls))
        finally:
            for replica in replicas:
                os.kill(replica, signal.SIGCONT)
    assert 10 <= turned_away <= len(calls) - QUEUED
    replies = [call.result() for call in calls]
    answered = [json.loads(text) for status, text in replies if status == 200]
    assert len(answered) == len(calls) - turned_away
    assert {status for status, _ in replies} == {200, 503}
    for answer in [*answered, json.loads(ask()[1])]:
        assert_right(target, (200, answer), predictor, JPEG)


@of(TORCHSERVE)
def test_torchserves_archive_and_its_own_field(server, target, predictor, lines):
    with zipfile.ZipFile(server.staged / target.archive) as archive:
        names = set(archive.namelist())
    assert names == {*CODE, DEFAULT_MODEL.name, "handler.py", "MAR-INF/MANIFEST.json"}
    form, kind = FASTAPI.pack(JPEG)
    form = form.replace(b'"picture"', b'"data"', 1)
    reply = send(server, "POST", target.predict, form, kind)
    assert_right(target, reply, predictor, JPEG)
    assert not [line for line in lines(1) if line.startswith("\tat ")], "Java's trace"
