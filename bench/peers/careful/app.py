"""Lead scoring as a careful engineer serves it: callers by key, checked ranges, an audit row that is committed before the answer,
idempotency, a fallback, write-back to the CRM with retries, explanations on request, metrics, health.

    uvicorn app:app --host 127.0.0.1 --port 8000 --loop uvloop --http httptools --no-access-log
"""

import asyncio
import hashlib
import logging
import math
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated

import asyncpg
import lightgbm
import numpy
import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field, create_model

from settings import AUDIT_URL, CRM_URL, MODEL, POOL

FEATURES = [f"f{number:02}" for number in range(32)]
features = attrgetter(*FEATURES)
log = logging.getLogger("lead-score")

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# With names of a real model these are 32 lines.
Input = create_model(
    "Input",
    __config__=ConfigDict(extra="forbid"),
    id=Annotated[str, Field(min_length=1, max_length=64)],
    **dict.fromkeys(FEATURES, Share),
)


class Question(BaseModel):
    model_config = ConfigDict(extra="forbid")
    input: Input


class Answer(BaseModel):
    id: uuid.UUID
    at: datetime
    subject: str
    output: float
    band: str
    model: str
    rung: str


class Contribution(BaseModel):
    feature: str
    contribution: float


class Explanation(BaseModel):
    id: uuid.UUID
    base: float
    contributions: list[Contribution]


DECISIONS = Counter("decisions", "Decisions by band and rung", ["band", "rung"])
SECONDS = Histogram("decision_seconds", "Time from request to answer")
REPEATED = Counter("repeated", "Requests answered from an earlier decision")
DELIVERED = Counter("delivered", "Rows written back")
DELIVERY_FAILURES = Counter("delivery_failures", "Failed attempts to write back")

RECORD = """
    INSERT INTO decisions (id, at, caller, idempotency_key, input_sha256, subject, input, output, band, model_sha256, rung)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (caller, idempotency_key) DO NOTHING RETURNING id"""
EARLIER = """
    SELECT id, at, subject, output, band, model_sha256 AS model, rung, input_sha256
    FROM decisions WHERE caller = $1 AND idempotency_key = $2"""
PENDING = """
    SELECT id, at, subject, output, band FROM decisions WHERE delivered_at IS NULL
    ORDER BY at LIMIT 500 FOR UPDATE SKIP LOCKED"""
# The newest decision of a lead wins, in whatever order deliveries arrive.
WRITE_BACK = """
    UPDATE leads SET score = d.output, score_band = d.band, scored_at = d.at
    FROM (SELECT DISTINCT ON (subject) * FROM unnest($1::text[], $2::float8[], $3::text[], $4::timestamptz[])
          AS d(subject, output, band, at) ORDER BY subject, at DESC) AS d
    WHERE leads.id = d.subject AND (leads.scored_at IS NULL OR leads.scored_at < d.at)"""
SETTLED = "UPDATE decisions SET delivered_at = now() WHERE id = ANY($1)"


class Service:
    """What lives as long as the process."""

    def __init__(self):
        with open(MODEL, "rb") as file:
            text = file.read()
        self.digest = hashlib.sha256(text).hexdigest()
        self.booster = lightgbm.Booster(model_str=text.decode())
        self.audit = self.crm = self.delivering = None
        self.callers = {}

    async def start(self):
        self.audit = await asyncpg.create_pool(AUDIT_URL, min_size=POOL, max_size=POOL, command_timeout=5)
        self.callers = {row["key_sha256"]: row["name"] for row in await self.audit.fetch("SELECT * FROM callers")}
        if CRM_URL:
            self.crm = await asyncpg.create_pool(CRM_URL, min_size=1, max_size=2, command_timeout=10)
            self.delivering = asyncio.create_task(self.deliver())

    async def stop(self):
        if self.delivering:
            self.delivering.cancel()
            await asyncio.gather(self.delivering, return_exceptions=True)
            await self.crm.close()
        await self.audit.close()

    def score(self, input):
        """The output and the rung that gave it: the model, a rule, the default."""
        try:
            row = numpy.array([features(input)])
            output = float(self.booster.predict(row, num_threads=1)[0])
            if math.isfinite(output) and 0 <= output <= 1:
                return output, "model"
            log.error("the model answered %s", output)
        except Exception:
            log.exception("the model failed")
        return (0.5, "rule") if input.f00 > 0.9 else (0.1, "default")

    async def deliver(self):
        """Writes decisions into the CRM in batches, again and again until it takes them."""
        wait = 0.05
        while True:
            try:
                async with self.audit.acquire() as connection, connection.transaction():
                    rows = await connection.fetch(PENDING)
                    if rows:
                        columns = [[row[name] for row in rows] for name in ("subject", "output", "band", "at")]
                        await self.crm.execute(WRITE_BACK, *columns)
                        await connection.execute(SETTLED, [row["id"] for row in rows])
                        DELIVERED.inc(len(rows))
                wait = 0.05
                if len(rows) == 500:
                    continue
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                DELIVERY_FAILURES.inc()
                log.exception("writing back failed; trying again in %s s", wait)
                wait = min(wait * 2, 30)
            await asyncio.sleep(wait)


