"""Files that a scan leaves in its folder."""

import os

import pikepdf


def names_in(folder):
    return sorted(os.listdir(folder))


def pages_of(path):
    """How many pages a PDF has."""
    with pikepdf.open(path) as pdf:
        return len(pdf.pages)
