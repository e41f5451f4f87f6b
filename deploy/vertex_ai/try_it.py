"""Start Vertex AI's server, ask it about pictures, and write down what it said."""

import base64
import json
from typing import Any

from deploy.asking import Target, try_it


def pack(picture: bytes) -> tuple[bytes, str]:
    """Send a picture file as a request with one instance."""
    instance = {"b64": base64.b64encode(picture).decode()}
    return json.dumps({"instances": [instance]}).encode(), "application/json"


def unpack(answer: Any) -> dict[str, Any]:
    """The one prediction."""
    return answer["predictions"][0]


VERTEX_AI = Target(
    "Google Vertex AI", "deploy.vertex_ai", "/health", "/predict", pack, unpack
)

if __name__ == "__main__":
    try_it(VERTEX_AI)
