"""The OpenAPI document, written from the table of resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.api.resources import Field, Resource

_PROBLEMS = {
    "400": "A parameter cannot be used; the message names it",
    "401": "No token, a wrong one, or no session",
    "429": "Too many requests; `Retry-After` says for how long to wait",
    "503": "The database cannot be used now",
}


def document(resources: Iterable[Resource], *, prefix: str) -> dict[str, Any]:
    """Return the document of all resources; ``prefix`` is where the dashboard lives."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fmd-otel",
            "version": "1",
            "description": "The numbers behind the dashboard, to be read by programs.",
        },
        "servers": [{"url": f"{prefix}/api/v1"}],
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "The setting SECURITY_TOKEN."}
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {"type": "string"}},
                }
            },
        },
        "paths": {f"/{each.name}": {"get": _operation(each)} for each in resources},
    }


def _operation(resource: Resource) -> dict[str, Any]:
    return {
        "operationId": resource.name,
        "summary": resource.summary,
        "parameters": [
            {
                "name": each.name,
                "in": "query",
                "required": False,
                "description": each.description,
                "schema": {"type": "array", "items": dict(each.schema)}
                if each.repeatable
                else dict(each.schema),
            }
            for each in resource.parameters
        ],
        "responses": {
            "200": {
                "description": "The rows",
                "content": {
                    "application/json": {"schema": _rows(resource)},
                    "text/csv": {"schema": {"type": "string"}},
                },
            },
            **{
                code: {
                    "description": text,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for code, text in _PROBLEMS.items()
            },
        },
    }


def _rows(resource: Resource) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["data", "next"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": [field.name for field in resource.fields],
                    "additionalProperties": False,
                    "properties": {field.name: _field(field) for field in resource.fields},
                },
            },
            "next": {
                "type": ["string", "null"],
                "description": "For the parameter `cursor`; null at the end",
            },
            "range": {
                "type": "object",
                "description": "What the rows are of",
                "required": ["from", "to", "timezone"],
                "properties": {name: {"type": "string"} for name in ("from", "to", "timezone")},
            },
        },
    }


def _field(field: Field) -> dict[str, Any]:
    return {"type": [field.type, "null"] if field.nullable else field.type, "description": field.description}
