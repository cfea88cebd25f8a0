"""Where things are, from the environment."""

import os

MODEL = os.environ["MODEL"]
AUDIT_URL = os.environ["AUDIT_URL"]
# Without it nothing is written back.
CRM_URL = os.environ.get("CRM_URL")
POOL = int(os.environ.get("POOL", "16"))
