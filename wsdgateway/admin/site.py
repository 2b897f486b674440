"""The addresses of the admin site: `/healthz`, `/readyz`, `/metrics`, `/api/...`, and the pages.

Everything but the login, the logout, `/api/reload` and `/api/cluster/move` is read-only. `admin.access` decides which
requests are allowed.
"""

import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from twisted.internet.interfaces import IAddress
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from wsdgateway.admin.access import COOKIE, Access, Denied
from wsdgateway.admin.attempts import LOCAL_SOCKET, Burst
from wsdgateway.admin.connections import AdminChannel, AdminConnections, AdminLimits
from wsdgateway.admin.history import MINUTE
from wsdgateway.admin.moving import move_resource
from wsdgateway.admin.overview import Overview
from wsdgateway.admin.page import write_login, write_problem
from wsdgateway.admin.pages import Pages
from wsdgateway.admin.reloading import Reload, reload_resource
from wsdgateway.admin.resources import TEXT, BoundedRequest, Folder, Made, Make, Said, argument, is_set
from wsdgateway.admin.stream import Stream
from wsdgateway.bridge.access.quotas import client_of
from wsdgateway.http.messages import REASONS
from wsdgateway.net.transport.logthrottle import QUIET_SECONDS, LogThrottle

MAX_EXCHANGES = 1000
MAX_LINES = 10  # log lines about wrong tokens, a minute
_HTML, _JSON = b"text/html; charset=utf-8", b"application/json"
_POLICY = (b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
           b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
_STATIC = (("style.css", b"text/css; charset=utf-8"), ("live.js", b"text/javascript; charset=utf-8"),
           ("favicon.svg", b"image/svg+xml"))
_OPEN = ("/healthz", "/login", *(f"/static/{name}" for name, _ in _STATIC))  # also served without a login


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _wanted(request: Any) -> dict[str, Any]:
    """The filter for exchanges that a request asks for."""
    return {"scanner": argument(request, "scanner"), "operation": argument(request, "operation"),
            "failed": is_set(argument(request, "failed"))}


def _local(path: str) -> str:
    """The path to go to after a login; `/` unless `path` is on this site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _client(request: Any) -> str | None:
    """The client's IP address; None for a local socket."""
    host: str | None = getattr(request.getClientAddress(), "host", None)
    return host


def _shown(request: Any) -> tuple[str | None, bytes | None, bytes | None]:
    """The peer, token and cookie of a request, as `Access` takes them."""
    return _client(request), request.getHeader(b"authorization"), request.getCookie(COOKIE)


def _is_browser(request: Any) -> bool:
    """True if the client wants pages."""
    return b"text/html" in (request.getHeader(b"accept") or b"")


class AdminSite(Site):
    """The factory of the site. `instance` distinguishes this start of the gateway from others."""

    noisy = False
    protocol: Any = AdminChannel
    logger = Logger()

    def __init__(self, reactor: Any, overview: Overview, access: Access, instance: str, limits: AdminLimits,
                 reload: Reload) -> None:
        self._reactor = reactor
        self._overview = overview
        self.access = access
        self.connections = AdminConnections(reactor, limits, overview.seconds)
        self._throttle = LogThrottle()
        self._lines = Burst(MAX_LINES, QUIET_SECONDS / MAX_LINES)
        self.stream = Stream(reactor, overview.log, instance, self._may_go_on)
        self._pages = Pages(overview, access)
        self._reload = reload
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = reactor
        self._missing = self._problem(404, "There is no page at this address; the overview is at /.")
        super().__init__(self._tree(), requestFactory=BoundedRequest, timeout=None, reactor=reactor)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make a connection that is subject to the limits of the site."""
        channel: Any = super().buildProtocol(addr)
        channel.connections = self.connections
        return channel

    def _tree(self) -> Resource:
        overview, pages = self._overview, self._pages
        root, api = Folder(self._missing), Folder(self._missing)
        cluster = Folder(self._missing, own=Made(_JSON, self._cluster))
        for folder, path, resource in (
            (root, b"", Made(_HTML, pages.overview)),
            (root, b"healthz", Made(TEXT, self._healthz)),
            (root, b"readyz", Made(TEXT, self._readyz)),
            (root, b"metrics", Made(b"text/plain; version=0.0.4; charset=utf-8", self._metrics)),
            (root, b"login", Made(_HTML, self._login_form, self._log_in)),
            (root, b"logout", Made(TEXT, self._log_out_how, self._log_out)),
            (root, b"scanners", self._list(pages.scanners, pages.scanner)),
            (root, b"jobs", Made(_HTML, pages.jobs)),
            (root, b"exchanges", self._list(pages.exchanges, pages.exchange)),
            (root, b"subscriptions", Made(_HTML, pages.subscriptions)),
            (root, b"static", self._static()),
            (root, b"api", api),
            (api, b"scanners", Made(_JSON, self._of(overview.describe_scanners))),
            (api, b"jobs", Made(_JSON, self._jobs)),
            (api, b"subscriptions", Made(_JSON, self._of(overview.describe_subscriptions))),
            (api, b"spools", Made(_JSON, self._of(overview.describe_spools))),
            (api, b"destinations", Made(_JSON, self._of(lambda: overview.destinations()))),
            (api, b"exchanges", Made(_JSON, self._exchanges)),
            (api, b"cluster", cluster),
            (cluster, b"move", move_resource(self._reactor, lambda: overview.cluster)),
            (api, b"stream", self.stream),
            (api, b"reload", reload_resource(self._reload)),
        ):
            folder.putChild(path, resource)
        return root

    def _list(self, make: Make, make_one: Callable[[Any, str], Awaitable[bytes]]) -> Resource:
        """A list, with the page of each of its entries below it."""
        return Folder(self._missing, lambda name: Made(_HTML, lambda request: make_one(request, name)),
                      Made(_HTML, make))

    def _static(self) -> Resource:
        folder = Folder(self._missing)
        for name, content_type in _STATIC:
            content = (files("wsdgateway.admin") / "static" / name).read_bytes()

            async def give(request: Any, content: bytes = content) -> bytes:
                return content

            folder.putChild(name.encode(), Made(content_type, give))
        return folder

    def getResourceFor(self, request: Any) -> IResource:
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"referrer-policy", b"no-referrer")
        request.setHeader(b"content-security-policy", _POLICY)
        denied = self.access.check_host(request.getHeader(b"host"))
        is_open = self.access.token is not None and request.path.decode("latin-1") in _OPEN
        if denied is None and not is_open:
            denied = self.access.check_client(*_shown(request))
        if denied is not None:
            is_without = denied.login and not denied.wrong_token and not _is_browser(request)
            return Made(TEXT, self._readyz_briefly) if is_without and request.path == b"/readyz" else self._deny(
                request, denied)
        found: IResource = super().getResourceFor(request)
        return self._missing if request.postpath else found  # known addresses have nothing below them

    def _may_go_on(self, request: Any) -> bool:
        return self.access.still_allows(*_shown(request))

    def _note(self, request: Any, denied: Denied) -> None:
        """Log a wrong token: once a minute for each client, and at most `MAX_LINES` times for all together."""
        client, now = _client(request) or LOCAL_SOCKET, self._overview.seconds()
        if denied.wrong_token and self._lines.wait(now) == 0.0 and self._throttle.allows(client_of(client), now):
            self._lines.spend(now)
            self.logger.warn("[admin] {client}: wrong token (logged at most once a minute)", client=client)
        if denied.retry_after is not None:
            request.setHeader(b"retry-after", b"%d" % denied.retry_after)

    def _deny(self, request: Any, denied: Denied) -> IResource:
        self._note(request, denied)
        if denied.login and request.method == b"GET" and _is_browser(request):
            async def lead(request: Any) -> bytes:
                request.setResponseCode(303)
                request.setHeader(b"location", f"/login?then={quote(_local(request.uri.decode('latin-1')))}".encode())
                return b""
            return Made(TEXT, lead)
        if denied.login:
            request.setHeader(b"www-authenticate", b'Bearer realm="wsdgateway"')
        return self._problem(denied.status, denied.reason)

    def _problem(self, status: int, reason: str) -> IResource:
        """An error: an HTML page for browsers, a line of text for other clients."""
        async def say(request: Any) -> bytes:
            request.setResponseCode(status, REASONS[status])
            if not _is_browser(request) or status in (403, 421):
                request.setHeader(b"content-type", TEXT)
                return f"{reason}\n".encode()
            return await write_problem(request, self._overview, status, reason)
        return Said(_HTML, say)

    # The answers.

    def _of(self, describe_all: Callable[[], list[dict[str, Any]]]) -> Make:
        async def make(request: Any) -> bytes:
            return _json(describe_all())
        return make

    async def _jobs(self, request: Any) -> bytes:
        last = argument(request, "last")
        most = int(last) if last.isascii() and last.isdigit() and len(last) < 9 else None
        return _json(await self._overview.describe_jobs(most=most))

    async def _cluster(self, request: Any) -> bytes:
        return _json(self._overview.describe_cluster())

    async def _exchanges(self, request: Any) -> bytes:
        return _json(self._overview.describe_exchanges(
            **_wanted(request), most=MAX_EXCHANGES))

    async def _healthz(self, request: Any) -> bytes:
        return b"ok\n"

    async def _readyz(self, request: Any) -> bytes:
        problems = self._overview.problems()
        if problems:
            request.setResponseCode(503)
        served = [] if problems else self._overview.readiness()
        warnings = [f"warning: {line}" for line in self._overview.warnings()]
        return "".join(f"{line}\n" for line in (*(problems or ["ready"]), *served, *warnings)).encode()

    async def _readyz_briefly(self, request: Any) -> bytes:
        """The answer without a token, for programs such as keepalived that look at the status alone."""
        is_ready = not self._overview.problems()
        if not is_ready:
            request.setResponseCode(503)
        return b"ready\n" if is_ready else b"not ready\n"

    async def _metrics(self, request: Any) -> bytes:
        return self._overview.metrics.render()

    async def _login_form(self, request: Any) -> bytes:
        return await write_login(request, self._overview, "", _local(argument(request, "then")))

    async def _log_in(self, request: Any) -> bytes:
        then = _local(argument(request, "then"))
        denied = self.access.check_token(_client(request), argument(request, "token").strip().encode())
        if denied is not None:
            self._note(request, denied)
            request.setResponseCode(denied.status, REASONS[denied.status])
            problem = "The token is wrong." if denied.wrong_token else denied.reason
            return await write_login(request, self._overview, problem, then)
        self._set_cookie(request, self.access.log_in(), "")
        return self._lead(request, then)

    async def _log_out_how(self, request: Any) -> bytes:
        request.setResponseCode(405)
        request.setHeader(b"allow", b"POST")
        return b"Use POST to log out, or the button on the page.\n"

    async def _log_out(self, request: Any) -> bytes:
        self.access.log_out(request.getCookie(COOKIE))
        self._set_cookie(request, "", "; Max-Age=0")
        return self._lead(request, "/")

    def _set_cookie(self, request: Any, session: str, more: str) -> None:
        secure = "; Secure" if request.isSecure() else ""
        request.responseHeaders.addRawHeader(b"set-cookie", COOKIE + (
            f"={session}; Path=/; HttpOnly; SameSite=Strict{secure}{more}").encode())

    def _lead(self, request: Any, path: str) -> bytes:
        request.setResponseCode(303)
        request.setHeader(b"location", quote(path, safe="/?&=#%").encode())
        return b""

    def start(self) -> None:
        """Begin to sample the counters for the history."""
        self._sampling.start(MINUTE)

    def _sample(self) -> None:
        try:
            self._overview.sample()
        except Exception:
            self.logger.failure("Taking a sample of the counters failed")

    def stop(self) -> None:
        """End every stream, and close the connections that wait for a request."""
        if self._sampling.running:
            self._sampling.stop()
        self.stream.stop()
        self.connections.close_all()

    def log(self, request: Any) -> None:
        """Log nothing: monitoring systems send requests every few seconds."""
