"""The subcommand `wsdgateway run`: runs the gateway in the foreground.

It is `twistd -n --pidfile= wsdgateway`, with the exit statuses of the console script.
"""

import argparse
import signal
import sys
from typing import Any

from twisted.logger import Logger

from wsdgateway.cli.errors import WRONG
from wsdgateway.config.reading import CANDIDATES

ENDING = (signal.SIGINT, signal.SIGTERM)
TWISTD = ("--nodaemon", "--pidfile=", "wsdgateway")


def add_command(commands: Any) -> None:
    """Add the subcommand to the subparsers of an `argparse` parser."""
    parser = commands.add_parser("run", help="run the gateway in the foreground, until Ctrl-C")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("-c", "--config", metavar="FILE",
                      help=f"configuration file; default: ./{CANDIDATES[0]}, then {CANDIDATES[1]}")
    only.add_argument("--demo", action="store_true", help="run a virtual scanner on loopback, with a gateway in front "
                                                          "of it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the gateway until SIGTERM or SIGINT. Returns the exit status."""
    from twisted.internet import reactor
    from twisted.scripts import twistd

    config = twistd.ServerOptions()
    given = ["--demo"] if options.demo else [] if options.config is None else [f"--config={options.config}"]
    # Signals that twistd itself handled would end the process by that signal, as if it had failed. Those that arrive
    # while it starts wait until its handlers have been replaced.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    reactor.callWhenRunning(_end_on_signals, reactor)
    try:
        config.parseOptions([*TWISTD, *given])
        twistd.runApp(config)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return WRONG
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    return 0


def _end_on_signals(reactor: Any) -> None:
    def stop(number: int) -> None:
        Logger().info("Received {signal}, shutting down", signal=signal.Signals(number).name)
        reactor.stop()

    def received(number: int, frame: object) -> None:
        for one in ENDING:
            signal.signal(one, signal.SIG_DFL)  # a second one ends the process at once
        reactor.callFromThread(stop, number)

    for one in ENDING:
        if signal.getsignal(one) != signal.SIG_IGN:  # as for a job in the background of a script
            signal.signal(one, received)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
