"""Fuzz targets for the code that reads texts: the configuration, addresses, times, and requests to the admin site."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from wsdgateway.admin.access import Access, Denied
from wsdgateway.bridge.discovery.adoption import read_exclusion
from wsdgateway.bridge.events.sinks import BadSink, admit, literal, parse_sink
from wsdgateway.bridge.rewriting import names_gateway
from wsdgateway.config.reading import ConfigError, read_config
from wsdgateway.config.remarks import remarks
from wsdgateway.config.sections import Config
from wsdgateway.eventing.expiry import LONGEST, read_expires, write_expires
from wsdgateway.eventing.filters import is_prefix
from wsdgateway.http.messages import request_head
from wsdgateway.http.requests import Request, RequestReader
from wsdgateway.http.urls import address_of, is_http
from wsdgateway.scan.jobstatus import compare_times

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
_FOLDER = tempfile.TemporaryDirectory(prefix="wsdgateway-fuzz-")


def configuration(data):
    """Any file gives a Config, or a ConfigError with problems of one printable line each."""
    path = Path(_FOLDER.name, "gateway.toml")
    path.write_bytes(data)
    try:
        config = read_config(str(path))
    except ConfigError as error:
        lines = error.problems
    else:
        assert isinstance(config, Config)
        lines = ["", *map(str, remarks(config))]
    assert lines and all(line.isprintable() for line in lines), lines


def _head_is_one(host, target):
    """Returns whether a request head with this host and target is read as one request for that target."""
    events = RequestReader(1000).feed(request_head(target, [(b"Host", host), (b"Content-Length", b"0")]))
    return len(events) == 1 and isinstance(events[0], Request) and events[0].path == target.partition(b"?")[0]


def addresses(data):
    """Each accepted address can be used in a request, whose head contains nothing else."""
    url = data.decode("utf-8", "replace")
    if is_http(url):
        address = address_of(url)
        assert 0 <= address.port <= 65535
        assert _head_is_one(address.authority, address.target), "the address changes the request's head"
    try:
        sink = parse_sink(url)
    except BadSink:
        pass
    else:
        assert _head_is_one(sink.authority.encode(), sink.target.encode())
        try:
            admit([sink.host, "192.0.2.7"], sink, client="192.0.2.7", networks=(), is_own=lambda ip, port: False)
        except BadSink:
            pass
    names_gateway(url, "front-desk", frozenset(("gateway.test:5357",)))
    literal(url)
    read_exclusion(url)
    assert is_prefix(url, url)
    is_prefix(url, "http://schemas.xmlsoap.org/ws/2004/08/eventing/Renew")


def times(data):
    """Each of two times is read, written and read again with nearly the same value; comparison is antisymmetric."""
    first, _, second = data.decode("utf-8", "replace").partition("\n")
    order = compare_times(first, second)
    assert order is None or compare_times(second, first) == -order
    for text in (first, second):
        seconds = read_expires(text, NOW)
        if seconds is None:
            continue
        assert seconds <= LONGEST
        if seconds > 0:
            for absolute in (False, True):
                again = read_expires(write_expires(seconds, absolute, NOW), NOW)
                assert again is not None and -0.0011 <= again - seconds <= 0.0011


def admin_access(data):
    """No client without the token is admitted; the lines are Host, Authorization, session and client."""
    host, authorization, session, client = (*data.split(b"\n"), b"", b"", b"", b"")[:4]
    access = Access("correct-horse-battery", ("print-server",), lambda: 0.0)
    access.log_in()
    denied = access.check_host(host)
    assert denied is None or isinstance(denied, Denied)
    allowed = access.check_client(client.decode("latin-1"), authorization or None, session or None)
    assert allowed is not None or b"correct-horse-battery" in authorization
    access.log_out(session)
    access.change(None, ())
    access.check_client(client.decode("latin-1"), authorization, session)
