"""The console script, and `python -m wsdgateway`."""

import sys

INTERRUPTED = 130


def run() -> None:
    """Run the console script. Ctrl-C ends it without a traceback also while its modules are being imported."""
    try:
        from wsdgateway.cli.main import run as run_subcommand
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run_subcommand()


if __name__ == "__main__":
    run()
