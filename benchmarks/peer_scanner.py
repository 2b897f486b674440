"""A device for the benchmark of eSCL pages: the virtual scanner, whose pages are of 10 MiB and take no time to draw."""

import sys

from twisted.scripts.twistd import run

from wsdgateway.simulator import web
from wsdgateway.simulator.pages import PageFormat, draw_page

SIZE = 10 << 20

_page = draw_page(PageFormat(), 1, "ADF", "").ljust(SIZE, b"\0")
web.draw_page = lambda *_: _page  # type: ignore[attr-defined]
sys.argv[1:] = ["-n", "--pidfile=", "wsdscanner", "--config", sys.argv[2]]
run()
