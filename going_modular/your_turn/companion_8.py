"""Checks of companion 8, every place: what two clouds send, and want back."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.your_turn.checking import expect, given, need, pair, says


@says
def invocations(adapter: Callable, predictor: Predictor) -> dict:
    """From the bytes that SageMaker sends to a status and a dictionary."""
    plate = drawn_files(CLASS_NAMES[0])[0]
    answer = predictor.predict(plate)
    status, content = pair(adapter(plate.read_bytes()))
    expect(status, 200, "status_200")
    json.dumps(content)  # or the reader is told that it cannot be sent
    expect(content.get("text"), answer.text, "text")
    expect(content.get("verdict"), answer.verdict, "verdict")
    status, content = pair(adapter(b"my shopping list: milk, eggs"))
    expect(status, 400, "status_400")
    need("not a picture" in str(content.get("detail")), "detail")
    return {"first": answer.text.splitlines()[0], "detail": content["detail"]}


@says
def vertex_body(pack: Callable[[Sequence[Path]], bytes]) -> dict:
    """The body of a request to Vertex AI about two pictures."""
    files = [drawn_files(name)[0] for name in CLASS_NAMES[:2]]
    body = given(pack(files))
    need(isinstance(body, bytes), "bytes")
    question = json.loads(body)
    need(isinstance(question, dict) and "instances" in question, "json")
    instances = question["instances"]
    expect(len(instances), 2, "two")
    sent = [base64.b64decode(each["b64"], validate=True) for each in instances]
    need(sent == [file.read_bytes() for file in files], "content")
    return {"pictures": sum(map(len, sent)), "json": len(body)}
