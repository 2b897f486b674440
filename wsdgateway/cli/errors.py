"""The error that ends a subcommand, with its exit status."""

WRONG = 2


class CommandError(Exception):
    """The subcommand failed; the text says why and what to do."""

    status = WRONG

    def line(self) -> str:
        """The text to print."""
        return str(self)
