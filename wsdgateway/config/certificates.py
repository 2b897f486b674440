"""Checks the TLS settings of a configuration, and reads the certificate files that it names."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from wsdgateway.config.endpoints import Listening, identity_files, is_ssl, own_identity_files
from wsdgateway.config.sections import Escl, Listen, ScannerConfig
from wsdgateway.config.wrong import Section
from wsdgateway.tls.files import BadFile, read_certificates
from wsdgateway.tls.identity import BadIdentity, read_identity


class ReportMistake(Protocol):
    """Records a mistake: section, key, value, and what it must be."""

    def __call__(self, section: Section, key: str, value: Any, wanted: str) -> None: ...


_Problem = tuple[str, Any, str]
_ALONE = ("left out, because it is valid only together with certificate, the file of the listener's own "
          "certificate")


def check_tls(values: dict[str, Any], folder: Path, wrong: ReportMistake) -> None:
    """Checks every section with TLS settings; None stands for a section that has other mistakes."""
    sections: list[tuple[Section, Any, Callable[[Any, Path], Iterator[_Problem]]]] = [
        *((Section(f"[[listen]] {position + 1}", ("listen", position)), one, _listen)
          for position, one in enumerate(values.get("listen", ()))),
        (Section("[admin]", ("admin",)), values.get("admin"), _listening),
        (Section("[escl]", ("escl",)), values.get("escl"), _escl),
        *((Section(f"[[scanner]] {one.name}", ("scanner", position)), one, _scanner)
          for position, one in enumerate(values.get("scanner", ())) if one is not None)]
    for section, one, check in sections:
        if one is not None:
            for key, value, wanted in check(one, folder):
                wrong(section, key, value, wanted)


def _listen(listen: Listen, folder: Path) -> Iterator[_Problem]:
    yield from _listening(listen, folder)
    secure = listen.certificate is not None or is_ssl(listen.endpoint)
    if secure and listen.advertise is not None and not listen.advertise.startswith("https:"):
        yield "advertise", listen.advertise, "an https address, because clients reach this listener over TLS"


def _listening(section: Listening, folder: Path) -> Iterator[_Problem]:
    if is_ssl(section.endpoint):
        for key in ("certificate", "key"):
            if getattr(section, key) is not None:
                yield key, getattr(section, key), "left out, because an ssl: endpoint names its files itself"
                return
    elif section.certificate is None:
        for key in ("key", "client_ca"):
            if getattr(section, key) is not None:
                yield key, getattr(section, key), _ALONE
        return
    elif not section.endpoint.startswith("tcp"):
        yield "certificate", section.certificate, (
            "left out, because it is valid only with an endpoint that begins with tcp:")
        return
    files = identity_files(section, folder)
    assert files is not None
    try:
        read_identity(files)
    except BadIdentity as bad:
        if is_ssl(section.endpoint) and bad.key != "client_ca":
            yield "endpoint", section.endpoint, str(bad)
        else:
            yield bad.key, getattr(section, bad.key) or section.certificate, str(bad)


def _escl(escl: Escl, folder: Path) -> Iterator[_Problem]:
    files = own_identity_files(escl, folder)
    if files is None:
        if escl.key is not None:
            yield "key", escl.key, _ALONE
        return
    try:
        read_identity(files)
    except BadIdentity as bad:
        yield bad.key, getattr(escl, bad.key) or escl.certificate, str(bad)


def _scanner(scanner: ScannerConfig, folder: Path) -> Iterator[_Problem]:
    given = [key for key in ("ca", "pin", "insecure") if getattr(scanner, key)]
    if len(given) > 1:
        yield given[1], getattr(scanner, given[1]), (
            f"left out, because only one of ca, pin and insecure may be given, and {given[0]} is")
    address = scanner.scan or scanner.device
    if given and address is not None and not address.startswith("https:"):
        yield given[0], getattr(scanner, given[0]), (
            "left out, because it is valid only for a scanner with an https address, or one found by its uuid")
    if scanner.ca is not None:
        try:
            read_certificates(folder / scanner.ca)
        except BadFile as bad:
            yield "ca", scanner.ca, str(bad)
