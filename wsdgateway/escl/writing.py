"""Writes eSCL documents with the prefixes and the order that strict readers expect.

Some readers compare prefixes as text, and some fail at line breaks inside a start tag. So the prefixes are always
`scan` and `pwg`, and the root declares both on one line.
"""

from collections.abc import Iterable

from wsdgateway.escl.reading import PWG, SCAN
from wsdgateway.soap.parsing import escape

DEFAULT_VERSION = "2.63"


def document(name: str, content: str) -> bytes:
    """The complete document with a root of that local name."""
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<scan:{name} xmlns:scan="{SCAN}" xmlns:pwg="{PWG}">{content}'
            f"</scan:{name}>\n").encode()


def element(name: str, value: str | int | bool | None) -> str:
    """An element with a prefix and a value; empty without a value."""
    if value is None:
        return ""
    written = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{written}</{name}>"


def group(name: str, content: str) -> str:
    """An element around written elements; empty if there are none."""
    return f"<{name}>{content}</{name}>" if content else ""


def listed(outer: str, inner: str, values: Iterable[str]) -> str:
    """A list of values; empty if there are none."""
    return group(outer, "".join(element(inner, value) for value in values))
