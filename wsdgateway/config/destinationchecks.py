"""Checks the values of `[[destination]]`: each check returns the value as it is used, or raises `Wrong`."""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import idna

from wsdgateway.config.checks import http_url
from wsdgateway.config.wrong import Wrong, shown

MAX_NAME = 64  # characters on a panel
MAX_FILE = 128  # characters of the pattern for file names
MAX_ARGUMENTS = 64  # of a command
MAX_ARGUMENT = 4096  # characters
FILE_WORDS = ("scanner", "date", "time", "number", "destination", "job")
COMMAND_WORDS = ("path", "scanner", "destination", "pages")
FORMATS = ("pdf", "jpeg", "png", "tiff")
SOURCES = ("auto", "platen", "adf", "duplex")
COLORS = ("color", "gray", "bw")
_WORD = re.compile(r"\{([^{}]*)\}")


def is_panel_name(value: object) -> bool:
    """Whether a value is a name that a panel can show."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value == value.strip() and value.isprintable()


def panel_name(value: Any) -> str:
    """Checks a name for the panel of a scanner. Raises `Wrong`."""
    if not is_panel_name(value):
        raise Wrong(f"a name for the panel of 1 to {MAX_NAME} printable characters, without blanks at its ends")
    return str(value)


def form_field(value: Any) -> str:
    """Checks the name of a form's field. Raises `Wrong`."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,64}", value):
        raise Wrong("the name of a form field: 1 to 64 characters of A-Z, a-z, 0-9 and _.-[]")
    return value


def upload_url(value: Any) -> str:
    """Checks the URL of an upload server. Raises `Wrong`, also for names to which Twisted makes no connection."""
    url = http_url(value)
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        ip_address(host)
        return url
    try:
        idna.encode(host, uts46=True)
    except idna.IDNAError:
        raise Wrong("a URL whose host is an IP address, or a name of letters, digits and hyphens (give the address of "
                    "a host whose name has other characters, such as _)") from None
    return url


def command(value: Any) -> tuple[str, ...]:
    """Checks a program with its arguments. Raises `Wrong`."""
    words = ", ".join(f"{{{word}}}" for word in COMMAND_WORDS)
    what = f'a list of a program and its arguments such as ["/usr/local/bin/after-scan", "{{path}}"], with {words}'
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ARGUMENTS or not all(
            isinstance(item, str) and len(item) <= MAX_ARGUMENT and "\0" not in item for item in value):
        raise Wrong(what)
    if not value[0].startswith("/") or "{" in value[0]:
        raise Wrong(f"{what}; the program must be given by its whole path, without a word in braces")
    for item in value:
        _check_words(item, COMMAND_WORDS, what)
    return tuple(value)


def file_name(value: Any) -> str:
    """Checks the pattern for file names. Raises `Wrong`."""
    what = ('a file name without extension such as "{scanner}-{date}-{time}-{number}", of at most '
            f"{MAX_FILE} characters, without / and not beginning with a dot")
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_FILE or not value.isprintable() or (
            "/" in value or value.startswith(".")):
        raise Wrong(what)
    _check_words(value, FILE_WORDS, what)
    return value


def _check_words(value: str, known: tuple[str, ...], what: str) -> None:
    for word in _WORD.findall(value):
        if word not in known:
            raise Wrong(f"{what}; {shown(f'{{{word}}}')} must be one of {', '.join(f'{{{one}}}' for one in known)}")


def file_format(value: Any) -> str:
    """Checks the format of files. Raises `Wrong`."""
    return _one_of(value, FORMATS)


def source(value: Any) -> str:
    """Checks the source of pages. Raises `Wrong`."""
    return _one_of(value, SOURCES)


def color(value: Any) -> str:
    """Checks the colour mode. Raises `Wrong`."""
    return _one_of(value, COLORS)


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed or not isinstance(value, str):
        *first, last = (f'"{one}"' for one in allowed)
        raise Wrong(f"{', '.join(first)} or {last}")
    return value
