"""Checks the configuration's numbers: each has a minimum and a maximum."""

from typing import Any

import attrs

from wsdgateway.config.wrong import Wrong


@attrs.frozen
class Number:
    """A check for a number between two bounds, both included; `what` describes it in messages.

    `kind` is int for whole numbers. `zero` gives the meaning of 0 if 0 is valid although it is below `lowest`.
    """

    lowest: float
    highest: float
    kind: type[int] | type[float] = float
    what: str = "a number"
    zero: str = ""

    def __call__(self, value: Any) -> Any:
        """Returns the number as `kind`. Raises `Wrong`."""
        kinds = int if self.kind is int else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or not (self.lowest <= value <= self.highest or (self.zero and value == 0)):
            raise Wrong(f"{self.what} between {digits(self.lowest)} and {digits(self.highest)}"
                        + (f", or 0 for {self.zero}" if self.zero else ""))
        return self.kind(value)


def digits(bound: float) -> str:
    """Formats a bound as people write it in the file, without an exponent."""
    return str(int(bound)) if bound == int(bound) else str(bound)


def seconds(lowest: float, highest: float, zero: str = "") -> Number:
    """Returns a check for a duration."""
    return Number(lowest, highest, float, "a number of seconds", zero)


def whole(lowest: int, highest: int) -> Number:
    """Returns a check for a whole number."""
    return Number(lowest, highest, int, "a whole number")


def rate(lowest: float, highest: float, zero: str = "") -> Number:
    """Returns a check for a rate per second."""
    return Number(lowest, highest, float, "a number per second", zero)
