"""What options of the console script may be: `argparse` types that say what is allowed."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from wsdgateway.config.checks import Wrong, endpoint

Number = TypeVar("Number", int, float)


def between(kind: Callable[[str], Number], lowest: float, highest: float, what: str) -> Callable[[str], Number]:
    """A type for numbers between two, both included; `what` they are, for the message."""
    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind("-1")
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text!r}: allowed is a {what} from {lowest:g} to {highest:g}")
        return value
    return read


def server_endpoint(text: str) -> str:
    """A Twisted server endpoint string."""
    try:
        return endpoint(text)
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is {wrong}") from None
