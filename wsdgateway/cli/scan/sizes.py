"""Reads the sizes of `--size`, checks them against a source, and writes sizes for people.

WS-Scan gives lengths in thousandths of an inch (mils), people in millimetres.
"""

import argparse
import re

import attrs

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.scan.scannerconfiguration import SourceOffer

MILS_PER_MM = 1000 / 25.4
# A scanner for A4 or letter offers a little less or more than the sheet, such as 8500 x 11690.
TOLERANCE = 40
_PAPER = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
_SIZE = re.compile(r"(\d{1,4}(?:\.\d{1,3})?)\s*[x×]\s*(\d{1,4}(?:\.\d{1,3})?)\s*mm")


@attrs.frozen
class Size:
    """A size as the user wrote it in `text`; `mils` are width and height."""

    text: str
    mils: tuple[int, int]


def read_size(text: str) -> Size:
    """A type of option for `argparse`."""
    paper, found = _PAPER.get(text.lower()), _SIZE.fullmatch(text.strip().lower())
    width, height = paper or (tuple(map(float, found.groups())) if found else (0.0, 0.0))
    mils = round(width * MILS_PER_MM), round(height * MILS_PER_MM)
    if not all(mils):
        raise argparse.ArgumentTypeError(f"{text!r}: must be a4, letter or WIDTHxHEIGHTmm, such as 100x150mm")
    return Size(text, mils)


def fitted(size: Size, offer: SourceOffer, source: str) -> tuple[int, int]:
    """The size in mils, within the limits of the source. Raises `ScanError` if it is clearly outside."""
    largest, smallest = offer.maximum or size.mils, offer.minimum or (0, 0)
    if any(wanted > most + TOLERANCE for wanted, most in zip(size.mils, largest, strict=True)):
        raise ScanError(f"--size {size.text}: must be at most {in_mm(largest)}, the maximum of the scanner's {source}",
                        WRONG)
    if any(wanted < least - TOLERANCE for wanted, least in zip(size.mils, smallest, strict=True)):
        raise ScanError(f"--size {size.text}: must be at least {in_mm(smallest)}, the minimum of the scanner's "
                        f"{source}", WRONG)
    width, height = (max(least, min(wanted, most))
                     for wanted, least, most in zip(size.mils, smallest, largest, strict=True))
    return width, height


def in_mm(mils: tuple[int, int]) -> str:
    """A size in mils as people write it."""
    width, height = (mil / MILS_PER_MM for mil in mils)
    return f"{width:.0f} x {height:.0f} mm"
