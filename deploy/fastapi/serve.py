"""Answer over HTTP: POST a form with a picture to /predict, get JSON."""

import logging

from fastapi import FastAPI, HTTPException, UploadFile

from deploy.reply import LARGE, MAX_BYTES, as_json
from deploy.web import Reply, make_app, serve
from going_modular.app.model import Predictor

FORM_BYTES = 10_000  # around the picture in a form
HOW = 'Send a form with a file in its field "picture": curl -F picture=@plate.jpg'


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    app = make_app(predictor, health="/healthz", limit=MAX_BYTES + FORM_BYTES, how=HOW)
    # Of a form that cannot be read its sender is told; the log has a line already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

    @app.post("/predict", response_model=Reply)
    def predict(picture: UploadFile) -> dict:
        """Say what is on a picture, or why there is no answer."""
        if picture.size > MAX_BYTES:
            raise HTTPException(413, LARGE)
        return as_json(predictor.predict(picture.file))

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=8000)
