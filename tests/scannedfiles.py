"""Reads the files that a scan has left in its folder."""

import os

import pikepdf


def names_in(folder):
    return sorted(os.listdir(folder))


def pages_of(path):
    """Returns the number of pages of a PDF."""
    with pikepdf.open(path) as pdf:
        return len(pdf.pages)
