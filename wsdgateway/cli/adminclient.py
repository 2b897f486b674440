"""A client of a running gateway's admin site, which sends the token if there is one in the environment."""

import json
import os
from argparse import ArgumentParser
from http.client import HTTPException, HTTPResponse
from ssl import SSLCertVerificationError
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from wsdgateway.cli.errors import CommandError

TIMEOUT = 10.0
MAX_ANSWER = 1 << 26
DEFAULT = "http://127.0.0.1:8357"
TOKEN_VARIABLE = "WSDGATEWAY_TOKEN"
_NOT_BELIEVED = "set SSL_CERT_FILE to the certificate file of the authority that signed its certificate"
_HINT = "give the URL of the gateway's admin site, as in [admin] endpoint"


class AdminError(CommandError):
    """The gateway cannot be queried; the text says why and what to do."""


def add_url(parser: ArgumentParser) -> None:
    """Add the argument for the URL of the admin site."""
    parser.add_argument("url", metavar="URL", nargs="?", default=DEFAULT, help=(
        f"URL of the admin site; default: {DEFAULT}. The environment variable {TOKEN_VARIABLE} holds its token, if "
        "it has one"))


def open_admin(base: str, path: str, headers: dict[str, str] | None = None, timeout: float = TIMEOUT) -> HTTPResponse:
    """Open a path of the admin site at `base`, with the token from the environment. Raises `AdminError`."""
    if not base.startswith(("http://", "https://")):
        raise AdminError(f"{base}: must be the URL of an admin site, such as {DEFAULT}")
    url = base.rstrip("/") + path
    token = os.environ.get(TOKEN_VARIABLE)
    try:
        # Not through the proxy that the environment may name: it would get the token.
        answer: HTTPResponse = build_opener(ProxyHandler({})).open(Request(url, headers={
            **(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}), timeout=timeout)
        return answer
    except HTTPError as error:
        if error.code == 401:
            raise AdminError(f"{url}: the token in {TOKEN_VARIABLE} is wrong; set it to [admin] token" if token else
                             f"{url}: a token is required; set {TOKEN_VARIABLE} to [admin] token") from None
        said = error.read(1000).decode("utf-8", "replace").strip() if error.code in (403, 421, 503) else (
            f"{error.code} {error.reason}; {_HINT}")
        raise AdminError(f"{url}: {said}") from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        hint = _NOT_BELIEVED if isinstance(reason, SSLCertVerificationError) else _HINT
        raise AdminError(f"{url}: {reason}; {hint}") from None


def fetch_list(base: str, what: str) -> list[dict[str, Any]]:
    """The list at `/api/WHAT`. Raises `AdminError`."""
    path = f"/api/{what}"
    try:
        with open_admin(base, path) as answer:
            found = json.loads(answer.read(MAX_ANSWER))
    except (OSError, HTTPException, ValueError) as error:
        raise AdminError(f"{base}{path}: {error}; {_HINT}") from None
    if not isinstance(found, list):
        raise AdminError(f"{base}{path}: not the admin site of a gateway")
    return found
