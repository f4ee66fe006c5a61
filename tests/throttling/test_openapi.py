"""The OpenAPI document describes what every route answers about tokens and limits."""

from typing import Any

import pytest
from drf_spectacular.validation import validate_schema

pytestmark = pytest.mark.usefixtures("redis_of")
CONDITIONAL = ("/api/intelligence/regime", "/api/intelligence/regime/{symbol}", "/api/macro", "/api/macro/{series_id}")
LIMITS = {"RateLimit", "RateLimit-Policy"}
Schema = dict[str, Any]


@pytest.fixture
def schema(client: Any) -> Schema:
    found: Schema = client.get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    return found


def resolved(schema: Schema, part: Schema) -> Schema:
    """``part``, or what it refers to."""
    for name in part.get("$ref", "#").split("/")[1:]:
        schema = schema[name]
    return schema if "$ref" in part else part


def responses(schema: Schema) -> list[tuple[str, str, Schema]]:
    """(path, status, response) of every operation, references followed."""
    return [
        (path, status, resolved(schema, response))
        for path, operations in schema["paths"].items()
        for operation in operations.values()
        for status, response in operation["responses"].items()
    ]


def test_it_is_openapi_3_1(schema: Schema) -> None:
    assert schema["openapi"].startswith("3.1.")
    validate_schema(schema)  # type: ignore[no-untyped-call]


def test_every_reference_leads_somewhere(schema: Schema) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, list):
            return [one for inner in part for one in references(inner)]
        if not isinstance(part, dict):
            return []
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [one for inner in part.values() for one in references(inner)]

    found = references(schema)
    assert found
    for one in found:
        assert resolved(schema, {"$ref": one})


def test_every_operation_documents_its_rejections(schema: Schema) -> None:
    headers_of = {"401": {"WWW-Authenticate", *LIMITS}, "429": {"Retry-After", *LIMITS}}
    for operations in schema["paths"].values():
        for operation in operations.values():
            assert {"401", "429", "503"} <= set(operation["responses"])
    for path, status, response in responses(schema):
        if status in headers_of:
            assert set(response["headers"]) == headers_of[status], path
        if status in ("401", "429"):
            example = response["content"]["application/problem+json"]["example"]
            assert (example["status"], example["type"].startswith("urn:avo:problem:")) == (int(status), True)
        elif status != "503":
            assert set(response["headers"]) >= LIMITS, path


def test_conditional_routes_document_their_304(schema: Schema) -> None:
    assert all("304" in schema["paths"][path]["get"]["responses"] for path in CONDITIONAL)


@pytest.mark.django_db
def test_documented_headers_are_sent(client: Any, schema: Schema, throttling: Any) -> None:
    throttling(RATES="anonymous=1/min")
    answers = {str(answer.status_code): answer for answer in (client.get("/api/macro") for _ in range(2))}
    documented = {status: response for path, status, response in responses(schema) if path == "/api/macro"}
    assert set(answers) == {"200", "429"}
    for status, answer in answers.items():
        assert set(documented[status]["headers"]) <= set(answer.headers)
    members = documented["429"]["content"]["application/problem+json"]["example"]
    assert set(members) == set(answers["429"].json())
