"""The building blocks of the admin site: resources rendered by functions, folders, and requests with bounded bodies."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

MAX_FORM = 65536
TEXT = b"text/plain; charset=utf-8"

_NO = ("", "0", "false", "no")

Make = Callable[[Any], Awaitable[bytes]]


def argument(request: Any, name: str) -> str:
    """The first value of a parameter of a request, empty without one."""
    return str(request.args.get(name.encode(), [b""])[0].decode("utf-8", "replace"))


def is_set(value: str) -> bool:
    """True if the value of a parameter means yes."""
    return value not in _NO


class Made(Resource):
    """A resource whose answer a function makes."""

    isLeaf = True
    log = Logger()

    def __init__(self, content_type: bytes, make: Make, post: Make | None = None) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make
        self._post = post

    def render(self, request: Request) -> int | bytes:
        if request.method in (b"GET", b"HEAD"):
            return self._answer(request, self._make)
        if request.method == b"POST" and self._post is not None:
            return self._answer(request, self._post)
        return _not_allowed(request)

    def _answer(self, request: Request, make: Make) -> int:
        request.setHeader(b"content-type", self._content_type)
        request.setHeader(b"cache-control", b"no-store")
        gone = request.notifyFinish()
        making: Deferred[bytes] = Deferred.fromCoroutine(make(request))  # type: ignore[arg-type]
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
        self.log.failure("Answering {path} failed", failure, path=request.path)
        request.setResponseCode(500)
        request.setHeader(b"content-type", TEXT)
        self._finish(request, b"Internal error; see the log of the gateway.\n")


def _not_allowed(request: Request) -> bytes:
    """Answer 405. RFC 9110 section 15.5.6."""
    request.setResponseCode(405)
    request.setHeader(b"allow", b"GET, HEAD")
    request.setHeader(b"content-type", TEXT)
    return b"This resource is read-only; use GET or HEAD.\n"


class Folder(Resource):
    """A path with children. `make` makes the child of a name; every other path below it renders `missing`.

    The path itself renders `own`, without it `missing`.
    """

    def __init__(self, missing: IResource, make: Callable[[str], IResource] | None = None,
                 own: IResource | None = None) -> None:
        super().__init__()
        self._missing = missing
        self._make_child = make
        self._own = own or missing

    def getChild(self, path: bytes, request: Request) -> IResource:
        if self._make_child is not None and path and not request.postpath:
            return self._make_child(path.decode("utf-8", "replace"))
        return self._missing

    def render(self, request: Request) -> Any:
        return self._own.render(request)


class Said(Made):
    """An answer that does not depend on the method, such as not found or forbidden."""

    def render(self, request: Request) -> int:
        return self._answer(request, self._make)


class BoundedRequest(Request):
    """A request whose body must have a Content-Length of at most `MAX_FORM`; else it is answered 411 or 413.

    RFC 9110 sections 15.5.12 and 15.5.14.
    """

    channel: Any
    _refused = False

    def gotLength(self, length: int | None) -> None:
        self._refused = length is None or length > MAX_FORM
        if length is None:
            self.channel.refuse(411, b"The request must have a Content-Length.\n")
        elif length > MAX_FORM:
            self.channel.refuse(413, b"The body must be at most %d bytes.\n" % MAX_FORM)
        super().gotLength(0 if self._refused else length)

    def handleContentChunk(self, data: bytes) -> None:
        if not self._refused:
            super().handleContentChunk(data)
