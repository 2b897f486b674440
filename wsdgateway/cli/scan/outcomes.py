"""How `wsdgateway scan` ends: an exit status for each way, the error that carries it, and words fit to be shown."""

from wsdgateway.cli.printing import printable

MAX_SAID = 200

WRONG, UNREACHABLE, BUSY, NO_PAPER, FAILED, INTERRUPTED = 2, 3, 4, 5, 6, 130

MEANINGS = {
    0: "done",
    WRONG: "a wrong option or value, or something that the scanner does not offer; nothing was scanned",
    UNREACHABLE: "nobody answers at the URL, or the gateway can't reach the scanner",
    BUSY: "the scanner was still busy after --wait",
    NO_PAPER: "the feeder is empty",
    FAILED: "anything else: the job was refused, or broke off",
    INTERRUPTED: "interrupted (Ctrl-C)",
}


class ScanError(Exception):
    """The scan did not end as it should; the text says why and what to do, `status` is the exit status."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


def plain(text: object) -> str:
    """What came from the network, made fit to be shown: one line, no control characters, no novels."""
    return printable(" ".join(str(text)[:MAX_SAID].split()))
