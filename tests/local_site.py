"""A web site on this machine, for tests of what is fetched from one."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 4000  # 1 MB, several chunks


class Site(ThreadingHTTPServer):
    """A web site on this machine: `pages` maps a path to how it answers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.closing = {}, threading.Event()
        self.asked, self.sent, self.headers = [], b"", {}  # all paths; the last one's
        self.root = f"http://127.0.0.1:{self.server_port}"
        # A short poll, so that a test does not wait for its server to stop.
        threading.Thread(target=self.serve_forever, args=(0.01,)).start()

    def put(self, path, body=BODY, *, status=200, claim=None, stall=False, **headers):
        """Answer `path` with `body`, claiming `claim` bytes, perhaps then stalling."""

        def answer(handler):
            handler.send_response(status)
            handler.send_header("Content-Length", str(claim or len(body)))
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(body)
            if stall:
                self.closing.wait(10)

        self.pages[path] = answer
        return self.root + path

    def close(self):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.headers = self.headers
        answer = self.server.pages.get(self.path.partition("?")[0])
        answer(self) if answer else self.send_error(404)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass
