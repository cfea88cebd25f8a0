"""A GraphQL client that knows the service only by introspection (gql and graphql-core); statuses and headers by httpx.

Arguments: address of HTTP, key that may ask and read, key that may only ask this integration, key that may do all, name of the check.
"""

import concurrent.futures
import json
import sys

import httpx
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError, TransportServerError
from gql.transport.httpx import HTTPXTransport
from graphql import GraphQLError, build_client_schema, build_schema, get_introspection_query, lexicographic_sort_schema, print_schema

ADDRESS, READER, ASKER, ADMIN, CHECK = sys.argv[1:]
URL = f"http://{ADDRESS}/graphql"
LEAD = {
    "id": 1, "age": 28, "job": "management", "marital": "single", "education": "tertiary", "default": "no", "balance": 447,
    "housing": "yes", "loan": "yes", "contact": "unknown", "day": 5, "month": "may", "campaign": 1, "pdays": -1,
    "previous": 0, "poutcome": "unknown",
}
MODERN = "application/graphql-response+json"
DECIDE = """
mutation ($input: LeadScoreInput!, $key: String, $explain: Boolean! = false) {
  decideLeadScore(input: $input, idempotencyKey: $key, explain: $explain) {
    replayed
    decision { id integration at outcome subject door output band route durable model { name version digest }
      explanation { method base margin reasons { feature value contribution text } } }
  }
}
"""


def bearer(key):
    return {"authorization": f"Bearer {key}"} if key else {}


def client(key=READER, schema=True):
    transport = HTTPXTransport(url=URL, headers=bearer(key), timeout=60)
    return Client(transport=transport, fetch_schema_from_transport=schema)


def execute(query, key=READER, schema=True, **variables):
    request = gql(query)
    request.variable_values = variables
    return client(key, schema).execute(request)


def refused(query, key=READER, schema=False, **variables):
    try:
        execute(query, key, schema, **variables)
    except TransportQueryError as error:
        return error.errors
    raise AssertionError("was not refused")


def code(errors):
    extensions = errors[0]["extensions"]
    assert extensions["request_id"] and isinstance(extensions["retryable"], bool), extensions
    return extensions["code"]


