"""Makes a page in place of an image that was left out, with its format, its pixels and, if possible, its bytes."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from wsdgateway.exchangelog.images import LeftOut

MAX_PIXELS = 150_000_000  # twice as many as A3 has at 600 dpi
MAX_SIDE = 65000  # pixels; a JPEG can have at most 65,535
MAX_BYTES = 1 << 27
A4 = (1240, 1754)
_FORMATS = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/jfif": "JPEG", "image/png": "PNG", "image/tiff": "TIFF",
            "image/bmp": "BMP", "image/dib": "BMP", "application/pdf": "PDF", "image/jp2": "JPEG2000"}


def make_page(left_out: LeftOut, media_type: str) -> bytes:
    """The image file. It is padded to its recorded length after its end, which decoders ignore."""
    kind = left_out.format or _FORMATS.get(media_type.partition(";")[0].strip().lower(), "JPEG")
    size = (left_out.width, left_out.height)
    if not 0 < size[0] * size[1] <= MAX_PIXELS or max(size) > MAX_SIDE:
        size = A4
    image = Image.new("L", size, "white")  # a byte for each pixel; a page may have many
    draw = ImageDraw.Draw(image)
    unit = max(1, size[0] // 40)
    if min(size) > 2 * unit:
        draw.rectangle([unit, unit, size[0] - unit, size[1] - unit], outline="black", width=max(1, unit // 8))
    text = f"An image of {left_out.length} bytes\nwas left out of the recording."
    draw.text((unit * 3, unit * 3), text, fill="black", font=ImageFont.load_default(unit * 2))
    dots = left_out.resolution or 150
    for quality in (85, 50, 20, 5):
        file = BytesIO()
        image.save(file, kind, quality=quality, dpi=(dots, dots))
        if kind != "JPEG" or file.tell() <= left_out.length:
            break
    return file.getvalue().ljust(min(left_out.length, MAX_BYTES), b"\0")
