"""The virtual scanner, except that a job goes on when a page of it breaks off: that page has passed, and is lost."""

import sys

from twisted.scripts.twistd import run

from wsdgateway.simulator.device import VirtualDevice

VirtualDevice.page_broken = VirtualDevice.page_sent
sys.argv[1:] = ["-n", "--pidfile=", "wsdscanner", "--config", sys.argv[1]]
run()
