"""A device's body to a client as it arrives, verbatim, at the speed of the slower side.

The multipart watcher sees the bytes pass: it counts those of images, and where a device frames its
answer by closing, it tells a whole body from a part.
"""

from collections.abc import Callable

from wsdgateway.http.messages import FRAMING, end_to_end, first
from wsdgateway.mtom.multipart import BadMultipart, MultipartReader, PartBegin, PartData, boundary_of
from wsdgateway.net.devicecall import Response
from wsdgateway.net.failures import BadDevice, DeviceError, Unavailable
from wsdgateway.net.turn import Turn


class _Watcher:
    """Counts the bytes after the first part, which is the SOAP envelope."""

    def __init__(self, content_type: bytes, count: Callable[[int], None]) -> None:
        boundary = boundary_of(content_type)
        self._reader = MultipartReader(boundary) if boundary else None
        self._parts = 0
        self._count = count

    def see(self, data: bytes) -> None:
        if self._reader is None:
            return
        try:
            for event in self._reader.feed(data):
                if isinstance(event, PartBegin):
                    self._parts += 1
                elif isinstance(event, PartData) and self._parts > 1:
                    self._count(len(event.data))
        except BadMultipart:
            self._reader = None

    @property
    def whole(self) -> bool:
        return self._reader is None or self._reader.closed


async def relay(response: Response, turn: Turn, count_image: Callable[[int], None]) -> DeviceError | None:
    """Give the answer to the client. If it can't be completed, close the client's connection and say why."""
    head = response.head
    watcher = _Watcher(first(head.headers, b"content-type") or b"", count_image)

    def take(data: bytes) -> None:
        watcher.see(data)
        turn.write(data)

    if turn.gone:
        response.stopProducing()
        return Unavailable(response.peer, "the client went away")
    turn.producer = response
    turn.on_gone = response.stopProducing
    turn.stream(head.status, head.reason, end_to_end(head.headers, FRAMING), head.length)
    try:
        await response.relay(take, turn.pending)
        if not head.framed and not watcher.whole:
            raise BadDevice(response.peer, "it closed the connection in the middle of an image")
    except DeviceError as error:
        if not turn.gone:
            turn.abort()
        return error
    finally:
        turn.on_gone = None
    if not turn.gone:
        turn.finish(head.length)
    return None
