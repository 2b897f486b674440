"""Hostile WS-Eventing messages: times, filters, malformed subscriptions, and subscriptions of others."""

import pytest
import pytest_twisted

from tests.hostile.attackedgateway import DEVICE_PATH, MANAGER, SCAN_PATH
from tests.messages import SCAN, envelope, manage, subscribe
from wsdgateway.eventing.expiry import LONGEST
from wsdgateway.eventing.filters import MAX_ITEMS
from wsdgateway.scan.destinations import MAX_DESTINATIONS, MAX_XML
from wsdgateway.soap.namespaces import WSE

SINK = "http://127.0.0.1:9/x"
W = f"{{{WSE}}}"

TIMES = {
    "no-time": ("soon", "UnsupportedExpirationType"),
    "years-of-11-digits": ("PT99999999999Y", "UnsupportedExpirationType"),
    "years-in-time": ("PT1Y", "UnsupportedExpirationType"),
    "bare-p": ("P", "UnsupportedExpirationType"),
    "bare-pt": ("PT", "UnsupportedExpirationType"),
    "no-unit": ("PT1", "UnsupportedExpirationType"),
    "two": ("PT1H PT1H", "UnsupportedExpirationType"),
    "exponent": ("PT1e9S", "UnsupportedExpirationType"),
    "nan": ("NaN", "UnsupportedExpirationType"),
    "infinite": ("INF", "UnsupportedExpirationType"),
    "number": ("3600", "UnsupportedExpirationType"),
    "two-points": ("PT1.5.5S", "UnsupportedExpirationType"),
    "digits": ("PT" + "9" * 100000 + "S", "UnsupportedExpirationType"),
    "two-signs": ("--PT1H", "UnsupportedExpirationType"),
    "lower-case": ("pt1h", "UnsupportedExpirationType"),
    "month-13": ("2099-13-01T00:00:00Z", "UnsupportedExpirationType"),
    "month-13-of-year-10000": ("10000-13-01T00:00:00Z", "UnsupportedExpirationType"),
    "february-30": ("2099-02-30T00:00:00Z", "UnsupportedExpirationType"),
    "hour-25": ("2099-01-01T25:00:00Z", "UnsupportedExpirationType"),
    "zone": ("2099-01-01T00:00:00+99:00", "UnsupportedExpirationType"),
    "negative": ("-PT1H", "InvalidExpirationTime"),
    "zero": ("PT0S", "InvalidExpirationTime"),
    "zero-days": ("P0D", "InvalidExpirationTime"),
    "very-negative": ("-P999999999Y", "InvalidExpirationTime"),
    "very-negative-seconds": ("-PT99999999999S", "InvalidExpirationTime"),
    "year-0": ("0000-01-01T00:00:00Z", "InvalidExpirationTime"),
    "before-year-0": ("-0044-03-15T00:00:00Z", "InvalidExpirationTime"),
    "past": ("2001-01-01T00:00:00Z", "InvalidExpirationTime"),
    "long-past": ("0001-01-01T00:00:00Z", "InvalidExpirationTime"),
    "long-past-zone": ("0001-01-01T00:00:00+23:59", "InvalidExpirationTime"),
}
LONG_TIMES = [
    "P999999999Y",
    "P999999999Y999999999M999999999DT999999999H999999999M999999999.999999999S",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "PT99999999999S",
    "PT" + "9" * 400 + "S",
    "P99999999999Y",
    "PT86400.123456789012S",
    "10000-01-01T00:00:00Z",
    "99999-12-31T24:00:00.000+14:00",
    "PT1H<!-- -->",
    " \n PT1H \n ",
    "",
]

FILTERS = {
    "xpath": ('Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116"', "//*", "FilteringRequestedUnavailable"),
    "empty-dialect": ('Dialect=""', "x", "FilteringRequestedUnavailable"),
    "long-dialect": (f'Dialect="{"x" * 100000}"', "x", "FilteringRequestedUnavailable"),
    "file": ('Dialect="file:///etc/passwd"', "x", "FilteringRequestedUnavailable"),
    "nothing": ("", "", "FilterActionNotSupported"),
    "unknown": ("", "urn:x:y", "FilterActionNotSupported"),
    "dots": ("", f"{SCAN}/../JobStatusEvent", "FilterActionNotSupported"),
    "no-uri": ("", "http://[::1", "FilterActionNotSupported"),
    "query": ("", f"{SCAN}?a", "FilterActionNotSupported"),
    "long": ("", "x" * 500000, "FilterActionNotSupported"),
    "one-too-many": ("", f"{SCAN}/JobStatusEvent " * (MAX_ITEMS + 1), "InvalidMessage"),
    "flood": ("", "urn:x " * 100000, "InvalidMessage"),
    "markup": ("", "<x>urn:x</x>", "FilterActionNotSupported"),
    "prefix": ("", "nobody:JobStatusEvent", "FilterActionNotSupported"),
}


def subscribe_with(xml):
    """Returns a Subscribe with this content."""
    return envelope(f"{WSE}/Subscribe", f"<wse:Subscribe>{xml}</wse:Subscribe>")


def destinations(count, name="n"):
    """Returns a Subscribe with so many names for the panel."""
    return subscribe(SINK, destinations=[(f"c{number}", name) for number in range(count)])


