"""What a scan leaves in its folder."""

import os

import pikepdf


def there(cwd):
    return sorted(os.listdir(cwd))


def pages_of(path):
    with pikepdf.open(path) as pdf:
        return len(pdf.pages)
