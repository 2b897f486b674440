"""Names of devices for people: a FriendlyName that is no more than the device's address is no name.

DPWS 2006/02, section 5.1 (ThisDevice). Some scanners fill FriendlyName with their IP address, or the URL of their page,
which says nothing to people and must not reach clients.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

_AROUND = "()<>{}\"',;"  # what people and firmware put around an address


def is_address(text: str) -> bool:
    """Whether a text is nothing but IP addresses, with or without ports and paths, or URLs."""
    words = text.split()
    return bool(words) and all(_is_address(word.strip(_AROUND)) for word in words)


def _is_address(word: str) -> bool:
    if "://" in word:
        return True
    if _is_ip(word):
        return True
    try:
        return _is_ip(urlsplit(f"//{word}").hostname or "")
    except ValueError:
        return False


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def name_of(*candidates: str) -> str:
    """The first of the texts that is a name for people; empty if none is."""
    return next((text.strip() for text in candidates if text.strip() and not is_address(text)), "")
