"""The routes, and what surrounds each request: safety, errors in the dialect spoken, headers, counting."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from unprompt.serve import a1111, clip_retrieval, interrogator_extension, native, openai
from unprompt.serve.documentation import page as documentation_page
from unprompt.serve.documentation import style as documentation_style
from unprompt.serve.errors import Refusal, refusal_of, refused
from unprompt.serve.openapi import description
from unprompt.serve.page_files import PageFile, page_files
from unprompt.serve.responses import json_response
from unprompt.serve.safety import NO_POLICY, SECURITY_HEADERS, Safety, cross_origin_headers, preflight_headers
from unprompt.serve.service import Service
from unprompt.serve.telemetry import CONTENT_TYPE, forget_process

Endpoint: TypeAlias = Callable[[Request, Service], Awaitable[Response]]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_ACTIVE_LIMIT = 512
"""Requests in work at once; most of them wait for their bodies."""

_GONE = 499
"""The status counted for a client that went away, as nginx has it; nobody receives it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Route:
    """What is done at a path; `name` is counted and logged, since a path may hold what a client made up."""

    name: str
    methods: Mapping[str, Endpoint]
    needs_key: bool = True


async def health(request: Request, service: Service) -> Response:
    """Alive: the process answers. Whether it can predict is /ready's business."""
    return json_response({"status": "ok"})


async def ready(request: Request, service: Service) -> Response:
    """Ready once the models are loaded; a 503 before, and while the service stops."""
    service.check_ready()
    return json_response({"status": "ready"})


async def metrics(request: Request, service: Service) -> Response:
    """The counters, for Prometheus."""
    service.telemetry.sample(service.pictures.waiting, service.active)
    return Response(service.telemetry.text(), media_type=CONTENT_TYPE)


async def openapi(request: Request, service: Service) -> Response:
    """The description of this service, for programs."""
    return json_response(description())


async def docs(request: Request, service: Service) -> Response:
    """The same for people."""
    return PageFile.of(documentation_page(), ".html").response(request)


async def docs_style(request: Request, service: Service) -> Response:
    """The style of the page for people."""
    return PageFile.of(documentation_style(), ".css").response(request)


def _posts(name: str, endpoint: Endpoint) -> Route:
    return Route(name, {"POST": endpoint})


def _gets(name: str, endpoint: Endpoint, *, needs_key: bool = True) -> Route:
    return Route(name, {"GET": endpoint, "HEAD": endpoint}, needs_key)


def routes(service: Service) -> dict[str, Route]:
    """All routes, by path."""
    chat, embeddings, models = _posts("chat", openai.chat), _posts("embeddings", openai.embeddings), openai.models
    own = service.unprompter.preset.name
    table = {
        "/v1/predict": Route("predict", {"POST": native.predict, "PUT": native.predict}),
        "/v1/metadata": Route("metadata", {"POST": native.metadata, "PUT": native.metadata}),
        "/v1/score": _posts("score", native.score),
        "/v1/similar": Route("similar", {"POST": native.similar, "PUT": native.similar}),
        "/v1/embeddings": embeddings,
        "/v1/chat/completions": chat,
        "/v1/models": _gets("models", models),
        f"/v1/models/{own}": _gets("models", openai.model),
        # OpenAI's client takes its base address as it is given, with or without /v1.
        "/embeddings": embeddings,
        "/chat/completions": chat,
        "/models": _gets("models", models),
        "/sdapi/v1/interrogate": _posts("a1111-interrogate", a1111.interrogate),
        "/sdapi/v1/png-info": _posts("a1111-png-info", a1111.png_info),
        "/sdapi/v1/options": Route("a1111-options", {"GET": a1111.options, "POST": a1111.set_options}),
        "/interrogator/models": _gets("interrogator-models", interrogator_extension.models),
        "/interrogator/prompt": _posts("interrogator-prompt", interrogator_extension.prompt),
        "/interrogator/analyze": _posts("interrogator-analyze", interrogator_extension.analyze),
        "/knn-service": _posts("knn", clip_retrieval.knn),
        "/indices-list": _gets("knn-indices", clip_retrieval.indices),
        "/metadata": _posts("knn-metadata", clip_retrieval.metadata),
        "/health": _gets("health", health, needs_key=False),
        "/ready": _gets("ready", ready, needs_key=False),
        "/metrics": _gets("metrics", metrics),
        "/openapi.json": _gets("openapi", openapi, needs_key=False),
        "/docs": _gets("docs", docs, needs_key=False),
        "/docs.css": _gets("docs", docs_style, needs_key=False),
    }
    for path, file in page_files().items():
        table[path] = _gets("page", functools.partial(_file, file), needs_key=False)
    return table


