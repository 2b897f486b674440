"""A client of a running gateway's admin site, which sends the token if there is one in the environment."""

import json
import os
import ssl
from argparse import ArgumentParser, Namespace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import attrs

from wsdgateway.cli.errors import CommandError
from wsdgateway.cli.printing import printable
from wsdgateway.cli.tlsproblems import CLOSED, why_no_tls, why_not_trusted

TIMEOUT = 10.0
MAX_ANSWER = 1 << 26
MAX_TEXT = 1 << 17
DEFAULT = "http://127.0.0.1:8357"
WARNING = "warning: "
TOKEN_VARIABLE = "WSDGATEWAY_TOKEN"
_TRUST = "give the certificate of the authority that signed its certificate with --ca FILE, or in SSL_CERT_FILE"
_HINT = "is the gateway running? Give the URL of its admin site, as in [admin] endpoint"


class AdminError(CommandError):
    """The gateway cannot be queried; the text says why and what to do."""


class Refused(AdminError):
    """The admin site has answered with an error, of this status of HTTP, and with this `body`."""

    def __init__(self, message: str, http_status: int, body: str) -> None:
        super().__init__(message)
        self.http_status = http_status  # `status` is that of the subcommand
        self.body = body


def add_site(parser: ArgumentParser) -> None:
    """Add the arguments that name the admin site and say how it is trusted."""
    parser.add_argument("url", metavar="URL", nargs="?", default=DEFAULT, help=(
        f"URL of the admin site; default: {DEFAULT}. http:// may be left out. The environment variable "
        f"{TOKEN_VARIABLE} holds its token, if it has one"))
    parser.add_argument("--ca", metavar="FILE", help="for https: certificate of the authority to trust, in PEM; "
                                                     "default: those that the system trusts")


def site_of(options: Namespace) -> "AdminSite":
    """The site that the arguments name. Raises `AdminError`."""
    return AdminSite.at(options.url, options.ca)


@attrs.frozen
class AdminSite:
    """The admin site of a gateway: its URL without a final slash, and the trust in it if that is not the system's."""

    base: str
    tls: ssl.SSLContext | None = None

    @classmethod
    def at(cls, url: str, ca: str | None = None) -> "AdminSite":
        """The site at a URL, whose scheme may be left out: then it is https if there is a `ca`. Raises `AdminError`."""
        base = url if "://" in url or not url else f"{'http' if ca is None else 'https'}://{url}"
        if not base.startswith(("http://", "https://")):
            raise AdminError(f"{printable(url) or repr(url)}: must be the URL of an admin site, such as {DEFAULT}")
        if ca is not None and base.startswith("http://"):
            raise AdminError(f"--ca {printable(ca)}: must be left out, because {printable(base)} is no https URL")
        return cls(base.rstrip("/"), None if ca is None else _trust_in(ca))

    def open(self, path: str, headers: dict[str, str] | None = None, timeout: float = TIMEOUT,
             data: bytes | None = None) -> HTTPResponse:
        """Open a path of the site, with the token from the environment; POST if there is `data`. Raises `AdminError`.
        """
        url = self.base + path
        token = os.environ.get(TOKEN_VARIABLE)
        # Not through the proxy that the environment may name: it would get the token.
        opener = build_opener(ProxyHandler({}), *([] if self.tls is None else [HTTPSHandler(context=self.tls)]))
        try:
            answer: HTTPResponse = opener.open(Request(url, data, headers={
                **(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}), timeout=timeout)
            return answer
        except HTTPError as error:
            body = error.read(MAX_TEXT).decode("utf-8", "replace").strip()
            raise Refused(f"{url}: {_refusal(error, token, body)}", error.code, body) from None
        except (URLError, OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise AdminError(f"{url}: {_problem(reason, url)}") from None

    def remarks(self) -> list[str]:
        """The lines of `/readyz`: why the gateway is not ready, and its warnings. Raises `AdminError`."""
        try:
            with self.open("/readyz") as answer:
                text = answer.read(MAX_TEXT).decode("utf-8", "replace")
        except Refused as error:
            if error.http_status != 503:
                raise
            return [line if line.startswith(WARNING) else f"not ready: {line}" for line in error.body.splitlines()]
        except (OSError, HTTPException) as error:
            raise AdminError(f"{self.base}/readyz: {error}; {_HINT}") from None
        return [line for line in text.splitlines() if line.startswith(WARNING)]

    def fetch(self, what: str) -> list[dict[str, Any]]:
        """The list at `/api/WHAT`. Raises `AdminError`."""
        found = self._read(what)
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise AdminError(f"{self.base}/api/{what}: not the admin site of a gateway")
        return found

    def cluster(self) -> dict[str, Any] | None:
        """The object at `/api/cluster`; None for a gateway without others. Raises `AdminError`."""
        try:
            found = self._read("cluster")
        except Refused as error:
            if error.http_status == 404:  # an earlier version
                return None
            raise
        if found is not None and not isinstance(found, dict):
            raise AdminError(f"{self.base}/api/cluster: not the admin site of a gateway")
        return found

    def _read(self, what: str) -> Any:
        path = f"/api/{what}"
        try:
            with self.open(path) as answer:
                return json.loads(answer.read(MAX_ANSWER))
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            raise AdminError(f"{self.base}{path}: {error}; {_HINT}") from None


def _trust_in(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        what = "is not a file with certificates in PEM" if Path(ca).is_file() else "cannot be read"
        raise AdminError(f"--ca {printable(ca)}: {what}") from None


def _refusal(error: HTTPError, token: str | None, body: str) -> str:
    """The meaning of an answer with an error status, and what to do."""
    if error.code == 401:
        return (f"the token in {TOKEN_VARIABLE} is wrong; set it to [admin] token" if token else
                f"a token is required; set {TOKEN_VARIABLE} to [admin] token")
    if error.code in (403, 409, 421, 503):
        return body
    return f"{error.code} {error.reason}; {_HINT}"


def _problem(reason: BaseException | str, url: str) -> str:
    """Why a site cannot be reached, and what to do."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return why_not_trusted(reason, urlsplit(url).hostname or "", _TRUST)
    if isinstance(reason, ssl.SSLError):
        return why_no_tls(reason)
    if isinstance(reason, ConnectionResetError) and url.startswith("http:"):
        return CLOSED
    cause = reason.strerror if isinstance(reason, ConnectionError) and reason.strerror else reason
    return f"{cause}; {_HINT}"
