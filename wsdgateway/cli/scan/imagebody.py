"""Reads the image in the answer to RetrieveImage from a connection.

WS-Scan, RetrieveImageResponse; `wsdgateway.mtom.image` finds it in the body.
"""

from collections.abc import Callable
from http.client import HTTPException, HTTPResponse

from wsdgateway.cli.scan.outcomes import ScanError, cause_of, plain
from wsdgateway.mtom.image import ImageReader
from wsdgateway.mtom.multipart import BadMultipart, boundary_of
from wsdgateway.mtom.parts import BadTransferEncoding

MAX_IMAGE = 1 << 31  # A3 at 1,200 dpi, 24 bits and no compression is 0.8 GB
PIECE = 65536


def read_image(response: HTTPResponse, content_type: bytes, write: Callable[[memoryview], None]) -> tuple[int, bytes]:
    """Pass the image to `write`. Returns its size, and the SOAP message. Raises `ScanError` if it breaks off.

    `content_type` must be a multipart type with a boundary.
    """
    image = ImageReader(content_type, boundary_of(content_type) or b"", write)
    total = 0
    try:
        while piece := _piece(response, image):
            total += len(piece)
            if total > MAX_IMAGE:
                raise ScanError(f"The image is larger than {MAX_IMAGE} bytes")
            image.feed(piece)
        image.end()
    except (BadMultipart, BadTransferEncoding) as error:
        raise ScanError(f"The scanner's answer cannot be read: {plain(error)}") from None
    if not image.closed:
        raise ScanError(f"The image ended early, after {image.size} bytes")
    return image.size, bytes(image.root)


def _piece(response: HTTPResponse, image: ImageReader) -> bytes:
    # Read to the very end: a scanner whose client disconnects earlier may consider the job failed.
    try:
        return response.read1(PIECE)
    except (OSError, HTTPException) as error:
        if image.closed:
            return b""
        raise ScanError(
            f"The image ended early, after {image.size} bytes: {cause_of(error)}") from None
