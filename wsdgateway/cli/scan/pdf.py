"""Images into one PDF, a page each, as they are: img2pdf encodes nothing again that a PDF can hold."""

import logging
import warnings
from pathlib import Path

import img2pdf
from PIL import Image

POINTS = 72.0  # an inch
_UNKNOWN = (96, 96)  # what img2pdf says of an image that does not say its resolution


def write_pdf(images: list[Path], path: Path, dots: int | None) -> None:
    """A PDF of those image files. `dots` an inch are taken for an image that does not say its own.

    Raises whatever img2pdf, Pillow and pikepdf do for an image that they can't take.
    """
    def layout(width: int, height: int, resolution: tuple[float, float]) -> tuple[float, float, float, float]:
        across, down = (dots, dots) if dots and tuple(resolution) == _UNKNOWN else resolution
        size = width * POINTS / across, height * POINTS / down
        return (*size, *size)

    logging.getLogger("img2pdf").setLevel(logging.ERROR)  # its advice is for users of its own command
    with warnings.catch_warnings(), path.open("wb") as file:
        # A large sheet is no decompression bomb; a real one is an error all the same.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        img2pdf.convert([str(image) for image in images], outputstream=file, layout_fun=layout,
                        rotation=img2pdf.Rotation.ifvalid, creator="wsdgateway")