async def _file(file: PageFile, request: Request, service: Service) -> Response:
    return file.response(request)


class App:
    """The service as an ASGI application. Its lifespan begins with loading the models and ends with the queues."""

    def __init__(self, service: Service, *, failed: Callable[[Exception], None] = lambda _error: None) -> None:
        self.service = service
        self.safety = Safety(service.settings)
        self._routes = routes(service)
        self._failed = failed

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; nothing that it raises leaves this method."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.service.start(self._failed)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.get_running_loop().run_in_executor(None, self.service.stop)
        forget_process()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.monotonic()
        path = scope["path"].rstrip("/") or "/"
        route = self._routes.get(path)
        exchange = _Exchange(receive, send, Headers(scope=scope).get("origin", ""), self.safety)
        self.service.active += 1
        try:
            response = await self._response(Request(scope, exchange.receive), path, route)
            await response(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = _GONE
        except asyncio.CancelledError:
            # The time to drain is over. The client gets to know, and the server has no task left to complain of.
            await exchange.refuse(
                scope,
                path,
                Refusal(503, "expected a running service, found one that stops; ask again", kind="stopping"),
            )
        except Exception as error:
            _log_fault(error)
            await exchange.refuse(scope, path, refusal_of(error))
        finally:
            self.service.active -= 1
            name = route.name if route is not None else "other"
            seconds = time.monotonic() - started
            self.service.telemetry.answered(name, exchange.status, seconds, exchange.received, exchange.words(self))

    async def _response(self, request: Request, path: str, route: Route | None) -> Response:
        try:
            needs_key = route is None or route.needs_key
            if request.method == "OPTIONS":
                return self._preflight(request)
            self.safety.check(request.method, request.headers, needs_key=needs_key)
            endpoint = self._endpoint(request, route)
            if self.service.active > _ACTIVE_LIMIT:
                raise Refusal(429, "expected fewer requests at once, found too many; ask again", retry_after_s=1)
            return await endpoint(request, self.service)
        except (ClientDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:
            refusal = refusal_of(error)
            if refusal.status == 500:
                _log_fault(error)
            return refused(refusal, path)

    def _endpoint(self, request: Request, route: Route | None) -> Endpoint:
        if route is None:
            raise Refusal(404, "expected a path of this service, found none of this name; GET /docs lists them")
        endpoint = route.methods.get(request.method)
        if endpoint is None:
            allowed = ", ".join(sorted(route.methods))
            raise Refusal(405, f"expected {allowed} at this path, found another method", allow=allowed)
        return endpoint

    def _preflight(self, request: Request) -> Response:
        """What a browser asks before a request of another site's page."""
        self.safety.check("OPTIONS", request.headers, needs_key=False)
        origin = request.headers.get("origin", "")
        return Response(status_code=204, headers=preflight_headers(origin) if origin else {"Allow": "GET, POST, PUT"})


class _Exchange:
    """One request's messages: counts the bytes that come, adds the headers that every response has."""

    def __init__(self, receive: Receive, send: Send, origin: str, safety: Safety) -> None:
        self._receive = receive
        self._send = send
        self._origin = origin if origin and safety.allowed_origin(origin) else ""
        self.status = 0
        self.received = 0
        self._answer = b""

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Content-Security-Policy", NO_POLICY)
            headers.setdefault("Cache-Control", "no-store")
            if self._origin:
                for name, value in cross_origin_headers(self._origin).items():
                    headers[name] = value
        elif not self._answer:
            self._answer = message.get("body", b"")
        await self._send(message)

    async def refuse(self, scope: Message, path: str, refusal: Refusal) -> None:
        """Say no, unless an answer has begun already."""
        if self.status:
            return
        with contextlib.suppress(Exception):
            await refused(refusal, path)(scope, self.receive, self.send)

    def words(self, app: App) -> str:
        """The beginning of the answer, for the log; empty unless --log-prompts."""
        if not app.service.settings.log_prompts:
            return ""
        return self._answer[:2000].decode("utf-8", "replace").replace("\n", " ")


def _log_fault(error: Exception) -> None:
    """Log where a fault of ours is; its message may hold what a request held."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames[-6:]))
    _log.error("a fault of ours: %s at %s", type(error).__name__, places)
