"""A gRPC client that knows the service only by its reflection. Each check is a function; the first that does not hold ends it.

Arguments: address of gRPC, key that may ask and read, key that may only ask, name of the check.
"""

import json
import os
import socket
import sys
import threading

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

ADDRESS, READER, ASKER, CHECK = sys.argv[1:]
LEAD = {
    "id": 1, "age": 28, "job": "management", "marital": "single", "education": "tertiary", "default": "no", "balance": 447,
    "housing": "yes", "loan": "yes", "contact": "unknown", "day": 5, "month": "may", "campaign": 1, "pdays": -1,
    "previous": 0, "poutcome": "unknown",
}


def channel():
    """Plain, or TLS where the certificate of an authority is given."""
    if authority := os.environ.get("GRPC_AUTHORITY"):
        with open(authority, "rb") as file:
            return grpc.secure_channel(ADDRESS.replace("127.0.0.1", "localhost"), grpc.ssl_channel_credentials(file.read()))
    return grpc.insecure_channel(ADDRESS)


class Client:
    def __init__(self, key=READER):
        self.channel = channel()
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = set(database.get_services())
        self.pool = descriptor_pool.DescriptorPool(database)
        self.service = self.pool.FindServiceByName("tendon.v1.Decisions")
        self.metadata = [("authorization", f"Bearer {key}")] if key else []

    def message(self, name, **fields):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"tendon.v1.{name}"))(**fields)

    def method(self, name):
        method = self.service.methods_by_name[name]
        answer = message_factory.GetMessageClass(method.output_type)
        kind = self.channel.stream_stream if method.client_streaming else self.channel.unary_unary
        return kind(f"/tendon.v1.Decisions/{name}", lambda one: one.SerializeToString(), answer.FromString)

    def call(self, name, message, **more):
        return self.method(name)(message, metadata=self.metadata, timeout=60, **more)

    def ask(self, fields, form="json", **more):
        request = self.message("DecideRequest", integration="lead-score", **more)
        if form == "json":
            request.json = json.dumps(fields).encode()
        else:
            request.fields.update(fields)
        return request

    def decide(self, fields, form="json", **more):
        return self.call("Decide", self.ask(fields, form, **more))


def refused(call):
    try:
        call()
    except grpc.RpcError as error:
        details = {}
        for name, value in error.trailing_metadata() or []:
            if name == "grpc-status-details-bin":
                for one in status_pb2.Status.FromString(value).details:
                    kind = getattr(error_details_pb2, one.type_url.rsplit(".", 1)[1])
                    message = kind()
                    assert one.Unpack(message)
                    details[kind.DESCRIPTOR.name] = message
        return error.code(), details
    raise AssertionError("was not refused")


def code(call):
    status, details = refused(call)
    info = details["ErrorInfo"]
    assert info.reason == info.metadata["code"].upper() and info.domain == "tendon", info
    assert details["RequestInfo"].request_id
    return status.name, info.metadata["code"]


