"""TorchServe's handler: it answers with ONNX Runtime, from the archived model file."""

import json
from pathlib import Path

from ts.context import Context

from deploy.reply import reply, say
from going_modular.app.model import Predictor

EMPTY_FORM = 'Send the picture as the form\'s field "data", or as the body itself.'


class FoodHandler:
    """What a worker holds; TorchServe looks for the only class of this file."""

    def initialize(self, context: Context) -> None:
        """Load the model, once in a worker."""
        folder = Path(context.system_properties["model_dir"])
        self.predictor = Predictor(folder / context.manifest["model"]["serializedFile"])

    def handle(self, requests: list[dict[str, object]], context: Context) -> list[str]:
        """Answer each request of a batch, which is a "body", or a form's fields."""
        texts = []
        for place, request in enumerate(requests):
            status, answer = 415, say(EMPTY_FORM)
            picture = request.get("body", request.get("data"))
            if isinstance(picture, bytes | bytearray):
                status, answer = reply(self.predictor, picture)
            context.set_response_status(status, idx=place)
            context.set_response_content_type(place, "application/json")
            texts.append(json.dumps(answer))
        return texts
