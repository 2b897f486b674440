"""Extracts the image from the multipart answer to RetrieveImage while it arrives.

WS-Scan, RetrieveImageResponse; MTOM: the root part is the SOAP message, and the other part is the image.
"""

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse

from wsdgateway.cli.scan.outcomes import ScanError, plain
from wsdgateway.mtom.multipart import BadMultipart, Event, MultipartReader, PartBegin, PartData, PartEnd, boundary_of
from wsdgateway.mtom.parts import BadTransferEncoding, Decoder, Kind, Kinds, decoder_of, start_of

MAX_IMAGE = 1 << 31  # A3 at 1,200 dpi, 24 bits and no compression is 0.8 GB
MAX_ROOT = 65536
PIECE = 65536


class _Image:
    """Writes the part with the image, and keeps the root part; decodes both from their transfer encoding."""

    def __init__(self, content_type: bytes, write: Callable[[memoryview], None]) -> None:
        self._kinds = Kinds(start_of(content_type))
        self._write = write
        self._kind = Kind.OTHER
        self._decoder: Decoder = decoder_of(b"")
        self.root = bytearray()
        self.size = 0

    def see(self, events: list[Event]) -> None:
        """Handle the events of the reader. Raises `BadTransferEncoding`."""
        for event in events:
            if isinstance(event, PartBegin):
                self._kind, self._decoder = self._kinds.of(event.head), decoder_of(event.head)
                if self._kind is Kind.ROOT:
                    self.root.clear()
            elif isinstance(event, PartData):
                self._take(self._decoder.feed(event.data))
            elif isinstance(event, PartEnd):
                self._take(self._decoder.end())

    def _take(self, data: bytes | memoryview) -> None:
        if self._kind is Kind.ROOT and len(self.root) + len(data) <= MAX_ROOT:
            self.root += data
        elif self._kind is Kind.IMAGE and len(data):
            self.size += len(data)
            self._write(memoryview(data))


def read_image(response: HTTPResponse, content_type: bytes, write: Callable[[memoryview], None]) -> tuple[int, bytes]:
    """Pass the image to `write`. Returns its size, and the SOAP message. Raises `ScanError` if it breaks off.

    `content_type` must be a multipart type with a boundary.
    """
    reader, image = MultipartReader(boundary_of(content_type) or b""), _Image(content_type, write)
    total = 0
    try:
        while piece := _piece(response, reader, image.size):
            total += len(piece)
            if total > MAX_IMAGE:
                raise ScanError(f"The image is larger than {MAX_IMAGE} bytes")
            image.see(reader.feed(piece))
        image.see(reader.end())
    except (BadMultipart, BadTransferEncoding) as error:
        raise ScanError(f"The scanner's answer cannot be read: {plain(error)}") from None
    if not reader.closed:
        raise ScanError(f"The image ended early, after {image.size} bytes")
    return image.size, bytes(image.root)


def _piece(response: HTTPResponse, reader: MultipartReader, size: int) -> bytes:
    # Read to the very end: a scanner whose client disconnects earlier may consider the job failed.
    try:
        return response.read1(PIECE)
    except (OSError, HTTPException) as error:
        if reader.closed:
            return b""
        raise ScanError(f"The image ended early, after {size} bytes: {plain(error) or type(error).__name__}") from None
