"""Makes the names of a destination's files from the pattern in the configuration.

In a substituted value `/`, NUL, control characters and leading dots become `_`. A pattern contains no `/` and does not
begin with a dot, so the name stays in its folder and is not hidden.
"""

import re
from collections.abc import Iterator, Mapping

MAX_STEM = 200  # bytes in UTF-8; file systems allow 255 with the number and extension
MAX_NUMBER = 99999  # that is tried to find a free name
EXTENSIONS = {"pdf": "pdf", "jpeg": "jpg", "png": "png", "tiff": "tif"}

_WORD = re.compile(r"\{([a-z]+)\}")
_NUMBER = "{number}"


def safe(value: str) -> str:
    """A value as a part of a file name."""
    plain = "".join("_" if c == "/" or not c.isprintable() else c for c in value)
    dots = len(plain) - len(plain.lstrip("."))
    return "_" * dots + plain[dots:]


def stem(pattern: str, values: Mapping[str, str], number: int) -> str:
    """The name without its extension; `values` has the value of each other word."""
    known = {**values, "number": str(number)}
    name = _WORD.sub(lambda found: safe(known.get(found[1], found[0])), pattern)
    if not name or name.startswith("."):  # a value was empty
        name = f"_{name}"
    return name.encode("utf-8", "replace")[:MAX_STEM].decode("utf-8", "ignore") if _is_long(name) else name


def _is_long(name: str) -> bool:
    return len(name.encode("utf-8", "replace")) > MAX_STEM


def candidates(pattern: str, values: Mapping[str, str], extension: str, number: int | None) -> Iterator[str]:
    """The names to try in order until one is free.

    `number` is that of the page; None for a file with all pages, whose `{number}` is the first one that is free.
    """
    first = stem(pattern, values, number or 1)
    yield f"{first}.{extension}"
    # In a name that is shortened the number may be cut off.
    counts = number is None and _NUMBER in pattern and stem(pattern, values, MAX_NUMBER) != stem(
        pattern, values, MAX_NUMBER - 1)
    for other in range(2, MAX_NUMBER + 1):
        yield f"{stem(pattern, values, other)}.{extension}" if counts else f"{first}-{other}.{extension}"
