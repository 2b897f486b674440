"""Types of options for `argparse`: each converts a value, or raises an error that says what the value must be."""

import argparse
from collections.abc import Callable
from typing import TypeVar

from wsdgateway.config.checks import endpoint
from wsdgateway.config.numbers import digits
from wsdgateway.config.wrong import Wrong

Number = TypeVar("Number", int, float)


def between(kind: Callable[[str], Number], lowest: float, highest: float, what: str) -> Callable[[str], Number]:
    """A type for numbers from `lowest` to `highest`, both included. `what` names the value in the message."""
    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind("-1")
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text!r}: must be a {what} between {digits(lowest)} and "
                                             f"{digits(highest)}")
        return value
    return read


def server_endpoint(text: str) -> str:
    """A type for Twisted server endpoint strings."""
    try:
        return endpoint(text)
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(f"{text!r}: must be {wrong}") from None
