"""An eSCL scanner as a DNS-SD service: its instance name and its TXT record.

RFC 6763, sections 4 and 6. The service is `_uscan._tcp`, or `_uscans._tcp` with TLS.
"""

import unicodedata

import attrs

USCAN, USCANS = "_uscan._tcp.local", "_uscans._tcp.local"
TYPES = (USCAN, USCANS)
MAX_LABEL = 63  # bytes of an instance name
MAX_STRING = 255  # bytes of one string of a TXT record
MAX_TXT = 1300  # bytes of all strings, so that a record fits into one packet; RFC 6763, section 6.2
NAMELESS = "Scanner"
# Every client can read these two, and Apple's want both.
_FORMATS = ("application/pdf", "image/jpeg")
_COLORS = ("binary", "grayscale", "color")
_SOURCES = ("platen", "adf", "camera")


@attrs.frozen
class ScannerService:
    """An eSCL scanner that is announced under the key `scanner`, whose eSCL root is at that port.

    `make_and_model` must not be empty, since some clients leave out a scanner without it. `colors` are of binary,
    grayscale, color; `sources` of platen, adf, camera. In `admin_url` and `icon_url`, `{host}` stands for an address of
    the interface; an empty one is left out.
    """

    scanner: str
    name: str
    port: int
    make_and_model: str
    uuid: str
    secure: bool = False
    formats: tuple[str, ...] = _FORMATS
    colors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    duplex: bool = False
    admin_url: str = ""
    icon_url: str = ""
    note: str = ""

    @property
    def type(self) -> str:
        """The service type."""
        return USCANS if self.secure else USCAN


def instance_name(name: str, number: int = 1) -> str:
    """A name as an instance name of at most `MAX_LABEL` bytes; from the second number on with " (NUMBER)".

    A colon becomes a hyphen, because ChromeOS replaces it and then misses the scanner.
    """
    shown = unicodedata.normalize("NFC", name).replace(":", "-")
    shown = "".join(character if character.isprintable() else " " for character in shown)
    shown = " ".join(shown.split()) or NAMELESS
    suffix = f" ({number})" if number > 1 else ""
    return _cut(shown, MAX_LABEL - len(suffix)).rstrip() + suffix


def txt_of(service: ScannerService, host: str) -> tuple[bytes, ...]:
    """The strings of a service's TXT record on an interface; `host` is an address there as written in a URL.

    `rs` has no slashes, since SANE's escl backend and VueScan accept `eSCL` only. A URL that does not fit is left out,
    any other value is cut.
    """
    others = tuple(one for one in service.formats if one not in _FORMATS)
    values = (
        ("txtvers", "1"),
        ("rs", "eSCL"),
        ("ty", service.make_and_model),
        ("uuid", service.uuid.lower().removeprefix("urn:uuid:")),
        ("pdl", ",".join((*_FORMATS, *dict.fromkeys(others)))),
        ("cs", ",".join(one for one in _COLORS if one in service.colors)),
        ("is", ",".join(one for one in _SOURCES if one in service.sources)),
        ("duplex", "T" if service.duplex else "F"),
        ("adminurl", _url(service.admin_url, host, "adminurl")),
        ("representation", _url(service.icon_url, host, "representation")),
        ("note", service.note))
    strings = [_cut(f"{key}={value}", MAX_STRING).encode() for key, value in values if value]
    while sum(len(one) + 1 for one in strings) > MAX_TXT:
        strings.pop()
    return tuple(strings)


def txt_data(strings: tuple[bytes, ...]) -> bytes:
    """Strings as the data of a TXT record."""
    return b"".join(bytes((len(one),)) + one for one in strings) or b"\0"


def read_txt(data: bytes) -> dict[str, str]:
    """The values of a TXT record by key in lower case; the first of a key counts. Bytes not in UTF-8 are replaced."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        string = data[at + 1:at + 1 + data[at]]
        at += 1 + data[at]
        key, _, value = string.decode(errors="replace").partition("=")
        if key:
            found.setdefault(key.lower(), value)
    return found


def _url(url: str, host: str, key: str) -> str:
    written = url.replace("{host}", host)
    return written if len(f"{key}={written}".encode()) <= MAX_STRING else ""


def _cut(text: str, size: int) -> str:
    """The text with at most `size` bytes in UTF-8, cut between characters."""
    return text.encode()[:size].decode(errors="ignore")
