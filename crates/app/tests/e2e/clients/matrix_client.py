"""Asks every case as every caller, over TLS: HTTP by the standard library, gRPC by grpcio with messages known by reflection.

Reads one JSON object from stdin: `http` and `grpc` (ports), `ca`, `callers`, `cases`. Prints one list per caller with one answer per
case: `status`, `code` (of the problem, the first GraphQL error or the gRPC details) and `body`.
"""

import http.client
import json
import socket
import ssl
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

TOLD = json.load(sys.stdin)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Caller:
    def __init__(self, told):
        self.told = told
        context = ssl.create_default_context(cafile=TOLD["ca"])
        pair = {}
        if told.get("cert"):
            context.load_cert_chain(told["cert"], told["key"])
            pair = {"private_key": read(told["key"]), "certificate_chain": read(told["cert"])}
        self.connection = http.client.HTTPSConnection("localhost", TOLD["http"], context=context, timeout=60)
        credentials = grpc.ssl_channel_credentials(read(TOLD["ca"]), **pair)
        self.channel = grpc.secure_channel(f"localhost:{TOLD['grpc']}", credentials)
        self.headers = {name: told[name] for name in ("authorization", "origin") if told.get(name)}

    def exchange(self, case, path, headers):
        if self.connection.sock is None:
            self.connection.connect()
            # Head and body are sent one after the other: neither waits for the other's arrival.
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request(case["method"], path, body=case.get("body"), headers=headers)
        return self.connection.getresponse()

    def http(self, case):
        path = case["path"]
        if self.told.get("query"):
            path += ("&" if "?" in path else "?") + self.told["query"]
        headers = {**self.headers, "content-type": "application/json"}
        try:
            answer = self.exchange(case, path, headers)
        except (ConnectionError, ssl.SSLEOFError, http.client.RemoteDisconnected):
            # What was refused before its body was read ends its connection.
            self.connection.close()
            answer = self.exchange(case, path, headers)
        body = answer.read().decode()
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        code = value.get("code") if isinstance(value, dict) and answer.status >= 400 else None
        if isinstance(value, dict) and value.get("errors"):
            code = value["errors"][0]["extensions"]["code"]
        return {"status": answer.status, "code": code, "body": body}

    def grpc(self, case):
        method = SERVICE.methods_by_name[case["method"]]
        question = message_factory.GetMessageClass(method.input_type)()
        json_format.ParseDict(case["fields"], question)
        answer = message_factory.GetMessageClass(method.output_type)
        metadata = [("authorization", self.told["authorization"])] if self.told.get("authorization") else []
        path = f"/tendon.v1.Decisions/{case['method']}"
        write = lambda one: one.SerializeToString()
        try:
            if method.client_streaming:
                call = self.channel.stream_stream(path, write, answer.FromString)
                given = next(iter(call(iter([question]), metadata=metadata, timeout=60)))
                code = given.problem.code if given.HasField("problem") else None
                return {"status": "OK", "code": code, "body": json_format.MessageToJson(given)}
            given = self.channel.unary_unary(path, write, answer.FromString)(question, metadata=metadata, timeout=60)
            return {"status": "OK", "code": None, "body": json_format.MessageToJson(given)}
        except grpc.RpcError as error:
            code = None
            for name, value in error.trailing_metadata() or []:
                if name == "grpc-status-details-bin":
                    for one in status_pb2.Status.FromString(value).details:
                        info = error_details_pb2.ErrorInfo()
                        if one.Is(info.DESCRIPTOR):
                            one.Unpack(info)
                            code = info.metadata["code"]
            return {"status": error.code().name, "code": code, "body": ""}

    def ask(self, case):
        return self.grpc(case) if case["surface"] == "grpc" else self.http(case)


CALLERS = [Caller(told) for told in TOLD["callers"]]
DATABASE = ProtoReflectionDescriptorDatabase(CALLERS[0].channel)
SERVICE = descriptor_pool.DescriptorPool(DATABASE).FindServiceByName("tendon.v1.Decisions")

answers = []
for caller in CALLERS:
    # What is to be spent before anything is asked, and credentials that have to end first.
    for case in caller.told.get("spend", []):
        caller.ask(case)
    while caller.told.get("until"):
        if caller.http({"method": "GET", "path": "/v1/integrations"})["code"] == caller.told["until"]:
            break
    answers.append([caller.ask(case) for case in TOLD["cases"]])
print(json.dumps(answers))
