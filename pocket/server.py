"""Serve a folder of plain files on this computer, as a static Space would."""

import mimetypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from going_modular.app_process import HOST
from going_modular.demo_folder import DeployError

# A page with these may share memory between threads. The README of the demo asks
# Spaces for the same.
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# Python's own table, not the system's, which differs between systems; and more.
SCRIPTS = dict.fromkeys((".js", ".mjs"), "text/javascript")
TABLE = mimetypes.MimeTypes().types_map[True] | SCRIPTS | {".woff2": "font/woff2"}
AS_UTF8 = {k: f"{v}; charset=utf-8" for k, v in TABLE.items() if v.startswith("text/")}


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = TABLE | AS_UTF8

    def __init__(self, *args, isolated: bool, **kwargs):
        self._headers = {"Cache-Control": "no-cache"}  # ask whether it has changed
        self._headers |= ISOLATION if isolated else {}
        super().__init__(*args, **kwargs)

    def end_headers(self) -> None:
        for name, value in self._headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers in threads, at its `url`."""

    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request, client_address) -> None:
        # A browser may hang up whenever it likes; all else is told as usual.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve_folder(folder: Path, *, port=0, isolated=True) -> Iterator[Server]:
    """Serve a folder to this computer's own browsers, for as long as a with-block.

    Port 0 is any free one. Pages that are `isolated` may share memory between threads.
    """
    folder = Path(folder).resolve()
    if not (folder / "index.html").is_file():
        raise DeployError(f"{folder} holds no index.html: write the demo first")
    handler = partial(_Handler, directory=str(folder), isolated=isolated)
    try:
        server = Server((HOST, port), handler)
    except OSError as error:
        raise DeployError(f"Port {port} could not be used: {error}") from error
    with server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
