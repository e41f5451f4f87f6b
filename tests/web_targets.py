"""The web servers of deploy/, pictures for them, and how they are looked at."""

import io
import json

from odd_pictures import black_png
from PIL import Image

from deploy.asking import Client, Server, Target
from deploy.fastapi.try_it import FASTAPI
from deploy.sagemaker.try_it import SAGEMAKER
from deploy.vertex_ai.try_it import VERTEX_AI

TARGETS = (FASTAPI, SAGEMAKER, VERTEX_AI)
TRACES = ("Traceback", "Error", "File ")


def file_of(colour: tuple[int, int, int], kind: str = "JPEG", size=(80, 60)) -> bytes:
    """A picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def post(server: Server, target: Target, picture: bytes) -> tuple[int, dict]:
    """Ask about a picture over a connection of its own: status and JSON."""
    with Client(server.port) as client:
        status, text = client.send("POST", target.predict, *target.pack(picture))
    return status, json.loads(text)


def log_lines(server: Server) -> list[str]:
    """What the server printed."""
    return server.log.read_text("utf-8").splitlines()


def bad_pictures() -> dict[str, tuple[bytes, int, str]]:
    """Files that are refused: their bytes, the status, and words of the sentence."""
    whole = file_of((200, 40, 40), size=(640, 480))
    return {
        "empty": (b"", 400, "That file is empty."),
        "text": (b"my shopping list: milk, eggs", 400, "is not a picture."),
        "torn": (whole[: len(whole) // 2], 400, "is damaged or incomplete."),
        "200 megapixels": (black_png(20_000, 10_000), 400, "at most 64 megapixels"),
        "20 MB": (whole + bytes(20_000_000), 413, "Send at most 15 MB."),
    }