def post(body, key=READER, **headers):
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    given = {"content-type": "application/json", **bearer(key), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(URL, content=text, headers={name: value for name, value in given.items() if value}, timeout=60)


def answers():
    asked = execute(DECIDE, input=LEAD, explain=True)["decideLeadScore"]
    decision = asked["decision"]
    assert not asked["replayed"] and decision["outcome"] == "ok" and decision["door"] == "api" and decision["durable"], decision
    assert decision["subject"] == "1" and decision["model"]["name"] == "lead-score", decision
    why = decision["explanation"]
    assert abs(why["base"] + sum(one["contribution"] for one in why["reasons"]) - why["margin"]) < 1e-9
    # The same is read back, by REST too, and the list has it.
    shown = execute(
        "query ($id: ID!) { decision(id: $id) { id seq caller output band explanation { margin reasons { feature } } deliveries { state } } }",
        id=decision["id"],
    )["decision"]
    assert shown["output"] == decision["output"] and shown["explanation"]["margin"] == why["margin"], shown
    rest = httpx.get(f"http://{ADDRESS}/v1/decisions/{decision['id']}", headers=bearer(READER)).json()
    assert rest["seq"] == shown["seq"] and rest["decision"]["output"] == shown["output"] and shown["deliveries"] == []
    # The same question by its general form, and with its key.
    general = """mutation ($input: JSON!) {
      a: decide(integration: "lead-score", input: $input, idempotencyKey: "k-1") { replayed decision { output seq } }
      b: decide(integration: "lead-score", input: $input, idempotencyKey: "k-1") { replayed decision { output seq } }
    }"""
    both = execute(general, input=LEAD)
    assert both["a"]["decision"] == both["b"]["decision"] and both["a"]["decision"]["output"] == decision["output"], both
    assert (both["a"]["replayed"], both["b"]["replayed"]) == (False, True), both
    # Names, models and systems.
    parts = execute("""{
      project plan
      integrations { name purpose owner model doors bands input mutation }
      integration(name: "lead-score") { name } none: integration(name: "x") { name }
      models { name versions { version digest features outputs } integrations { integration alias version } }
      systems { name kind breaker lastFailure waiting more oldest }
      letters { nodes { id } pageInfo { hasNextPage } }
    }""")
    assert parts["project"] == "test" and parts["none"] is None and parts["integration"] == {"name": "lead-score"}, parts
    assert parts["integrations"][0]["mutation"] == "decideLeadScore" and parts["systems"][0]["breaker"] == "closed", parts
    assert parts["models"][0]["integrations"][0]["version"] == parts["models"][0]["versions"][0]["version"], parts
    assert parts["letters"] == {"nodes": [], "pageInfo": {"hasNextPage": False}}


def schema():
    """What introspection tells is what is printed; and what the client's own rules find wrong never reaches the service."""
    printed = httpx.get(f"{URL}?sdl", headers=bearer(ASKER))
    assert printed.status_code == 200 and printed.headers["content-type"].startswith("text/plain"), printed.headers
    told = post({"query": get_introspection_query(specified_by_url=True, input_value_deprecation=True)}).json()["data"]
    ours, theirs = build_schema(printed.text), build_client_schema(told)
    assert print_schema(lexicographic_sort_schema(ours)) == print_schema(lexicographic_sort_schema(theirs))
    lead = ours.type_map["LeadScoreInput"]
    assert str(lead.fields["age"].type) == "Long" and str(lead.fields["job"].type) == "String", lead.fields
    for wrong in ["{ projekt }", 'mutation { decideLeadScore(input: { agee: 1 }) { replayed } }', "{ decision { id } }"]:
        try:
            client().execute(gql(wrong))
            raise AssertionError(wrong)
        except GraphQLError:
            pass
        assert code(refused(wrong)) == "graphql_invalid", wrong


def pages():
    """All decisions, page by page, each once and in the order of the record, while others are made."""
    for number in range(25):
        execute(DECIDE, input={**LEAD, "id": number, "age": 20 + number}, schema=False)
    page = """query ($after: String, $filter: DecisionFilter) {
      decisions(first: 7, after: $after, filter: $filter) {
        edges { cursor node { id seq at subject outcome band } } nodes { id }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }"""
    def all_of(given):
        found, after = [], None
        while True:
            shown = execute(page, schema=False, after=after, filter=given)["decisions"]
            info, edges = shown["pageInfo"], shown["edges"]
            assert [edge["node"]["id"] for edge in edges] == [node["id"] for node in shown["nodes"]]
            assert info["hasPreviousPage"] == (after is not None)
            assert not edges or info["startCursor"] == edges[0]["cursor"]
            found += edges
            after = info["endCursor"]
            execute(DECIDE, input={**LEAD, "id": 1000 + len(found)}, schema=False)
            if not info["hasNextPage"]:
                return found
    found = [edge for edge in all_of(None) if int(edge["node"]["subject"]) < 1000]
    assert [int(edge["node"]["subject"]) for edge in found] == list(range(24, -1, -1)), found
    # A page begins behind any edge.
    middle = execute(page, schema=False, after=found[10]["cursor"])["decisions"]
    assert middle["edges"][0] == found[11]
    # Filters hold for all pages; a cursor of another filter is none.
    one = all_of({"subject": "7"})
    assert [edge["node"]["subject"] for edge in one] == ["7"]
    bands = {edge["node"]["band"] for edge in found}
    for band in bands:
        assert {edge["node"]["band"] for edge in all_of({"band": band, "outcome": "ok"})} == {band}
    assert all_of({"outcome": "failed"}) == [] and all_of({"since": "2999-01-01T00:00:00Z"}) == []
    assert code(refused(page, after=found[0]["cursor"], filter={"band": "green"})) == "cursor"
    assert code(refused(page, after="made up")) == "cursor"
    assert code(refused(page, filter={"since": "yesterday"})) == "parameter"
    for first in (0, -1, 501):
        assert code(refused("query ($n: Int!) { decisions(first: $n) { nodes { id } } }", n=first)) == "list_limit"


def numbers():
    """Whole numbers of 64 bits, as numbers and as digits."""
    for written in (9007199254740993, "9007199254740993", -9007199254740993, "-9223372036854775808"):
        decision = execute(DECIDE, input={**LEAD, "id": written}, schema=False)["decideLeadScore"]["decision"]
        assert decision["subject"] == str(written), (written, decision)
    literal = ", ".join(f"{name}: {json.dumps(value)}" for name, value in {**LEAD, "id": 9007199254740993}.items())
    decision = execute(f"mutation {{ decideLeadScore(input: {{ {literal} }}) {{ decision {{ subject }} }} }}", schema=False)
    assert decision["decideLeadScore"]["decision"]["subject"] == "9007199254740993", decision
    for written in (1.5, "1.5", True, 2**63, "nine", ["1"], {"a": 1}):
        errors = refused(DECIDE, input={**LEAD, "id": written})
        assert code(errors) in ("wrong_type", "out_of_range"), (written, errors)
        assert errors[0]["extensions"]["pointer"] == "/input/id" and errors[0]["path"] == ["decideLeadScore"], errors


def errors():
    wrong = refused(DECIDE, input={**LEAD, "age": "old"})
    extensions = wrong[0]["extensions"]
    assert code(wrong) == "wrong_type" and extensions["pointer"] == "/input/age" and extensions["status"] == 422, wrong
    # It is a decision that can be read.
    assert execute("query ($id: ID!) { decision(id: $id) { outcome error { code } } }", id=extensions["decision_id"])["decision"] == {
        "outcome": "rejected", "error": {"code": "wrong_type"}}
    # One field's error leaves the others their answers.
    mixed = post({"query": """mutation ($input: LeadScoreInput!, $bad: LeadScoreInput!) {
      bad: decideLeadScore(input: $bad) { replayed } good: decideLeadScore(input: $input) { decision { outcome } }
    }""", "variables": {"input": LEAD, "bad": {**LEAD, "age": "old"}}})
    body = mixed.json()
    assert mixed.status_code == 200 and body["data"] == {"bad": None, "good": {"decision": {"outcome": "ok"}}}, body
    assert [error["path"] for error in body["errors"]] == [["bad"]] and body["errors"][0]["locations"], body
    conflict = """mutation ($a: LeadScoreInput!, $b: LeadScoreInput!) {
      one: decideLeadScore(input: $a, idempotencyKey: "k") { replayed } two: decideLeadScore(input: $b, idempotencyKey: "k") { replayed }
    }"""
    found = refused(conflict, a=LEAD, b={**LEAD, "age": 29})
    assert code(found) == "idempotency_conflict" and found[0]["path"] == ["two"], found
    assert code(refused(DECIDE, input=LEAD, key=READER, explain=None)) == "graphql_variables"
    secret = "Lovelace-7"
    for query, variables, expected in [
        ("{ decision(id: \"x\") { id } }", {}, "not_an_id"),
        ("{ decision(id: \"018f0000-0000-7000-8000-000000000000\") { id } }", {}, "decision_not_found"),
        ("mutation { retryLetter(id: \"1-0\") { state } }", {}, "scope_missing"),
        ("mutation { decide(integration: \"none\", input: {}) { replayed } }", {}, "integration_unknown"),
        ("mutation { decide(integration: \"lead-score\", input: 7) { replayed } }", {}, "not_an_object"),
        ("mutation { decide(integration: \"lead-score\", input: {x: 7}) { replayed } }", {}, "unknown_field"),
        ("mutation { decide(integration: \"lead-score\", input: {}, idempotencyKey: \"\") { replayed } }", {}, "idempotency_key"),
        (DECIDE, {"input": {**LEAD, "job": [secret]}}, "graphql_variables"),
        (DECIDE, {"input": secret}, "graphql_variables"),
        (DECIDE, {}, "graphql_variables"),
        (f'mutation {{ decideLeadScore(input: {{ job: {{ a: "{secret}" }} }}) {{ replayed }} }}', {}, "graphql_invalid"),
        ("query a { project } query b { project }", {}, "graphql_operation"),
        ("{ project", {}, "graphql_invalid"),
        ("subscription { project }", {}, "graphql_invalid"),
        ("", {}, "graphql_invalid"),
    ]:
        answer = post({"query": query, "variables": variables})
        assert code(answer.json()["errors"]) == expected, (query, answer.text)
        assert secret not in answer.text, answer.text
    letter = refused('mutation { retryLetter(id: "7-0") { state } }', key=ADMIN)
    assert code(letter) == "letter_not_found", letter


def scopes():
    """Each field by the caller's scopes: what a key may not do by REST it may not do here."""
    listing = {"decisions": "{ decisions { nodes { id } } }", "models": "{ models { name } }", "systems": "{ systems { name } }",
               "letters": "{ letters { nodes { id } } }"}
    for field, query in listing.items():
        assert execute(query, schema=False)[field] is not None
        found = refused(query, key=ASKER)
        assert code(found) == "scope_missing" and found[0]["path"] == [field], found
    assert code(refused('mutation { retryLetter(id: "7-0") { state } }', key=READER)) == "scope_missing"
    assert [one["name"] for one in execute("{ integrations { name } }", key=ASKER, schema=False)["integrations"]] == ["lead-score"]
    # One's own decisions can be read; others' cannot.
    own = execute(DECIDE, key=ASKER, input=LEAD, schema=False)["decideLeadScore"]["decision"]["id"]
    others = execute(DECIDE, key=READER, input=LEAD, schema=False)["decideLeadScore"]["decision"]["id"]
    one = "query ($id: ID!) { decision(id: $id) { id } }"
    assert execute(one, key=ASKER, schema=False, id=own)["decision"] == {"id": own}
    assert code(refused(one, key=ASKER, id=others)) == "scope_missing"
    for field in ("decideSecondScore(input: $input)", 'decide(integration: "second-score", input: $json)'):
        kind = "$input: SecondScoreInput!" if "input: $input" in field else "$json: JSON!"
        query = f"mutation ({kind}) {{ {field} {{ replayed }} }}"
        given = {"input": LEAD} if "input: $input" in field else {"json": LEAD}
        assert code(refused(query, key=ASKER, **given)) == "integration_forbidden"
        execute(query, key=READER, schema=False, **given)
    for key in (None, "tdn_nonsense"):
        answer = post({"query": "{ __typename }"}, key=key)
        assert answer.status_code == 401 and answer.headers["content-type"] == "application/problem+json", answer.text
        assert httpx.get(f"{URL}?sdl", headers=bearer(key)).status_code == 401
        try:
            execute("{ project }", key=key)
            raise AssertionError("let in")
        except TransportServerError as error:
            assert error.code == 401


def transport():
    """Statuses, media types and methods, as the draft has them."""
    query = "{ project }"
    get = lambda **parameters: httpx.get(URL, params=parameters, headers={**bearer(READER), "accept": MODERN})
    for answer in (post({"query": query}), post({"query": query}, accept="*/*"), post({"query": query}, accept=MODERN), get(query=query)):
        assert (answer.status_code, answer.json()) == (200, {"data": {"project": "test"}}), answer.text
        assert answer.headers["content-type"] == f"{MODERN}; charset=utf-8" and answer.headers["x-request-id"], answer.headers
    named = get(query="query a($n: String!) { integration(name: $n) { name } } query b { plan }", operationName="a", variables='{"n": "lead-score"}')
    assert named.json() == {"data": {"integration": {"name": "lead-score"}}}, named.text
    plain = post({"query": query}, accept="application/json")
    assert plain.headers["content-type"] == "application/json; charset=utf-8" and plain.json() == {"data": {"project": "test"}}
    # What cannot be done: by the newer type its status tells, by the older one only its body.
    assert post({"query": "{ projekt }"}).status_code == 400
    assert post({"query": "{ projekt }"}, accept="application/json").status_code == 200
    # A field's error is an answer.
    field = post({"query": '{ decision(id: "x") { id } project }'})
    assert field.status_code == 200 and field.json()["data"] == {"decision": None, "project": "test"}, field.text
    # A GET changes nothing, whoever's page sends it.
    change = get(query='mutation { decide(integration: "lead-score", input: {}) { replayed } }')
    assert change.status_code == 405 and change.headers["allow"] == "POST" and code(change.json()["errors"]) == "wrong_method"
    for body, status, expected in [
        ("", 400, "malformed_json"), ("{", 400, "malformed_json"), ("7", 400, "graphql_request"), ("{}", 400, "graphql_request"),
        ('{"query": 7}', 400, "graphql_request"), ('{"query": "{project}", "variables": []}', 400, "graphql_request"),
        ('{"query": "{project}", "operationName": "x"}', 400, "graphql_operation"),
        ([{"query": query}] * 2, 400, "graphql_batch"), ('{"query": "{project}", "extensions": {"a": 1}}', 200, None),
        ('{"query": "{project}", "variables": null, "operationName": null}', 200, None), (b'{"query": "{ \xff }"}', 400, "malformed_json"),
    ]:
        answer = post(body)
        assert answer.status_code == status, (body, answer.text)
        assert expected is None or code(answer.json()["errors"]) == expected, (body, answer.text)
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = post({"query": query}, content_type=kind)
        assert answer.status_code == 415 and answer.json()["code"] == "not_json", answer.text
    assert get().status_code == 400 and get(query="{project}", variables="[").status_code == 400
    assert get(unknown="1").json()["code"] == "unknown_parameter"
    assert httpx.put(URL, headers=bearer(READER)).status_code == 405
    # One decision names itself in the headers; its deadline is the request's.
    decided = post({"query": DECIDE, "variables": {"input": LEAD}})
    assert decided.headers["tendon-decision-id"] == decided.json()["data"]["decideLeadScore"]["decision"]["id"]
    assert "infer" in decided.headers["server-timing"], decided.headers
    late = post({"query": DECIDE, "variables": {"input": LEAD}}, tendon_timeout_ms="0")
    assert late.status_code == 200 and code(late.json()["errors"]) == "deadline_passed", late.text
    assert post({"query": query}, tendon_timeout_ms="soon").json()["code"] == "timeout_header"


def bombs():
    """What would cost too much is refused before anything is done, while others are answered."""
    deep = "{ __schema { types " + "{ fields { type " * 60 + "{ name }" + " } }" * 60 + " } }"
    chain = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(300)) + " fragment f300 on Query { project }"
    fan = " ".join(
        f"fragment f{n} on __Type {{ a: ofType {{ ...f{n + 1} }} b: ofType {{ ...f{n + 1} }} }}" for n in range(17)
    ) + " fragment f17 on __Type { name }"
    lists = "{ " + " ".join(f"a{n}: decisions(first: 500) {{ nodes {{ id subject }} }}" for n in range(20)) + " }"
    found = {
        "levels": ({"query": deep}, "graphql_invalid"),
        "levels of introspection": ({"query": "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"}, "graphql_too_deep"),
        "levels of types": ({"query": "{ __type(name: \"Query\") " + "{ ofType " * 25 + "{ name }" + " }" * 25 + " }"}, "graphql_too_deep"),
        "inline fragments": ({"query": "{ " + "... { " * 200 + "project" + " }" * 200 + " }"}, "graphql_invalid"),
        "brackets": ({"query": "{ decisions(filter: " + "[" * 20000 + "]" * 20000 + ") { nodes { id } } }"}, "graphql_invalid"),
        "aliases": ({"query": "{ " + " ".join(f"a{n}: project" for n in range(10_000)) + " }"}, "graphql_too_long"),
        "aliases within the length": ({"query": "{ " + " ".join(f"a{n}: project" for n in range(3_500)) + " }"}, "graphql_invalid"),
        "descriptions": ({"query": "{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(900)) + " }"}, "graphql_invalid"),
        "a few descriptions": ({"query": "{ " + " ".join(f"a{n}: __schema {{ types {{ fields {{ args {{ name }} }} }} }}" for n in range(100)) + " }"}, "graphql_too_costly"),
        "decisions": ({"query": "mutation ($i: LeadScoreInput!) { " + " ".join(f"a{n}: decideLeadScore(input: $i) {{ replayed }}" for n in range(150)) + " }", "variables": {"i": LEAD}}, "graphql_too_costly"),
        "lists": ({"query": lists}, "graphql_too_costly"),
        "a long list by a variable": ({"query": "query ($n: Int!) { decisions(first: $n) { nodes { explanation { reasons { text feature value contribution } } } } }", "variables": {"n": 500}}, "graphql_too_costly"),
        "a chain of fragments": ({"query": "{ ...f0 } " + chain}, "graphql_invalid"),
        "a fan of fragments": ({"query": '{ __type(name: "Query") { ...f0 } } ' + fan}, "graphql_too_costly"),
        "a cycle": ({"query": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a project }"}, "graphql_invalid"),
        "itself": ({"query": "{ ...a } fragment a on Query { ...a }"}, "graphql_invalid"),
        "the same field": ({"query": "{ " + "project " * 9_000 + "}"}, None),
        "directives": ({"query": "{ project " + "@include(if: true) " * 2_000 + "}"}, "graphql_invalid"),
        "a megabyte": ({"query": "{ project " + " " * 1_000_000 + "}"}, "graphql_too_long"),
        "comments": ({"query": "{ project } " + "#\n" * 32_000}, None),
        "commas": ({"query": "{ project } " + "," * 65_000}, None),
        "a text": ({"query": '{ integration(name: "' + "x" * 65_000 + '") { name } }'}, None),
        "arguments": ({"query": "{ integration(" + " ".join(f"a{n}: 1" for n in range(2_000)) + ") { name } }"}, "graphql_invalid"),
        "variables": ({"query": "query (" + " ".join(f"$a{n}: Int" for n in range(2_000)) + ") { project }"}, "graphql_invalid"),
        "operations": ({"query": " ".join(f"query a{n} {{ project }}" for n in range(1_500)), "operationName": "a7"}, None),
    }
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for name, (_, expected), answer in zip(found, found.values(), pool.map(lambda one: post(one[0]), found.values())):
            if expected is None:
                assert answer.status_code in (200, 400), (name, answer.text[:200])
                continue
            assert answer.status_code == 400 and code(answer.json()["errors"]) == expected, (name, answer.status_code, answer.text[:600])
            assert len(answer.text) < 10_000, name
    too_large = post(b'{"query": "{ project }", "variables": {"a": "' + b"x" * 2_000_000 + b'"}}')
    assert too_large.status_code == 413, too_large.text
    # A decision that is made within all limits still is.
    many = "mutation ($i: LeadScoreInput!) { " + " ".join(f"a{n}: decideLeadScore(input: $i) {{ replayed }}" for n in range(90)) + " }"
    assert len(execute(many, schema=False, i=LEAD)) == 90


globals()[CHECK]()
