"""Tests of cli.scan.sizes: the sizes of --size, and the limits of a source."""

import argparse

import pytest

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.outcomes import ScanError
from wsdgateway.cli.scan.sizes import fitted, in_mm, read_size
from wsdgateway.scan.scannerconfiguration import SourceOffer

OFFER = SourceOffer(maximum=(8500, 11690), minimum=(1000, 1000))


@pytest.mark.parametrize(("text", "mils"), [
    ("a4", (8268, 11693)), ("A4", (8268, 11693)), ("letter", (8500, 11000)), ("100x150mm", (3937, 5906)),
    ("25.4 x 50.8 mm", (1000, 2000)), ("100X150MM", (3937, 5906))])
def test_a_size_is_read(text, mils):
    assert read_size(text).mils == mils


@pytest.mark.parametrize("text", ["", "a5", "100x150", "100mm", "0x10mm", "0.01x5mm", "-1x10mm", "99999x10mm",
                                  "nanx1mm", "1e3x10mm"])
def test_another_size_is_an_error(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be a4, letter or WIDTHxHEIGHTmm"):
        read_size(text)


@pytest.mark.parametrize(("text", "size"), [
    ("a4", (8268, 11690)), ("216x297mm", (8500, 11690)), ("letter", (8500, 11000)), ("25x100mm", (1000, 3937))])
def test_a_size_is_cut_to_a_slightly_smaller_maximum(text, size):
    assert fitted(read_size(text), OFFER, "platen") == size
    assert fitted(read_size("a4"), SourceOffer(), "platen") == (8268, 11693)


@pytest.mark.parametrize(("text", "said"), [
    ("300x400mm", "must be at most 216 x 297 mm, the maximum of the scanner's platen"),
    ("200x300mm", "must be at most 216 x 297 mm"), ("10x10mm", "must be at least 25 x 25 mm")])
def test_a_size_outside_the_limits_is_an_error(text, said):
    with pytest.raises(ScanError, match=f"--size {text}: {said}") as caught:
        fitted(read_size(text), OFFER, "platen")
    assert caught.value.status == WRONG


def test_a_size_for_people():
    assert in_mm((8500, 11690)) == "216 x 297 mm"
