"""A place for checkpoints: one text at /checkpoint, read by GET and replaced by PUT, with entity tags as RFC 9110 says.

    proofs.py PORT TOKEN

    POST /fail/N    the next N requests of the place are answered with 503
    POST /race      before the next PUT is looked at, somebody else puts the same text
    GET /asked      the requests of the place that came so far: method and status
"""

import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, token = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
state = {"text": None, "version": 0, "fail": 0, "race": False, "asked": []}


class Place(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        if self.path == "/checkpoint":
            state["asked"].append([self.command, status])
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tag(self):
        digest = hashlib.sha256((state["text"] or b"") + b"%d" % state["version"]).hexdigest()[:16]
        return f'"{digest}"'

    def refused(self):
        if state["fail"]:
            state["fail"] -= 1
            self.answer(503)
            return True
        return False

    def do_GET(self):
        with lock:
            self.get()

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            self.put(body)

    def get(self):
        if self.path == "/asked":
            return self.answer(200, json.dumps(state["asked"]).encode())
        if self.refused():
            return None
        if state["text"] is None:
            return self.answer(404)
        return self.answer(200, state["text"], ETag=self.tag())

    def put(self, body):
        if self.headers.get("Authorization") != f"Bearer {token}":
            return self.answer(401)
        if self.refused():
            return None
        if state["race"]:
            state["race"], state["text"], state["version"] = False, state["text"] or body, state["version"] + 1
        there, wanted = state["text"] is not None, self.headers.get("If-Match")
        if (self.headers.get("If-None-Match") == "*" and there) or (wanted is not None and wanted != self.tag()):
            return self.answer(412)
        state["text"], state["version"] = body, state["version"] + 1
        return self.answer(204)

    def do_POST(self):
        if self.path.startswith("/fail/"):
            state["fail"] = int(self.path[6:])
        elif self.path == "/race":
            state["race"] = True
        self.answer(200)


server = ThreadingHTTPServer(("127.0.0.1", port), Place)
print(f"PORT {server.server_port}", flush=True)
server.serve_forever()
