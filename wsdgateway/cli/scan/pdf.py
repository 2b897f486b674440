"""Makes a PDF with one image on each page. img2pdf does not re-encode images that a PDF can contain as they are."""

import logging
import warnings
from pathlib import Path

import img2pdf
from PIL import Image

POINTS = 72.0  # per inch
_UNKNOWN = (96, 96)  # img2pdf's default for an image without a resolution


def write_pdf(images: list[Path], path: Path, dots: int | None) -> None:
    """Write a PDF with these image files. `dots` per inch is the resolution of images that do not contain their own.

    Raises the errors of img2pdf, Pillow and pikepdf for unusable images.
    """
    def layout(width: int, height: int, resolution: tuple[float, float]) -> tuple[float, float, float, float]:
        across, down = (dots, dots) if dots and tuple(resolution) == _UNKNOWN else resolution
        size = width * POINTS / across, height * POINTS / down
        return (*size, *size)

    logging.getLogger("img2pdf").setLevel(logging.ERROR)  # its advice is for users of its own command
    with warnings.catch_warnings(), path.open("wb") as file:
        # A large sheet is not a decompression bomb; a real bomb still raises an error.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        img2pdf.convert([str(image) for image in images], outputstream=file, layout_fun=layout,
                        rotation=img2pdf.Rotation.ifvalid, creator="wsdgateway")