service = Service()


@asynccontextmanager
async def lifespan(_):
    await service.start()
    yield
    await service.stop()


app = FastAPI(lifespan=lifespan)


async def caller(authorization: Annotated[str, Header()] = "") -> str:
    # Looking up a digest tells nothing by its timing.
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
    name = service.callers.get(digest)
    if name is None:
        raise HTTPException(401, "the key is unknown")
    return name


Caller = Annotated[str, Depends(caller)]


def band_of(output):
    return "green" if output >= 0.7 else "yellow" if output >= 0.4 else "red"


async def earlier(name, key, digest) -> Answer:
    row = await service.audit.fetchrow(EARLIER, name, key)
    if row["input_sha256"] != digest:
        raise HTTPException(409, "this Idempotency-Key was used with another input")
    REPEATED.inc()
    return Answer(**row)


@app.post("/decisions")
async def decide(
    question: Question, name: Caller, idempotency_key: Annotated[str | None, Header(max_length=255)] = None
) -> Answer:
    begun = time.perf_counter()
    input = question.input
    snapshot = input.model_dump_json()
    digest = hashlib.sha256(snapshot.encode()).digest()
    output, rung = service.score(input)
    answer = Answer(
        id=uuid.uuid4(), at=datetime.now(UTC), subject=input.id, output=output, band=band_of(output),
        model=service.digest, rung=rung,
    )
    try:
        recorded = await service.audit.fetchval(
            RECORD, answer.id, answer.at, name, idempotency_key, digest, input.id, snapshot, output, answer.band,
            service.digest, rung,
        )
        if recorded is None:
            return await earlier(name, idempotency_key, digest)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        log.exception("a decision could not be recorded")
        raise HTTPException(503, "the decision could not be recorded; try again", {"retry-after": "1"}) from error
    DECISIONS.labels(answer.band, rung).inc()
    SECONDS.observe(time.perf_counter() - begun)
    return answer


@app.get("/decisions/{id}")
async def show(id: uuid.UUID, _: Caller) -> Answer:
    row = await service.audit.fetchrow("SELECT *, model_sha256 AS model FROM decisions WHERE id = $1", id)
    if row is None:
        raise HTTPException(404, "there is no such decision")
    return Answer(**row)


@app.get("/decisions/{id}/explanation")
async def explain(id: uuid.UUID, _: Caller) -> Explanation:
    row = await service.audit.fetchrow("SELECT input, model_sha256 FROM decisions WHERE id = $1", id)
    if row is None:
        raise HTTPException(404, "there is no such decision")
    if row["model_sha256"] != service.digest:
        raise HTTPException(410, "the model of this decision is not loaded any more")
    input = orjson.loads(row["input"])
    values = numpy.array([[input[feature] for feature in FEATURES]])
    *shares, base = service.booster.predict(values, pred_contrib=True, num_threads=1)[0].tolist()
    found = [Contribution(feature=feature, contribution=share) for feature, share in zip(FEATURES, shares, strict=True)]
    found.sort(key=lambda one: -abs(one.contribution))
    return Explanation(id=id, base=base, contributions=found)


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.get("/readyz")
async def ready() -> dict:
    try:
        await service.audit.fetchval("SELECT 1")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise HTTPException(503, "the database does not answer") from error
    return {"ready": True}


@app.exception_handler(Exception)
async def failed(_: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return Response(orjson.dumps({"detail": "internal error"}), 500, media_type="application/json")
