"""A page of somebody else that shows the badge: python3 host.py. Settings come from the environment:

TENDON        where Tendon answers, for example http://127.0.0.1:8400
BADGE_SECRET  the secret of `doors.embed.secret`
PORT          where this page listens (usual: 9000); `doors.embed.origins` holds http://127.0.0.1:9000 then
INTEGRATION   whose scores it shows (usual: lead-score)
"""

import json
import os
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sign import sign

TENDON = os.environ.get("TENDON", "http://127.0.0.1:8400")
SECRET = os.environ["BADGE_SECRET"]
INTEGRATION = os.environ.get("INTEGRATION", "lead-score")
HERE = Path(__file__).parent
# As strict as it goes: nothing inline, and of other origins only what the badge is made of.
POLICY = (
    f"default-src 'none'; script-src 'self' {TENDON}/embed/badge.js; style-src 'self'; connect-src 'self' {TENDON}; img-src data:; frame-src {TENDON}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        given = dict(urllib.parse.parse_qsl(query))
        if path == "/token":
            # A real page looks here who is signed in, and whether that person may see this subject.
            token = sign(SECRET, given.get("integration", INTEGRATION), given["subject"])
            return self.answer("application/json", json.dumps({"token": token}))
        file = HERE / ("page.html" if path == "/" else path.lstrip("/"))
        if file.parent != HERE or file.suffix not in KINDS or not file.exists():
            return self.send_error(404)
        text = file.read_text(encoding="utf-8").replace("{TENDON}", TENDON).replace("{INTEGRATION}", INTEGRATION)
        return self.answer(KINDS[file.suffix], text)

    def answer(self, kind, text):
        body = text.encode()
        self.send_response(200)
        for name, value in [("content-type", f"{kind}; charset=utf-8"), ("content-length", str(len(body))),
                            ("content-security-policy", POLICY), ("cache-control", "no-store")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Page)
    print(f"PORT {server.server_port}", flush=True)
    server.serve_forever()
