"""Reads the file of `upload_header_file`: one line with a header field, such as `Authorization: Token …`.

It holds a secret, so no error message contains any of it.
"""

import re
from pathlib import Path
from typing import Any

from wsdgateway.config.arraysections import array_section
from wsdgateway.config.certificates import ReportMistake
from wsdgateway.config.secretfile import read_secret
from wsdgateway.tls.files import BadFile

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
# Fields that belong to the request itself.
_OTHERS = frozenset({b"host", b"content-length", b"content-type", b"transfer-encoding", b"connection", b"expect", b"te",
                     b"upgrade", b"trailer"})
_WHAT = 'a file with one line such as "Authorization: Token ..."'


def check_header_files(values: dict[str, Any], folder: Path, wrong: ReportMistake) -> None:
    """Checks the file of each `[[destination]] upload_header_file`; sections with other mistakes are left out."""
    for position, one in enumerate(values.get("destination", ())):
        if one is not None and one.upload is not None and one.upload_header_file is not None:
            try:
                read_header(folder / one.upload_header_file)
            except BadFile as bad:
                wrong(array_section("destination", position, one.name), "upload_header_file", one.upload_header_file,
                      str(bad))


def read_header(path: Path) -> tuple[bytes, bytes]:
    """Returns the name and the value of the field. Raises `BadFile`, whose text completes "must be"."""
    line = read_secret(path, _WHAT)
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not value or not _TOKEN.fullmatch(name) or not re.fullmatch(
            rb"[\t\x20-\x7e\x80-\xff]+", value):
        raise BadFile(f"{_WHAT} ({path} has something else)")
    if name.lower() in _OTHERS:
        raise BadFile(f"{_WHAT} ({path} sets {name.decode()}, which the request itself sets)")
    return name, value
