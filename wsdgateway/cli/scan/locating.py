"""Finds the scan service for the address that a user gives: a scan service, a device, a gateway, or their host.

The address is asked as a scan service first, so that a right one costs no request. Otherwise WS-Transfer Get finds the
service of a device (DPWS 2006/02, section 5.2), and a directed Probe (section 4) the scanners behind a gateway.
"""

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import attrs

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.bounded import BoundedScanner
from wsdgateway.cli.scan.calls import Calls, TimeOver
from wsdgateway.cli.scan.client import ScanService
from wsdgateway.cli.scan.escl import EsclScanner, is_escl
from wsdgateway.cli.scan.outcomes import UNREACHABLE, ScanError, plain
from wsdgateway.cli.scan.retrying import Retries
from wsdgateway.cli.scan.scanner import ELEMENTS_TIMEOUT, Capabilities, Scanner, ScannerRefusal
from wsdgateway.cli.scan.web import Web, WebAnswer
from wsdgateway.discovery.messages import TargetService, message_in
from wsdgateway.discovery.writing import write_probe
from wsdgateway.http.urls import is_http
from wsdgateway.metadata.messages import Labels, read_labels, write_get
from wsdgateway.metadata.standin import find_metadata
from wsdgateway.net.discovery.client import DEVICE, probe_url
from wsdgateway.net.presence.metadata import endpoint_of, scan_address
from wsdgateway.net.scanners.address import reachable
from wsdgateway.soap.parsing import Malformed

MAX_LISTED = 20  # scanners whose names are asked for; of others, only the address is listed
DEVICE_PORT = 5357  # where a bare host is asked first, then at port 80
GUESS_TIMEOUT = 10.0  # a gateway asks its scanners for at most half of it
_OF_SCAN_SERVICE = ("ClientError", "ServerError", "OperationFailed")  # faults of WS-Scan
_T = TypeVar("_T")


@attrs.frozen
class Located:
    """A scanner, its labels if they were read, and its capabilities; `refusal` says why these are not known."""

    scanner: Scanner
    labels: Labels = attrs.field(factory=Labels)
    capabilities: Capabilities = attrs.field(factory=Capabilities)
    refusal: ScannerRefusal | None = None


@attrs.frozen
class _Place:
    """A device, and its scan service if it has one."""

    url: str
    scan: str | None
    labels: Labels = attrs.field(factory=Labels)


