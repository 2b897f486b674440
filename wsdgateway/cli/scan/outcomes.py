"""The exit statuses of `wsdgateway scan` and their meanings, and the error that carries one."""

from wsdgateway.cli.errors import WRONG, CommandError
from wsdgateway.cli.printing import printable

MAX_SAID = 200

UNREACHABLE, BUSY, NO_PAPER, FAILED, ATTENTION, INTERRUPTED = 3, 4, 5, 6, 7, 130

MEANINGS = {
    0: "done",
    WRONG: "invalid option or value, or not offered by the scanner; nothing was scanned",
    UNREACHABLE: "no answer at the URL, or the gateway cannot reach the scanner",
    BUSY: "the scanner was still busy after --wait, or --timeout was over before the first page",
    NO_PAPER: "the feeder is empty",
    FAILED: "any other failure: the job was refused or ended early, or --timeout was over after the first page",
    ATTENTION: "the scanner needs attention: paper jam, cover open and so on",
    INTERRUPTED: "interrupted (Ctrl-C)",
}


class ScanError(CommandError):
    """The scan failed; the text says why and what to do. `items` follow it as a list, `status` is the exit status."""

    def __init__(self, text: str, status: int = FAILED, items: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.items = items

    def line(self) -> str:
        """The text, with a further line for each item; without control characters, since parts come from scanners."""
        return "\n  ".join(printable(line) for line in (str(self), *self.items))


def no_scanner(url: str, reason: object) -> ScanError:
    """The error for an address at which something else than a scanner answers; `reason` is its answer."""
    return ScanError(f"{url}: no scanner answers here: {reason}. Give the address of a scanner, or of a gateway; "
                     "wsdgateway discover lists them", WRONG)


def cause_of(error: Exception) -> str:
    """The cause of a failed connection in words, without the number of an error of the system."""
    return plain(getattr(error, "strerror", None) or error) or type(error).__name__


def plain(text: object) -> str:
    """A text from the network as one line, without control characters. `…` ends one that is cut at `MAX_SAID`."""
    whole = str(text)
    return printable(" ".join(whole[:MAX_SAID].split())) + " …" * (len(whole) > MAX_SAID)
