"""The options of the subcommand `wsdgateway scan`, which writes results to stdout and everything else to stderr."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from wsdgateway.cli.arguments import between
from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.choosing import COLORS, SOURCES
from wsdgateway.cli.scan.filekinds import CHOICES
from wsdgateway.cli.scan.outcomes import MEANINGS, ScanError
from wsdgateway.cli.scan.progress import Progress
from wsdgateway.cli.scan.run import Order, offers, scan
from wsdgateway.cli.scan.securing import Judgement, add_judgement
from wsdgateway.cli.scan.sizes import read_size
from wsdgateway.cli.scan.targets import STDOUT

_DESCRIPTION = """\
Scan pages through a gateway, or directly from a scanner. File names are printed
to stdout, one per line; all other messages go to stderr.

URL is the address of a scanner or its scan service, such as
http://192.0.2.5:5357/front-desk; or that of a gateway, such as 192.0.2.5:5357,
if one scanner is behind it. wsdgateway discover lists scanners.

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
    parser.add_argument("url", metavar="URL", help="scanner, scan service or gateway, such as http://127.0.0.1:5357/front-desk")
    parser.add_argument("--list", action="store_true", help="print what the scanner offers, and scan nothing")
    parser.add_argument("-o", "--output", metavar="FILE",
                        help="such as out.pdf, out.jpg or out-%%03d.jpg; - is stdout: a PDF, or the one image of "
                             "--format; default: scan.pdf, or the next free name")
    parser.add_argument("--source", choices=sorted(SOURCES), default="platen",
                        help="platen glass, document feeder, or both sides of each sheet in the feeder; default: "
                             "platen")
    parser.add_argument("--resolution", type=between(int, 1, 100000, "number of dots per inch"), metavar="DPI",
                        help="dots per inch; default: the scanner's own")
    parser.add_argument("--size", type=read_size, metavar="SIZE",
                        help="a4, letter or WIDTHxHEIGHTmm, such as 100x150mm; default: the scanner's own")
    parser.add_argument("--color", choices=list(COLORS), metavar="MODE",
                        help="color, gray, bw, or a color mode of WS-Scan; default: the scanner's own")
    parser.add_argument("--format", choices=CHOICES, metavar="FORMAT",
                        help="pdf, jpeg, png, tiff, or an image format of WS-Scan; for a PDF, the format of its "
                             "images")
    parser.add_argument("--wait", type=between(float, 0, 3600, "number of seconds"), default=30.0, metavar="SECONDS",
                        help="retry for this long while the scanner is busy; default: 30")
    parser.add_argument("--timeout", type=between(float, 0.1, 86400, "number of seconds"), metavar="SECONDS",
                        help="end after this long, whatever the scanner does; default: no limit")
    add_judgement(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Scan, or list, with these options. Raises `ScanError`, and KeyboardInterrupt for a signal."""
    order = Order(options.url, options.output, options.source, options.resolution, options.color, options.format,
                  options.wait, Judgement(options.ca, options.pin, options.insecure), options.size, options.timeout)
    console = Console(stderr=True)
    with _signals_interrupt():
        if options.list:
            print("\n".join(offers(order, Progress(console, sys.stdout))))
        elif options.output == STDOUT:
            _scan_to_stdout(order, console)
        else:
            scan(order, Progress(console, sys.stdout))
    return 0


def _scan_to_stdout(order: Order, console: Console) -> None:
    if sys.stdout.isatty():
        raise ScanError("-o -: must go to a file or a pipe, because stdout is a terminal", WRONG)
    scan(order, Progress(console, sys.stderr), out=sys.stdout.buffer)


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
