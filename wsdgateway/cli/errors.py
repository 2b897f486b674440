"""The error that ends a subcommand, with its exit status."""

from wsdgateway.cli.printing import printable

WRONG = 2


class CommandError(Exception):
    """The subcommand failed; the text says why and what to do."""

    status = WRONG

    def line(self) -> str:
        """The text to print, without control characters, since parts may come from the network."""
        return printable(str(self))
