"""Answer over HTTP with Ray Serve: POST a picture's bytes to /predict, get JSON."""

import os
import signal
import threading

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from ray import serve

from deploy import server_options
from deploy.ray.workers import Worker, add_workers, read_model, start_ray
from deploy.reply import MAX_BYTES, reply

APP = "foodvision"
AT_ONCE, QUEUED = 4, 32  # requests at a replica; more waiting for one get a 503
LEAVING = 50  # seconds that Ray may take to stop the replicas
SECONDS = 30  # for a whole request: a stalled upload must not hold its place
app = FastAPI(title="FoodVision Mini", docs_url=None, redoc_url=None)


@serve.deployment(
    max_ongoing_requests=AT_ONCE,
    max_queued_requests=QUEUED,
    graceful_shutdown_timeout_s=10,  # for answers that are under way
)
@serve.ingress(app)
class Food(Worker):
    """One replica."""

    @app.post("/predict")
    async def predict(self, request: Request) -> JSONResponse:
        """Say what is on the picture, or why there is no answer."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:  # no more is kept than shows it
                break
        kind = request.headers.get("content-type", "")
        status, answer = reply(self.predictor, body, kind)
        return JSONResponse(answer, status)


def main() -> None:
    """Serve until Ctrl+C or SIGTERM; then take our app away, of a cluster only that."""
    parser = server_options(__doc__, 8000)
    add_workers(parser)
    args = parser.parse_args()
    content = read_model(args.model)
    start_ray(args.workers)
    http = {"host": args.host, "port": args.port, "request_timeout_s": SECONDS}
    try:
        serve.start(http_options=http)
    except RuntimeError as error:  # a long one; its last line has the reason
        raise SystemExit(str(error).splitlines()[-1]) from error
    cores = {"num_replicas": args.workers, "ray_actor_options": {"num_cpus": 1}}
    serve.run(Food.options(**cores).bind(content), name=APP)
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):  # Ray loses exceptions
        signal.signal(each, lambda *_: stop.set())
    print(f"http://{args.host}:{args.port}/predict answers. Stop: Ctrl+C")
    while not stop.wait(1):
        pass
    print("Stopping")
    at_last = threading.Timer(LEAVING, os._exit, [0])  # Ray's own end may hang
    at_last.daemon = True
    at_last.start()
    serve.delete(APP)


if __name__ == "__main__":
    main()
