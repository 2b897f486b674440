"""The identity of an endpoint: determines which spellings of an address name the same device.

WS-Discovery 2005/04, section 2.6 (APP_ENDPOINT); RFC 9562, section 4. Scanners write the same uuid as `urn:uuid:…` or
`uuid:…`, in braces or without hyphens, and in either case.
"""

import re
from uuid import UUID

_PREFIXES = ("urn:uuid:", "uuid:")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WITHOUT_HYPHENS = re.compile(r"[0-9a-f]{32}")


def identity_of(endpoint: str) -> str:
    """Returns the canonical form of an endpoint address, for comparison and storage.

    This is `urn:uuid:` and lower case for a uuid; any other address is converted to lower case.
    """
    lower = endpoint.strip().lower()
    prefix = next((one for one in _PREFIXES if lower.startswith(one)), "")
    name = lower[len(prefix):].strip()
    if name.startswith("{") and name.endswith("}"):
        name = name[1:-1].strip()
    if _WITHOUT_HYPHENS.fullmatch(name):
        name = str(UUID(name))
    return _PREFIXES[0] + name if prefix or _UUID.fullmatch(name) else lower


def is_same(one: str, other: str) -> bool:
    """True if two endpoint addresses name the same device."""
    return one == other or identity_of(one) == identity_of(other)


def is_uuid(endpoint: str) -> bool:
    """True if an endpoint address is a uuid, in any spelling."""
    return _UUID.fullmatch(identity_of(endpoint).removeprefix(_PREFIXES[0])) is not None