def answers():
    client = Client()
    assert client.services >= {"tendon.v1.Decisions", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    as_json = client.decide(LEAD).decision
    as_fields = client.decide(LEAD, "fields").decision
    assert as_json.outcome == 1 and as_json.durable and as_json.subject == "1" and as_json.door == "api", as_json
    assert as_json.output == as_fields.output and as_json.band == as_fields.band and as_json.id != as_fields.id
    explained = client.decide(LEAD, explain=True).decision.explanation
    again = client.call("Explain", client.message("ExplainRequest", id=as_json.id))
    assert explained == again and len(explained.reasons) > 3
    total = explained.base + sum(reason.contribution for reason in explained.reasons)
    assert abs(total - explained.margin) < 1e-9
    got = client.call("Get", client.message("GetRequest", id=as_json.id))
    assert got.decision == as_json
    # Reasons name the values of what somebody asked to them, and only the features to who may read.
    foreign = Client(ASKER).decide(LEAD, explain=True).decision
    assert all(" = " in reason.text and reason.value.WhichOneof("kind") != "null_value" for reason in foreign.explanation.reasons)
    read = client.call("Get", client.message("GetRequest", id=foreign.id)).decision
    for shown in (read.explanation, client.call("Explain", client.message("ExplainRequest", id=foreign.id))):
        assert len(shown.reasons) == len(foreign.explanation.reasons) and shown.margin == foreign.explanation.margin, shown
        for reason in shown.reasons:
            assert reason.value.WhichOneof("kind") == "null_value" and " = " not in reason.text, reason
    pages, token = [], ""
    while True:
        page = client.call("List", client.message("ListRequest", integration="lead-score", page_size=2, page_token=token))
        pages.append([one.id for one in page.decisions])
        token = page.next_page_token
        if not token:
            break
    assert [len(page) for page in pages] == [2, 2] and pages[1][-1] == as_json.id, pages
    listed = client.call("ListIntegrations", client.message("ListIntegrationsRequest"))
    assert listed.integrations[0].name == "lead-score" and "age" in listed.integrations[0].input["properties"]
    _, call = client.method("Decide").with_call(client.ask(LEAD), metadata=client.metadata + [("x-request-id", "mine-1")])
    initial = dict(call.initial_metadata())
    assert initial["x-request-id"] == "mine-1" and "record;dur=" in initial["server-timing"] and initial["tendon-decision-id"]


def numbers():
    client = Client()
    beyond = 2**53 + 1
    assert client.decide(LEAD | {"id": beyond}).decision.subject == str(beyond), "JSON keeps 64 bits"
    assert client.decide(LEAD | {"id": 2**53}, "fields").decision.subject == str(2**53)
    status, details = refused(lambda: client.decide(LEAD | {"id": beyond + 1}, "fields"))
    assert status.name == "INVALID_ARGUMENT" and details["BadRequest"].field_violations[0].field == "input.id", details
    assert refused(lambda: client.decide(LEAD | {"age": float("nan")}, "fields"))[0].name == "INVALID_ARGUMENT"


def errors():
    client, asker = Client(), Client(ASKER)
    assert code(lambda: Client(None).decide(LEAD)) == ("UNAUTHENTICATED", "key_missing")
    assert code(lambda: Client("tdn_wrong").decide(LEAD)) == ("UNAUTHENTICATED", "key_not_recognised")
    request = client.message("DecideRequest", integration="lead-score")
    assert code(lambda: client.call("Decide", request)) == ("INVALID_ARGUMENT", "input_missing")
    assert code(lambda: client.decide([])) [0] == "INVALID_ARGUMENT"
    request = client.message("DecideRequest", integration="none", json=b"{}")
    assert code(lambda: client.call("Decide", request))[0] == "NOT_FOUND"
    status, details = refused(lambda: client.decide(LEAD | {"age": "old"}))
    assert status.name == "INVALID_ARGUMENT" and details["BadRequest"].field_violations[0].field == "input.age", details
    recorded = details["ErrorInfo"].metadata["decision_id"]
    assert client.call("Get", client.message("GetRequest", id=recorded)).decision.outcome == 3
    asked = asker.decide(LEAD).decision.id
    assert asker.call("Get", client.message("GetRequest", id=asked)).decision.id == asked, "one's own may be seen"
    assert code(lambda: asker.call("Get", client.message("GetRequest", id=recorded))) == ("PERMISSION_DENIED", "scope_missing")
    assert code(lambda: asker.call("List", client.message("ListRequest"))) == ("PERMISSION_DENIED", "scope_missing")
    assert code(lambda: client.call("List", client.message("ListRequest", page_size=501))) == ("INVALID_ARGUMENT", "list_limit")
    assert code(lambda: client.call("List", client.message("ListRequest", page_token="x"))) == ("INVALID_ARGUMENT", "cursor")
    unknown = "0190163d-8694-739b-aea5-966c26f8ad91"
    assert code(lambda: client.call("Get", client.message("GetRequest", id=unknown))) == ("NOT_FOUND", "decision_not_found")
    assert code(lambda: client.decide(LEAD, idempotency_key="x" * 256)) == ("INVALID_ARGUMENT", "idempotency_key")
    first = client.decide(LEAD, idempotency_key="k1")
    second = client.decide(LEAD, idempotency_key="k1")
    assert second.replayed and not first.replayed and first.decision == second.decision
    assert code(lambda: client.decide(LEAD | {"age": 29}, idempotency_key="k1"))[0] == "ALREADY_EXISTS"
    big = LEAD | {"job": "x" * (2 << 20)}
    for form in ["json", "fields"]:
        assert code(lambda: client.decide(big, form)) == ("RESOURCE_EXHAUSTED", "body_too_large")
    raw = client.channel.unary_unary("/tendon.v1.Decisions/Decide")
    assert code(lambda: raw(b"\xff\xff\xff", metadata=client.metadata)) == ("INVALID_ARGUMENT", "malformed_message")
    packed = grpc.Compression.Gzip
    assert code(lambda: client.call("Decide", client.ask(LEAD | {"job": "x" * 999}), compression=packed)) == ("UNIMPLEMENTED", "compressed")
    other = client.channel.unary_unary("/tendon.v1.Decisions/Guess")
    assert code(lambda: other(b"", metadata=client.metadata)) == ("UNIMPLEMENTED", "no_method")
    assert client.decide(LEAD).decision.outcome == 1


def stream():
    client = Client()

    def questions():
        for number in range(1000):
            fields = {"age": "old"} if number == 500 else {"id": number}
            if number == 501:
                yield client.message("DecideRequest", integration="none", json=b"{}")
            elif number == 502:
                yield client.message("DecideRequest", integration="lead-score")
            else:
                yield client.ask(LEAD | fields, "fields" if number % 2 else "json")

    given = list(client.call("DecideStream", questions()))
    assert [one.index for one in given] == list(range(1000))
    for number, one in enumerate(given):
        if number in (500, 501, 502):
            assert one.WhichOneof("result") == "problem", one
        else:
            assert one.answer.decision.subject == str(number), one
    assert (given[500].problem.pointer, given[500].problem.status) == ("/input/age", 3) and given[500].problem.decision_id
    assert [given[501].problem.status, given[502].problem.code] == [5, "input_missing"]
    questions = [client.ask(LEAD), client.ask(LEAD | {"job": "x" * (2 << 20)}), client.ask(LEAD)]
    call = client.call("DecideStream", iter(questions))
    assert code(lambda: list(call)) == ("RESOURCE_EXHAUSTED", "body_too_large")


def cancelled():
    """Whoever hangs up cancels nothing: asked again under the same keys, each question has been decided at most once."""
    client = Client()
    method = client.method("Decide")
    asked = [client.ask(LEAD | {"id": number}, idempotency_key=f"c{number}") for number in range(200)]
    calls = [method.future(one, metadata=client.metadata, timeout=60) for one in asked]
    calls[20].result()
    for call in calls:
        call.cancel()
    before = {number: call.result().decision.id for number, call in enumerate(calls) if not call.cancelled()}
    after = [client.call("Decide", one) for one in asked]
    for number, decision_id in before.items():
        assert after[number].replayed and after[number].decision.id == decision_id
    page = client.call("List", client.message("ListRequest", page_size=500))
    assert len(page.decisions) == 200 and len({one.subject for one in page.decisions}) == 200, len(page.decisions)


def health():
    client = Client(None)
    stub = health_pb2_grpc.HealthStub(client.channel)
    for name in ["", "tendon.v1.Decisions"]:
        assert stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=60).status == 1
    assert refused(lambda: stub.Check(health_pb2.HealthCheckRequest(service="x"), timeout=60))[0].name == "NOT_FOUND"


