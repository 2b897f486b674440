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
Scan pages through a gateway, or directly from a scanner. File names are printed
to stdout, one per line; all other messages go to stderr.

The suffix of the file selects its format: .pdf, .jpg, .png or .tif. A PDF holds
all pages. A name with %d or %03d makes one file per page, numbered from 1;
without a number, further pages are saved under names like out-2.jpg. An existing
file is replaced only if -o names it, and only when the new one is complete; a
message reports that."""


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    statuses = "\n".join(f"  {status:<4} {meaning}" for status, meaning in MEANINGS.items())
    parser = commands.add_parser(
        "scan", help="scan to a PDF or to image files", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION, epilog=f"exit status:\n{statuses}")
    parser.add_argument("url", metavar="URL", help="scan service, such as http://127.0.0.1:5357/front-desk/scan")
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="such as out.pdf, out.jpg or out-%%03d.jpg; default: scan.pdf, or the next free name")
    parser.add_argument("--source", choices=sorted(SOURCES), default="platen",
                        help="platen glass, document feeder, or both sides of each sheet in the feeder; default: "
                             "platen")
    parser.add_argument("--resolution", type=between(int, 1, 100000, "number of dots per inch"), metavar="DPI",
                        help="dots per inch; default: the scanner's own")
    parser.add_argument("--color", choices=list(COLORS), metavar="MODE",
                        help="color, gray, bw, or a color mode of WS-Scan; default: the scanner's own")
    parser.add_argument("--format", choices=CHOICES, metavar="FORMAT",
                        help="pdf, jpeg, png, tiff, or an image format of WS-Scan; for a PDF, the format of its "
                             "images")
    parser.add_argument("--wait", type=between(float, 0, 3600, "number of seconds"), default=30.0, metavar="SECONDS",
                        help="retry for this long while the scanner is busy; default: 30")
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
