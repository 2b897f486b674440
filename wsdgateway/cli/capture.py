"""The subcommand `wsdgateway capture export`: exports captured exchanges as a HAR file."""

import argparse
import os
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from wsdgateway.cli.errors import CommandError
from wsdgateway.exchangelog.folder import Captured, CaptureError, read_folder
from wsdgateway.exchangelog.har import write_har


class ExportError(CommandError):
    """The captures cannot be exported; the text says why."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("capture", help="export captures to other formats")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    exporting = actions.add_parser("export", help="convert captures to a form that other tools can open")
    exporting.add_argument("folder", metavar="DIR", help="folder given by [exchange_log] capture")
    exporting.add_argument("--har", metavar="FILE", nargs="?", const="-", required=True,
                           help="write an HTTP Archive (HAR 1.2); default: standard output")
    exporting.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the HAR file. Raises `ExportError`."""
    export(options.folder, options.har)
    return 0


def export(folder: str, har: str) -> None:
    """Write a folder's captures as HAR into a file, which only appears when it is complete; `-` is the standard output.

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
        raise  # the reader has closed the pipe, which ends every subcommand in the same way
    except OSError as error:
        raise ExportError(f"{har}: cannot be written: {error.strerror}") from None


def _write(captures: list[Captured], har: Path) -> None:
    with NamedTemporaryFile("w", dir=har.parent, prefix=f".{har.name}.", delete=False, encoding="utf-8") as file:
        try:
            file.writelines(write_har(captures))
            file.flush()
            os.replace(file.name, har)  # mode 0600: messages are confidential
        except BaseException:
            os.unlink(file.name)
            raise
