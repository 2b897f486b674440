"""The options of the subcommand `wsdgateway scan`, which writes file names to stdout and everything else to stderr."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from wsdgateway.cli.arguments import between
from wsdgateway.cli.scan.choosing import COLORS, SOURCES
from wsdgateway.cli.scan.filekinds import CHOICES
from wsdgateway.cli.scan.outcomes import MEANINGS
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.run import Order, scan
from wsdgateway.cli.scan.securing import Judgement, add_judgement

_DESCRIPTION = """\
Scan pages through a gateway, or straight from a scanner. The names of the files
go to stdout, a line each, everything else to stderr.

The file's suffix says what it becomes: .pdf, .jpg, .png or .tif. A PDF holds
every page; a name with %d or %03d makes a file of each page, numbered from 1.
Further pages of a file without a number get names like out-2.jpg. A file that
was there already is replaced by -o FILE when the new one is whole, and that is
said; a file that wsdgateway names by itself replaces none."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    statuses = "\n".join(f"  {status:<4} {meaning}" for status, meaning in MEANINGS.items())
    parser = commands.add_parser(
        "scan", help="scan into a PDF or image files", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION, epilog=f"exit status:\n{statuses}")
    parser.add_argument("url", metavar="URL", help="a scan service, like http://127.0.0.1:5357/front-desk/scan")
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="out.pdf, out.jpg, out-%%03d.jpg; default: scan.pdf, or the next name that is free")
    parser.add_argument("--source", choices=sorted(SOURCES), default="platen",
                        help="the glass, the feeder, or both sides of each sheet in it; default: platen")
    parser.add_argument("--resolution", type=between(int, 1, 100000, "number of dots an inch"), metavar="DPI",
                        help="dots an inch; default: the scanner's own")
    parser.add_argument("--color", choices=list(COLORS), metavar="MODE",
                        help="color, gray, bw, or a mode by WS-Scan's name; default: the scanner's own")
    parser.add_argument("--format", choices=CHOICES, metavar="FORMAT",
                        help="pdf, jpeg, png, tiff, or an image format by WS-Scan's name; with a PDF, of its images")
    parser.add_argument("--wait", type=between(float, 0, 3600, "number of seconds"), default=30.0, metavar="SECONDS",
                        help="how long a busy scanner is asked again; default: 30")
    add_judgement(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Scan with these options. Raises `ScanError`, and KeyboardInterrupt for a signal."""
    order = Order(options.url, options.output, options.source, options.resolution, options.color, options.format,
                  options.wait, Judgement(options.ca, options.pin, options.insecure))
    with _signals_interrupt():
        scan(order, Progress(Console(stderr=True), sys.stdout))
    return 0


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the scan in the same way as Ctrl-C."""
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    former: dict[signal.Signals, Callable[..., object] | int | None] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # keep nohup's SIG_IGN
                former[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, action in former.items():
            signal.signal(number, action)
