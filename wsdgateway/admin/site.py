"""The admin site's addresses: `/healthz`, `/readyz`, `/metrics`, `/api/...`, `/`.

Reading only; every value that came from the network is escaped by the template or by JSON.
"""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from wsdgateway.admin.overview import Overview
from wsdgateway.admin.page import render_page

_POLICY = (b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
           b"frame-ancestors 'none'")


class _Text(Resource):
    """An address whose answer is made by a function."""

    isLeaf = True
    log = Logger()

    def __init__(self, content_type: bytes, make: Any) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", self._content_type)
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"content-security-policy", _POLICY)
        gone = request.notifyFinish()
        making: Deferred[bytes] = Deferred.fromCoroutine(self._make(request))
        gone.addErrback(lambda _: making.cancel())
        making.addCallbacks(lambda body: self._finish(request, body), lambda failure: self._failed(request, failure))
        return NOT_DONE_YET

    def _finish(self, request: Request, body: bytes) -> None:
        request.setHeader(b"content-length", b"%d" % len(body))
        if request.method != b"HEAD":
            request.write(body)
        request.finish()

    def _failed(self, request: Request, failure: Failure) -> None:
        if request.channel is None:
            return
        self.log.failure("while answering {path}", failure, path=request.path)
        request.setResponseCode(500)
        self._finish(request, b"The log of the gateway says what went wrong.\n")


class _Folder(Resource):
    def getChild(self, path: bytes, request: Request) -> IResource:
        return notFound()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


class AdminSite(Site):
    """The site's factory."""

    noisy = False

    def __init__(self, overview: Overview) -> None:
        async def healthz(request: Request) -> bytes:
            return b"ok\n"

        async def readyz(request: Request) -> bytes:
            problems = overview.problems()
            if problems:
                request.setResponseCode(503)
            return "".join(f"{line}\n" for line in problems or ["ready"]).encode()

        async def metrics(request: Request) -> bytes:
            return overview.metrics.render()

        async def scanners(request: Request) -> bytes:
            return _json(overview.describe_scanners())

        async def jobs(request: Request) -> bytes:
            return _json(await overview.describe_jobs())

        async def subscriptions(request: Request) -> bytes:
            return _json(overview.describe_subscriptions())

        async def page(request: Request) -> bytes:
            return await render_page(request, overview)

        text, html = b"text/plain; charset=utf-8", b"text/html; charset=utf-8"
        root, api = _Folder(), _Folder()
        root.putChild(b"", _Text(html, page))
        root.putChild(b"healthz", _Text(text, healthz))
        root.putChild(b"readyz", _Text(text, readyz))
        root.putChild(b"metrics", _Text(b"text/plain; version=0.0.4; charset=utf-8", metrics))
        root.putChild(b"api", api)
        api.putChild(b"scanners", _Text(b"application/json", scanners))
        api.putChild(b"jobs", _Text(b"application/json", jobs))
        api.putChild(b"subscriptions", _Text(b"application/json", subscriptions))
        super().__init__(root)

    def log(self, request: Any) -> None:
        """Monitoring asks every few seconds; that is no news."""
