"""Reads files that hold one line with a secret, so no error message contains any of it."""

import os
import stat
from pathlib import Path

from wsdgateway.tls.files import BadFile

MAX_FILE = 16384  # bytes


def read_secret(path: Path, what: str) -> bytes:
    """Returns the content of a file without the end of its last line.

    `what` says what the file must be. Raises `BadFile`, whose text completes "must be", also for a file that other
    users can read.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise BadFile(f"{what} ({path} is no regular file)")
            if found.st_mode & stat.S_IRWXO:
                raise BadFile(f"a file that other users cannot read, because it holds a secret (chmod o= {path})")
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise BadFile(f"a file that can be read ({path}: {error.strerror})") from None
    if len(data) > MAX_FILE:
        raise BadFile(f"{what} ({path} has something else)")
    return data.removesuffix(b"\n").removesuffix(b"\r")
