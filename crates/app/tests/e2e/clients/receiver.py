"""A receiver of callbacks for the tests: takes each call apart with the library of the Standard Webhooks project, remembers it,
and answers as its path says.

    /ok …          204                          /redirect   302 to /ok
    /fail/N        500 to the first N calls      /gone       410
    /broken        500, until POST /mend         /slow       204, but only after POST /release
    GET /calls     what came so far
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

port, secret = int(sys.argv[1]), sys.argv[2]
webhook = Webhook(secret)
lock = threading.Lock()
calls = []
released = threading.Event()
mended = threading.Event()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/calls":
            return self.called(b"")
        with lock:
            self.answer(200, json.dumps(calls).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/release":
            released.set()
            return self.answer(204)
        if self.path == "/mend":
            mended.set()
            return self.answer(204)
        self.called(body)

    def called(self, body):
        try:
            webhook.verify(body, dict(self.headers))
            verified = True
        except WebhookVerificationError:
            verified = False
        try:
            event = json.loads(body)
        except ValueError:
            event = None
        call = {"method": self.command, "path": self.path, "verified": verified, "event": event,
                "id": self.headers.get("webhook-id"), "type": self.headers.get("content-type")}
        with lock:
            before = sum(one["id"] == call["id"] and one["path"] == call["path"] for one in calls)
            calls.append(call)
        parts = self.path.split("?")[0].split("/")
        if parts[1] == "fail" and before < int(parts[2]):
            return self.answer(500)
        if parts[1] == "broken" and not mended.is_set():
            return self.answer(500)
        if parts[1] == "redirect":
            return self.answer(302, Location="/ok")
        if parts[1] == "gone":
            return self.answer(410)
        if parts[1] == "slow" and not released.wait(120):
            return self.answer(500)
        self.answer(204)


server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
print(f"PORT {server.server_address[1]}", flush=True)
server.serve_forever()
