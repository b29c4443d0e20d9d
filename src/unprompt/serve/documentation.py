"""The page /docs: the description of the service for people, without a script and without another server."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from unprompt.serve.openapi import description

_STYLE = Path(__file__).with_name("documentation.css")


@functools.cache
def page() -> bytes:
    """The page in HTML."""
    return "\n".join(_lines(description())).encode("utf-8")


@functools.cache
def style() -> bytes:
    """Its style sheet."""
    return _STYLE.read_bytes()


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    info = told["info"]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<title>unprompt: the service</title>\n<link rel="stylesheet" href="docs.css">\n</head>\n<body>\n<main>'
    yield f"<h1>unprompt {escape(info['version'])}: the service</h1>\n<p>{escape(info['description'])}"
    yield 'For programs: <a href="openapi.json">openapi.json</a>. The <a href="./">page</a>.</p>\n<nav>\n<ul>'
    operations = [(path, method, asked) for path, methods in told["paths"].items() for method, asked in methods.items()]
    for path, method, asked in operations:
        yield f'<li><a href="#{_anchor(method, path)}"><b>{method.upper()}</b> {escape(path)}</a>'
        yield f" {escape(asked['summary'])}</li>"
    yield "</ul>\n</nav>"
    for path, method, asked in operations:
        yield from _operation(path, method, asked)
    yield "<h2>What the answers hold</h2>"
    for name, schema in told["components"]["schemas"].items():
        yield f'<section id="{name}"><h3>{name}</h3>'
        yield from _properties(schema)
        yield "</section>"
    yield "</main>\n</body>\n</html>\n"


def _operation(path: str, method: str, asked: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section id="{_anchor(method, path)}">'
    yield f"<h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
    yield f"<p>{escape(asked['summary'])}. {escape(asked.get('description', ''))}</p>"
    if parameters := asked.get("parameters"):
        yield "<h3>In the query</h3>\n<dl>"
        for parameter in parameters:
            default = parameter["schema"].get("default", "...")
            yield f"<dt><code>{escape(parameter['name'])}={escape(default)}</code></dt>"
            yield f"<dd>{escape(parameter['description'])}</dd>"
        yield "</dl>"
    if body := asked.get("requestBody"):
        yield "<h3>Body</h3>\n<dl>"
        for media, content in body["content"].items():
            yield f"<dt><code>{escape(media)}</code></dt><dd><code>{escape(_shape(content['schema']))}</code></dd>"
        yield "</dl>"
    yield "<h3>Answers</h3>\n<dl>"
    for status, answer in asked["responses"].items():
        shapes = "; ".join(f"{media}: {_shape(content['schema'])}" for media, content in answer["content"].items())
        yield f"<dt><code>{status}</code></dt><dd>{escape(answer['description'])}"
        yield f" <code>{escape(shapes)}</code></dd>" if status == "200" else "</dd>"
    yield "</dl>\n</section>"


def _properties(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "<dl>"
    for name, value in schema["properties"].items():
        yield f"<dt><code>{escape(name)}: {escape(_shape(value))}</code></dt>"
        yield f"<dd>{escape(value.get('description', ''))}</dd>"
    yield "</dl>"


def _shape(schema: Mapping[str, Any]) -> str:
    """A schema in a line, as people write it down."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return " or ".join(map(_shape, schema["oneOf"]))
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "properties" in schema:
        return "{" + ", ".join(f'"{name}": {_shape(value)}' for name, value in schema["properties"].items()) + "}"
    if schema.get("type") == "array":
        return f"[{_shape(schema['items'])}, ...]"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(schema.get("format", kind))


def _anchor(method: str, path: str) -> str:
    return f"{method}{path.replace('/', '-').replace('.', '-')}"
