"""Azure ML's entry script: `init` runs once, `run` for every request."""

import os
import sys
from pathlib import Path

from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

# serve.py lays the modules below beside this file.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from deploy.reply import MAX_BYTES, reply, say
from going_modular.app.model import Predictor

NAME = "foodvision_mini.onnx"
POST = say("POST a picture's bytes to this address.")
SLOW = say("The picture took too long to arrive. Please send it again.")
predictor: Predictor


def init() -> None:
    """Load the model: Azure may have put it into a folder of the folder it names."""
    global predictor
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    predictor = Predictor(next(iter(sorted(folder.rglob(NAME))), folder / NAME))


@rawhttp  # a picture is no JSON, which run() would get otherwise
def run(request: AMLRequest) -> AMLResponse:
    """Answer one request."""
    if request.method != "POST":
        status = 200 if request.method == "OPTIONS" else 405
        return AMLResponse(POST, status, {"Allow": "POST"}, json_str=True)
    body = bytearray()
    try:
        # To the end, or its sender would not hear the answer; of a body that is too
        # large no more is kept than shows it.
        while chunk := request.stream.read(1 << 16):
            if len(body) <= MAX_BYTES:
                body += chunk
    except TimeoutError:  # Azure's server raises it after SCORING_TIMEOUT_MS
        return AMLResponse(SLOW, 408, json_str=True)
    status, answer = reply(predictor, body, request.content_type or "")
    return AMLResponse(answer, status, json_str=True)
