"""Checks of companion 8, every place: what two clouds send, and want back."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.your_turn.checking import given, need, says


@says
def invocations(
    adapter: Callable[[bytes], tuple[int, dict]], predictor: Predictor
) -> str:
    """From the bytes that SageMaker sends to a status and a dictionary."""
    plate = drawn_files(CLASS_NAMES[0])[0]
    expected = predictor.predict(plate)
    reply = given(adapter(plate.read_bytes()))
    need(
        isinstance(reply, tuple) and len(reply) == 2,
        "return two values: the status, and a dictionary.",
    )
    status, content = reply
    need(status == 200, f"a picture gets status 200, not {status}.")
    json.dumps(content)  # or the reader is told that it cannot be sent
    need(content.get("text") == expected.text, 'under "text" goes the answer\'s text.')
    need(content.get("verdict") == expected.verdict, '"verdict" is missing or wrong.')
    status, content = adapter(b"my shopping list: milk, eggs")
    need(status == 400, f"a text file is the sender's mistake: 400, not {status}.")
    need(
        "not a picture" in str(content.get("detail")),
        'say why under "detail": the message of the PictureError.',
    )
    return f"200 and {expected.text.splitlines()[0]!r}; 400 and {content['detail']!r}"


@says
def vertex_body(pack: Callable[[Sequence[Path]], bytes]) -> str:
    """The body of a request to Vertex AI about two pictures."""
    files = [drawn_files(name)[0] for name in CLASS_NAMES[:2]]
    body = given(pack(files))
    need(isinstance(body, bytes), "return bytes: json.dumps(...).encode().")
    question = json.loads(body)
    need(
        isinstance(question, dict) and "instances" in question,
        'the JSON is {"instances": [...]}.',
    )
    instances = question["instances"]
    need(
        len(instances) == 2,
        f"two files are two instances, and there are {len(instances)}.",
    )
    sent = [base64.b64decode(each["b64"], validate=True) for each in instances]
    need(
        sent == [file.read_bytes() for file in files],
        'under "b64" goes the content of each file, in their order.',
    )
    size = sum(file.stat().st_size for file in files)
    return f"{size:,} bytes of pictures are {len(body):,} bytes of JSON."
