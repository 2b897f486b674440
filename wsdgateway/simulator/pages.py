"""Draws the pages of the virtual scanner: a test pattern with page number and time.

WS-Scan, DocumentParameters: resolution, colour, region and format are those of the job's ticket.
"""

from io import BytesIO

import attrs
from PIL import Image, ImageDraw, ImageFont

FORMATS = {"jfif": ("JPEG", "image/jpeg"), "exif": ("JPEG", "image/jpeg"), "png": ("PNG", "image/png")}
COLORS = {"RGB24": "RGB", "Grayscale8": "L", "BlackAndWhite1": "1"}
MAX_WIDTH, MAX_HEIGHT = 8500, 11700  # thousandths of an inch, as WS-Scan gives lengths


@attrs.frozen
class PageFormat:
    """The parameters of a page: lengths in thousandths of an inch, resolution in dots per inch."""

    width: int = 8270
    height: int = 11690
    resolution: int = 150
    color: str = "RGB24"
    format: str = "jfif"

    @property
    def size(self) -> tuple[int, int]:
        """The width and height in pixels."""
        return (max(1, self.width * self.resolution // 1000), max(1, self.height * self.resolution // 1000))

    @property
    def media_type(self) -> str:
        """The MIME type of the image."""
        return FORMATS[self.format][1]


def draw_page(page: PageFormat, number: int, source: str, stamp: str) -> bytes:
    """The image file of a page; the same arguments give the same bytes."""
    width, height = page.size
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    unit = max(1, page.resolution // 10)
    for column in range(0, width, unit * 5):
        draw.line([(column, 0), (column, height)], fill=(225, 230, 240))
    for row in range(0, height, unit * 5):
        draw.line([(0, row), (width, row)], fill=(225, 230, 240))
    bars = ("black", "red", "green", "blue", "cyan", "magenta", "yellow", "gray")
    for place, color in enumerate(bars):
        left = width * place // len(bars)
        draw.rectangle([left, height - unit * 10, width * (place + 1) // len(bars), height - unit * 4], fill=color)
    draw.rectangle([unit, unit, max(unit, width - unit), max(unit, height - unit)], outline="black",
                   width=max(1, unit // 6))
    draw.text((unit * 3, unit * 3), f"Page {number}", fill="black", font=ImageFont.load_default(unit * 6))
    draw.text((unit * 3, unit * 12), f"{source}, {page.resolution} dpi, {page.color}", fill="black",
              font=ImageFont.load_default(unit * 2))
    draw.text((unit * 3, unit * 16), stamp, fill="black", font=ImageFont.load_default(unit * 2))
    mode = COLORS[page.color]
    kind = FORMATS[page.format][0]
    if mode != "RGB":
        image = image.convert("L" if kind == "JPEG" else mode)
    file = BytesIO()
    image.save(file, kind, quality=85, dpi=(page.resolution, page.resolution))
    return file.getvalue()