class Locator:
    """Finds the scanner at an address. `error_for` makes the error for a refusal by the scanner."""

    def __init__(self, web: Web, calls: Calls, retried: Retries,
                 check: Callable[[Scanner], Callable[[ScannerRefusal], str]],
                 error_for: Callable[[Scanner, ScannerRefusal], ScanError]) -> None:
        self._web = web
        self._calls = calls
        self._retried = retried
        self._check = check
        self._error_for = error_for
        self._host = ""

    def locate(self, url: str, given: str) -> Located:
        """The scanner at a valid URL; `given` is the text that the user gave. Raises `ScanError`."""
        if is_escl(url):
            return self._locate_escl(url)
        if "://" not in given and urlsplit(url).port is None and urlsplit(url).path in ("", "/"):
            host = urlsplit(url).netloc
            with suppress(_NoConnection):
                return self._locate(f"http://{host}:{DEVICE_PORT}/", first=True)
        return self._locate(url)

    def _locate(self, url: str, *, first: bool = False) -> Located:
        self._host = urlsplit(url).netloc
        service = ScanService(url, self._web)
        try:
            return Located(service, capabilities=self._capabilities(service))
        except ScannerRefusal as refusal:
            problem = refusal
        except ScanError as error:
            if first and error.status == UNREACHABLE and not isinstance(error, TimeOver):
                raise _NoConnection from None
            raise
        found = self._device_at(url) if problem.code.startswith(_OF_SCAN_SERVICE) else self._search(url)
        if found is None:
            return Located(service, refusal=problem)
        service = ScanService(found.scan or "", self._web)
        try:
            return Located(service, found.labels, self._capabilities(service))
        except ScannerRefusal as refusal:
            return Located(service, found.labels, refusal=refusal)

    def _locate_escl(self, url: str) -> Located:
        scanner = EsclScanner(url, self._web)
        try:
            return Located(scanner, capabilities=self._capabilities(scanner))
        except ScannerRefusal as refusal:
            place = None
            with suppress(_OutOfReach):
                place = self._search(url)
            raise ScanError(f"{url}: no eSCL scanner answers here: {refusal}" + (
                f"; a scan service is at {place.scan}" if place is not None else ""), WRONG) from None

    def _capabilities(self, service: Scanner) -> Capabilities:
        """The capabilities of a scanner. Raises `ScannerRefusal`, or `ScanError` if it is busy or out of reach."""
        try:
            return self._retried(BoundedScanner(service, self._calls).capabilities, self._check(service))
        except ScannerRefusal as refusal:
            if refusal.temporary:
                raise self._error_for(service, refusal) from None
            raise

    def _device_at(self, url: str) -> _Place | None:
        """The device at a URL that answers with a fault of WS-Scan, which some devices send for any unknown action."""
        place = self._try(lambda: self._call(lambda: self._device(url)))
        return place if place is not None and place.scan not in (None, url) else None

    def _search(self, url: str) -> _Place | None:
        """The device or the only scanner at a URL that is not a scan service; None if nothing is known about it.

        Raises `ScanError` if the URL is certainly wrong.
        """
        place = self._try(lambda: self._ask(lambda: self._device(url)))
        if place is not None:
            if place.scan is None:
                raise ScanError(f"{url}: this device has no scan service; give the address of a scanner", WRONG)
            return place
        here, is_root = urlsplit(url), urlsplit(url).path in ("", "/")
        root = urlunsplit((here.scheme, here.netloc, "/", "", ""))
        for asked in dict.fromkeys((url, root, probe_url(root))):
            matches = self._try(lambda: self._probe(asked))  # noqa: B023
            if matches is not None:
                return self._chosen(url, matches, of_host=is_root or here.path == urlsplit(probe_url(root)).path)
        self._check_admin(url, root)
        self._check_escl(url, root)
        return None

    def _chosen(self, url: str, matches: tuple[TargetService, ...], *, of_host: bool) -> _Place | None:
        """The only match if the URL stands for a whole host; None if the URL is one of the matches."""
        places = [place for number, match in enumerate(matches) if (place := self._place(url, match, number))]
        if not of_host and any(url in (place.scan, f"{place.url}/scan") for place in places):
            return None
        if of_host and len(places) == 1:
            [place] = places
            return place if place.scan is not None else self._silent(place.url)
        items = tuple(_item(place) for place in places)
        if not of_host:
            raise ScanError(f"{url}: no scanner is at this address" + (
                "; this host has these scanners:" if items else ", and this host has none at the moment"), WRONG, items)
        if not places:
            raise ScanError(f"{url}: no scanner is here at the moment. It is switched off, or out of the gateway's "
                            "reach, or none is configured; wsdgateway status shows which", UNREACHABLE)
        raise ScanError(f"{url}: {len(places)} scanners are here; give the address of one of them:", WRONG, items)

    def _place(self, url: str, match: TargetService, number: int) -> _Place | None:
        """The device of a match at the host of the URL; None if it is certainly no scanner."""
        host = urlsplit(url).hostname
        xaddrs = sorted(filter(is_http, match.xaddrs), key=lambda one: urlsplit(one).hostname != host)
        if not xaddrs:
            return None
        address = reachable(xaddrs[0], url)
        if number >= MAX_LISTED:
            return _Place(address, None)
        place = self._try(lambda: self._call(lambda: self._device(address)))
        if place is None:
            return _Place(address, None)
        return place if place.scan is not None else None

    def _silent(self, url: str) -> _Place:
        """The device at a URL that has not answered Get before. Raises `ScanError`."""
        place = self._try(lambda: self._ask(lambda: self._device(url)))
        if place is None or place.scan is None:
            raise ScanError(f"{url}: the scanner announces this address, but does not answer there", UNREACHABLE)
        return place

    def _device(self, url: str) -> _Place:
        """The device at a URL. Raises `ScannerRefusal` if none is there."""
        envelope = self._web.exchange(url, write_get(to=endpoint_of(url), message_id=_new_id()), ELEMENTS_TIMEOUT)
        metadata = find_metadata(envelope.body)
        if metadata is None:
            raise ScannerRefusal("no metadata", "")
        return _Place(url, scan_address(envelope, url), read_labels(metadata))

    def _probe(self, url: str) -> tuple[TargetService, ...]:
        """The matches of a directed Probe. Raises `ScannerRefusal` if the answer is none, and `Malformed`."""
        message = message_in(self._ask(lambda: self._web.exchange(
            url, write_probe(DEVICE, message_id=_new_id(), directed=True), GUESS_TIMEOUT)))
        if message.name != "ProbeMatches":
            raise ScannerRefusal("no matches", "")
        return message.content  # type: ignore[return-value]

    def _check_admin(self, url: str, root: str) -> None:
        """Raise `ScanError` if the URL is that of a gateway's admin site."""
        answer = self._try(lambda: self._call(lambda: self._web.request(f"{root}api/scanners", GUESS_TIMEOUT)))
        if answer is None or not _is_admin(answer):
            return
        items: list[str] = []
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            for entry in json.loads(answer.body)[:MAX_LISTED]:
                items.append(plain(entry["client_url"] or f"http://HOST:PORT{entry['path']}"))
        instead = "; its scanners are at:" if items else (
            ", which does not scan; give the address of a [[listen]] section")
        raise ScanError(f"{url}: this is the admin site of a gateway{instead}", WRONG, tuple(items))

    def _check_escl(self, url: str, root: str) -> None:
        """Raise `ScanError` if the URL is at a host and port with an eSCL root."""
        scanner = EsclScanner(f"{root}eSCL", self._web)
        if not is_escl(url) and self._try(lambda: self._call(scanner.capabilities)) is not None:
            raise ScanError(f"{url}: no scanner answers here, but an eSCL scanner is at "
                            f"{scanner.address}", WRONG)

    def _ask(self, ask: Callable[[], _T]) -> _T:
        """The answer to a request that may be repeated. Raises `_OutOfReach`."""
        try:
            return self._retried(lambda: self._call(ask))
        except ScannerRefusal as refusal:
            if refusal.temporary:
                raise _OutOfReach(refusal.cause(), UNREACHABLE) from None
            raise

    def _call(self, ask: Callable[[], _T]) -> _T:
        return self._calls(ask, f"an answer from {self._host}", ELEMENTS_TIMEOUT)

    def _try(self, ask: Callable[[], _T]) -> _T | None:
        """The answer; None if the address does not understand the request, and closes the connection or is silent."""
        try:
            return ask()
        except (TimeOver, _OutOfReach):
            raise
        except (ScanError, ScannerRefusal, Malformed):
            return None


class _OutOfReach(ScanError):
    """The address is right, but the gateway cannot reach the scanner."""


class _NoConnection(Exception):
    """Nothing answers at the first of several ports."""


def _is_admin(answer: WebAnswer) -> bool:
    """True for the list of scanners, for the request for a token, and for a refusal of other hosts."""
    return (answer.status == 200 and "json" in answer.headers.get("content-type", "")
            and answer.body.lstrip().startswith(b"[")) or (
        answer.status == 401 and 'realm="wsdgateway"' in answer.headers.get("www-authenticate", "")) or (
        answer.status == 403 and b"[admin]" in answer.body)


def _item(place: _Place) -> str:
    return f"{place.scan or place.url}  {plain(place.labels.name)}".rstrip()


def _new_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"