def rude():
    """Bytes that are no HTTP/2, half an opening, an opening and nothing after it: others are served."""
    host, port = ADDRESS.rsplit(":", 1)
    opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    held = []
    for sent in [b"\x16\x03\x01\x02\x00\x01", b"\xff" * 4096, opening[:10], opening, opening + b"\xff" * 99, opening + b"\0" * 9999]:
        held.append(socket.create_connection((host, int(port))))
        held[-1].sendall(sent)
    plain = socket.create_connection((host, int(port)))
    plain.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
    said = b""
    while part := plain.recv(4096):
        said += part
    assert said.startswith(b"HTTP/1.1 505") and said.endswith(b"not HTTP/1.1"), said
    assert Client().decide(LEAD).decision.outcome == 1


def stop():
    """An idle stream and a health watch are open when the process is told to stop: both end, and say why."""
    client = Client()
    watch = health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(service=""))
    assert next(watch).status == 1
    more = threading.Event()

    def questions():
        yield client.ask(LEAD)
        more.wait()

    call = client.method("DecideStream")(questions(), metadata=client.metadata)
    assert next(call).answer.decision.outcome == 1
    print("open", flush=True)
    seen = refused(lambda: next(call))
    assert seen[0].name == "UNAVAILABLE" and seen[1]["ErrorInfo"].metadata["code"] == "stopping", seen
    assert [one.status for one in watch] == [2]
    more.set()


def traced():
    """A call and a stream inside traces of the caller."""
    client = Client()
    at = lambda trace: client.metadata + [("traceparent", f"00-{trace * 16}-b7ad6b7169203331-01")]
    client.method("Decide").with_call(client.ask(LEAD), metadata=at("c1"))
    answers = client.method("DecideStream")(iter([client.ask(LEAD)]), metadata=at("c2"))
    assert len(list(answers)) == 1


globals()[CHECK]()
