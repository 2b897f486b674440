"""The error that ends a subcommand, with its exit status."""

WRONG = 2


class CommandError(Exception):
    """The subcommand can't do what it was asked for; the text says why and what to do."""

    status = WRONG

    def line(self) -> str:
        """The text as it is printed."""
        return str(self)
