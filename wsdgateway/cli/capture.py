"""`wsdgateway capture export`: captured exchanges as a HAR file."""

import os
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from wsdgateway.exchangelog.folder import Captured, CaptureError, read_folder
from wsdgateway.exchangelog.har import write_har


class ExportError(Exception):
    """The captures can't be exported; the text says why."""


def export(folder: str, har: str) -> None:
    """Write a folder's captures as HAR into a file, which appears when it is whole; `-` is the standard output.

    Raises `ExportError`.
    """
    try:
        captures = read_folder(Path(folder))
        if har == "-":
            sys.stdout.writelines(write_har(captures))
        else:
            _write(captures, Path(har))
    except CaptureError as error:
        raise ExportError(str(error)) from None
    except BrokenPipeError:
        sys.stderr.close()  # whoever reads has enough; Python would complain of that at its end
    except OSError as error:
        raise ExportError(f"{har} can't be written: {error.strerror}") from None


def _write(captures: list[Captured], har: Path) -> None:
    with NamedTemporaryFile("w", dir=har.parent, prefix=f".{har.name}.", delete=False, encoding="utf-8") as file:
        try:
            file.writelines(write_har(captures))
            file.flush()
            os.replace(file.name, har)  # mode 0600: messages are nobody else's business
        except BaseException:
            os.unlink(file.name)
            raise
