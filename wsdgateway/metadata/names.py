"""Display names of devices: rejects a FriendlyName that only repeats the device's address.

DPWS 2006/02, section 5.1 (ThisDevice). Some scanners fill FriendlyName with their IP address, or the URL of their page,
which is no help to people and must not reach clients.
"""

from urllib.parse import urlsplit

from wsdgateway.http.urls import ip_of

_AROUND = "()<>{}\"',;"  # characters that people and firmware put around an address


def is_address(text: str) -> bool:
    """True if a text consists only of IP addresses, with or without ports and paths, or URLs."""
    words = text.split()
    return bool(words) and all(_is_address(word.strip(_AROUND)) for word in words)


def _is_address(word: str) -> bool:
    if "://" in word:
        return True
    if ip_of(word) is not None:
        return True
    try:
        return ip_of(urlsplit(f"//{word}").hostname or "") is not None
    except ValueError:
        return False


def name_of(*candidates: str) -> str:
    """Returns the first of the texts that is usable as a display name; empty if none is."""
    return next((text.strip() for text in candidates if text.strip() and not is_address(text)), "")
