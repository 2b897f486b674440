"""The image in an answer to RetrieveImage, taken out of its multipart as it comes.

WS-Scan, RetrieveImageResponse; MTOM: the first part is the SOAP message, the second the image.
"""

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse

from wsdgateway.cli.outcomes import ScanError, plain
from wsdgateway.mtom.multipart import BadMultipart, MultipartReader, PartBegin, PartData

MAX_IMAGE = 1 << 31  # A3 at 1,200 dots an inch, 24 bits and no compression is 0.8 GB
MAX_ROOT = 65536
PIECE = 65536


def read_image(response: HTTPResponse, boundary: bytes, write: Callable[[memoryview], None]) -> tuple[int, bytes]:
    """Hand the image to `write`; its size, and the message before it. Raises `ScanError` if it breaks off."""
    reader = MultipartReader(boundary)
    root = bytearray()
    parts = size = total = 0
    while piece := _piece(response, reader, size):
        total += len(piece)
        if total > MAX_IMAGE:
            raise ScanError(f"The image is larger than {MAX_IMAGE} bytes")
        try:
            events = reader.feed(piece)
        except BadMultipart as error:
            raise ScanError(f"The scanner's answer can't be read: {plain(error)}") from None
        for event in events:
            if isinstance(event, PartBegin):
                parts += 1
            elif isinstance(event, PartData) and parts == 1 and len(root) + len(event.data) <= MAX_ROOT:
                root += event.data
            elif isinstance(event, PartData) and parts == 2:
                size += len(event.data)
                write(event.data)
    if not reader.closed:
        raise ScanError(f"The image broke off after {size} bytes")
    return size, bytes(root)


def _piece(response: HTTPResponse, reader: MultipartReader, size: int) -> bytes:
    # Read to the very end: a scanner that sees its client hang up before that may take the job for broken.
    try:
        return response.read1(PIECE)
    except (OSError, HTTPException) as error:
        if reader.closed:
            return b""
        raise ScanError(f"The image broke off after {size} bytes: {plain(error) or type(error).__name__}") from None
