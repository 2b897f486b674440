"""The address `/api/reload`: POST has the gateway read its configuration again, and answers with the result.

The answer is text, a line for each mistake, or a summary and warnings. A page in a browser must not cause a reload:
browsers say with `Origin` or `Sec-Fetch-Site` (Fetch, section 3.1; Fetch Metadata, section 2.3) that a page asks.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from wsdgateway.admin.resources import TEXT, Made


class Result(Protocol):
    """The result of a reload: the HTTP status and the text of the answer."""

    @property
    def status(self) -> int:
        """200, 409 or 422."""

    @property
    def text(self) -> str:
        """One line or more."""


def is_from_a_page(request: Any) -> bool:
    """True if a page in a browser makes the request."""
    return request.getHeader(b"origin") is not None or request.getHeader(b"sec-fetch-site") is not None


Reload = Callable[[], Awaitable[Result]]


def reload_resource(reload: Reload) -> Made:
    """The resource of the address."""

    async def answer(request: Any) -> bytes:
        if is_from_a_page(request):
            request.setResponseCode(403)
            return b"A reload cannot be asked for by a web page; use wsdgateway reload.\n"
        result = await reload()
        request.setResponseCode(result.status)
        return result.text.encode("utf-8", "backslashreplace")

    return Made(TEXT, _how, answer)


async def _how(request: Any) -> bytes:
    request.setResponseCode(405)
    request.setHeader(b"allow", b"POST")
    return b"Use POST to reload the configuration, or wsdgateway reload.\n"
