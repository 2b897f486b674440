"""Extracts the image from the multipart answer to RetrieveImage while it arrives.

WS-Scan, RetrieveImageResponse; MTOM: the root part is the SOAP message, and the other part is the image.
"""

from collections.abc import Callable

from wsdgateway.mtom.multipart import Event, MultipartReader, PartBegin, PartData, PartEnd
from wsdgateway.mtom.parts import Decoder, Kind, Kinds, decoder_of, field, start_of

MAX_ROOT = 65536  # bytes kept of the SOAP message


class ImageReader:
    """Reads one body, which is fed to it as it arrives; `write` is called with the decoded bytes of the image.

    `boundary` is that of the multipart `content_type`. `root` is the SOAP message, `size` the number of bytes of the
    image, `media_type` its Content-Type as the scanner gives it.
    """

    def __init__(self, content_type: bytes, boundary: bytes, write: Callable[[memoryview], None]) -> None:
        self._reader = MultipartReader(boundary)
        self._kinds = Kinds(start_of(content_type))
        self._write = write
        self._kind = Kind.OTHER
        self._decoder: Decoder = decoder_of(b"")
        self.root = bytearray()
        self.size = 0
        self.media_type = ""

    @property
    def closed(self) -> bool:
        """True once the closing delimiter has been read: the body is complete."""
        return self._reader.closed

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises `BadMultipart` or `BadTransferEncoding`."""
        self._see(self._reader.feed(data))

    def end(self) -> None:
        """Read the end of the body, as `feed`."""
        self._see(self._reader.end())

    def _see(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PartBegin):
                self._begin(event.head)
            elif isinstance(event, PartData):
                self._take(self._decoder.feed(event.data))
            elif isinstance(event, PartEnd):
                self._take(self._decoder.end())

    def _begin(self, head: bytes) -> None:
        self._kind, self._decoder = self._kinds.of(head), decoder_of(head)
        if self._kind is Kind.ROOT:
            self.root.clear()
        elif self._kind is Kind.IMAGE:
            media = field(head, b"content-type").partition(b";")[0].strip().lower()
            self.media_type = media.decode("latin-1")

    def _take(self, data: bytes | memoryview) -> None:
        if self._kind is Kind.ROOT and len(self.root) + len(data) <= MAX_ROOT:
            self.root += data
        elif self._kind is Kind.IMAGE and len(data):
            self.size += len(data)
            self._write(memoryview(data))
