"""Signs the token by which a page shows the badge of one subject: a JWT with HS256, in ten lines of any language."""

import base64
import hashlib
import hmac
import json
import time


def sign(secret, integration, subject, seconds=120):
    """Whoever holds it may see the score of this subject, for so many seconds."""
    part = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")
    claims = {"sub": subject, "aud": integration, "exp": int(time.time()) + seconds}
    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.new(secret.encode(), text, hashlib.sha256).digest())).decode()
