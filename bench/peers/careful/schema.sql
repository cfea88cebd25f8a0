-- The service's own database: who may call, and what was decided. A row is the audit record, the idempotency key and the
-- pending write-back at once, so that one commit settles all three.
CREATE TABLE callers (
    name text PRIMARY KEY,
    key_sha256 bytea NOT NULL UNIQUE
);
CREATE TABLE decisions (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    caller text NOT NULL,
    idempotency_key text,
    input_sha256 bytea NOT NULL,
    subject text NOT NULL,
    input jsonb NOT NULL,
    output double precision NOT NULL,
    band text NOT NULL,
    model_sha256 text NOT NULL,
    rung text NOT NULL,
    delivered_at timestamptz,
    UNIQUE (caller, idempotency_key)
);
CREATE INDEX decisions_subject ON decisions (subject, at);
CREATE INDEX decisions_pending ON decisions (at) WHERE delivered_at IS NULL;