FORMS = {
    "nothing": subscribe_with(""),
    "no-sink": subscribe_with("<wse:Delivery/>"),
    "no-address": subscribe_with("<wse:Delivery><wse:NotifyTo/></wse:Delivery>"),
    "empty-address": subscribe_with("<wse:Delivery><wse:NotifyTo><wsa:Address/></wse:NotifyTo></wse:Delivery>"),
    "sink-outside": subscribe_with(f"<wse:NotifyTo><wsa:Address>{SINK}</wsa:Address></wse:NotifyTo>"),
    "newer-address": subscribe_with(
        f'<wse:Delivery><wse:NotifyTo><a:Address xmlns:a="http://www.w3.org/2005/08/addressing">{SINK}</a:Address>'
        "</wse:NotifyTo></wse:Delivery>"
    ),
    "end-without-address": subscribe_with(
        f"<wse:EndTo/><wse:Delivery><wse:NotifyTo><wsa:Address>{SINK}</wsa:Address></wse:NotifyTo></wse:Delivery>"
    ),
    "no-body": envelope(f"{WSE}/Subscribe"),
    "text": envelope(f"{WSE}/Subscribe", "please"),
    "other-namespace": envelope(f"{WSE}/Subscribe", "<w:Subscribe xmlns:w='http://www.w3.org/2009/09/ws-evt'/>"),
    "many-names": destinations(MAX_DESTINATIONS + 1),
    "name-flood": destinations(5000),
    "long-name": destinations(1, "n" * MAX_XML),
}


@pytest.mark.parametrize(("expires", "code"), TIMES.values(), ids=TIMES)
@pytest_twisted.ensureDeferred
async def test_invalid_and_past_times_are_refused(attacked, expires, code):
    await attacked.refuses(SCAN_PATH, subscribe(SINK, expires=expires), code)
    await attacked.refuses(MANAGER, manage("Renew", expires=expires), code)


@pytest.mark.parametrize("expires", LONG_TIMES)
@pytest_twisted.ensureDeferred
async def test_long_times_are_granted_up_to_the_configured_maximum(attacked, expires):
    before = attacked.scanner.bridge.subscriptions.all()
    outcome = await attacked.send(SCAN_PATH, subscribe(SINK, expires=expires))
    assert (outcome.status, outcome.code) == (200, None)
    [made] = set(attacked.scanner.bridge.subscriptions.all()) - set(before)
    ceiling = attacked.service.config.events.client_expires
    assert made.expires_at <= attacked.service.wall() + min(ceiling, LONGEST)
    assert (await attacked.send(SCAN_PATH, manage("Unsubscribe", made.urn))).status == 200


@pytest.mark.parametrize(("attributes", "content", "code"), FILTERS.values(), ids=FILTERS)
@pytest_twisted.ensureDeferred
async def test_filters(attacked, attributes, content, code):
    message = subscribe(SINK).replace(
        b"</wse:Subscribe>", f"<wse:Filter {attributes}>{content}</wse:Filter></wse:Subscribe>".encode()
    )
    await attacked.refuses(SCAN_PATH, message, code)


@pytest.mark.parametrize("mode", [f"{WSE}/DeliveryModes/Pull", "x" * 100000, "file:///x", "push"])
@pytest_twisted.ensureDeferred
async def test_modes(attacked, mode):
    await attacked.refuses(DEVICE_PATH, subscribe(SINK, mode=mode), "DeliveryModeRequestedUnavailable")


@pytest.mark.parametrize("message", FORMS.values(), ids=FORMS)
@pytest_twisted.ensureDeferred
async def test_forms(attacked, message):
    await attacked.refuses(SCAN_PATH, message, "InvalidMessage")


@pytest.mark.parametrize(
    "identifier",
    [
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "",
        "x",
        "x" * 100000,
        "../front-desk",
        "*",
        "%",
        "\u202e",
        "urn:uuid:",
        "urn:uuid:urn:uuid:",
        "' OR 1=1 --",
        "&lt;x/&gt;",
        "0",
    ],
)
@pytest.mark.parametrize("action", ["Renew", "GetStatus", "Unsubscribe"])
@pytest_twisted.ensureDeferred
async def test_unknown_subscriptions(attacked, action, identifier):
    await attacked.refuses(SCAN_PATH, manage(action, identifier), "InvalidMessage")


@pytest.mark.parametrize(
    "path",
    ["/front-desk/subscriptions/x", "/front-desk/subscriptions/%2e%2e", "/front-desk/subscriptions/" + "x" * 3000],
)
@pytest_twisted.ensureDeferred
async def test_unknown_managers(attacked, path):
    await attacked.refuses(path, manage("Unsubscribe"), "InvalidMessage")


@pytest.mark.parametrize(
    "path",
    [
        "/front-desk/subscriptions/",
        "/front-desk/subscriptions/../scan",
        "/x/subscriptions/1",
        "/front-desk/subscriptions",
        "/front-desk//scan",
        "/Front-desk/scan",
        "/front-desk/scan/",
        "/front-desk/events/",
        "/front-desk/events/guess",
    ],
)
@pytest_twisted.ensureDeferred
async def test_unknown_paths(attacked, path):
    assert (await attacked.send(path, manage("Unsubscribe"))).status == 404


@pytest_twisted.ensureDeferred
async def test_an_identifier_has_precedence_over_the_path(attacked):
    outcome = await attacked.send(MANAGER, manage("Unsubscribe", "urn:uuid:00000000-0000-4000-8000-000000000000"))
    assert (outcome.status, outcome.code) == (400, "InvalidMessage")
