"""The names of the gateway's own destinations on the panel of the virtual scanner: registered once, and removed."""

import pytest
import pytest_twisted

from tests.loopback.events.subscribers import PANEL, subscribed
from tests.loopback.gateways import section
from tests.ports import free_port
from tests.waiting import until
from wsdgateway.simulator.events import Subscribers
from wsdgateway.soap.faults import Refused, invalid_args


def names(scanner):
    """The number of subscriptions with names on the panel, and of the names."""
    held = [one for one in scanner.device.subscribers.held.values() if one.destinations]
    return len(held), sum(len(one.destinations) for one in held)


def destination(name, more=""):
    return f'[[destination]]\nname = "{name}"\nfolder = "files"\n{more}\n'


@pytest_twisted.ensureDeferred
async def test_one_subscription_shows_all_destinations_until_the_stop(panel):
    made = await panel({"name": "Mail"}, {"name": "Archive"}, {"name": "Elsewhere & more", "scanners": ["front-*"]})
    assert names(made.scanner) == (1, 3)
    assert made.service.scanner.destinations.registration.state == "subscribed"
    assert {one.identifier for one in await made.service.store.held()} == {"", "destinations"}
    listed = made.service.overview.describe_subscriptions()
    assert [(one["side"], one["panel"], [shown["name"] for shown in one["destinations"]]) for one in listed] == [
        ("device", None, []), ("device", "subscribed", ["Mail", "Archive", "Elsewhere & more"])]
    await made.service.stopService()
    assert not made.scanner.device.subscribers.held


@pytest_twisted.ensureDeferred
async def test_destinations_of_other_scanners_are_not_shown(panel):
    made = await panel({"name": "Mail"}, {"name": "Cellar", "scanners": ["cellar"]}, shown=1)
    assert names(made.scanner) == (1, 1)


@pytest_twisted.ensureDeferred
async def test_after_a_reboot_the_names_are_back_and_work(panel):
    made = await panel()
    before = made.registered
    made.scanner.device.forget()
    made.service.clock.advance(60.0)
    made.service.scanner.subscriptions.own.doubted()
    await until(lambda: names(made.scanner) == (1, 1))
    await until(lambda: len(made.service.scanner.destinations.registration) == 1)
    assert made.registered == before
    made.press()
    await made.ended()
    assert made.counted("ok") == 1


@pytest_twisted.ensureDeferred
async def test_a_later_start_replaces_what_a_crash_has_left(panel, configured):
    made = await panel({"name": "Mail"}, {"name": "Archive"})
    [(_, former)] = [one for one in made.scanner.device.subscribers.held.items() if one[1].destinations]
    made.service.scanner.hand_off()  # as a crash: nothing is ended, and the store keeps it
    await made.service.stopService()
    assert names(made.scanner) == (1, 2)
    service = await configured(made.scanner.scan_url, {"name": "Mail"}, {"name": "Scans"})
    most = []
    await until(lambda: most.append(names(made.scanner)) or len(service.scanner.destinations.registration) == 1)
    assert max(most) == (1, 2)
    [(_, now)] = [one for one in made.scanner.device.subscribers.held.items() if one[1].destinations]
    assert now is not former
    made.service = service
    made.press(1)
    await until(lambda: made.counted("ok") == 1 and not made.hidden)


@pytest.fixture
def fixed():
    """Sections of a gateway whose address stays the same at the next start."""
    return {"listen": [{"endpoint": f"tcp:{free_port()}:interface=127.0.0.1"}]}


async def crash(made):
    """Ends the gateway without a word to the scanner; returns its subscription for the panel, and its requests."""
    made.service.scanner.hand_off()
    await made.service.stopService()
    return [one for one in made.scanner.device.subscribers.held.items() if one[1].destinations], dict(
        made.scanner.soap.asked)


@pytest.mark.parametrize("single", [False, True])
@pytest_twisted.ensureDeferred
async def test_after_a_crash_the_tokens_go_on(panel, configured, monkeypatch, fixed, single):
    if single:
        Single(monkeypatch, refuses=True)
    made = await panel({"name": "Mail"}, {"name": "Scans"}, sections=fixed)
    count = 2 if single else 1
    await until(lambda: len(made.service.scanner.destinations.registration) == count)
    former, asked = await crash(made)
    made.service = await configured(made.scanner.scan_url, {"name": "Mail"}, {"name": "Scans"}, **fixed)
    registration = made.service.scanner.destinations.registration
    await until(lambda: registration.state == "subscribed" and len(registration) == count)
    await until(lambda: made.scanner.soap.asked["Renew"] == asked.get("Renew", 0) + count + 1)  # with that for events
    assert [made.scanner.soap.asked[name] for name in ("Subscribe", "Unsubscribe")] == [
        asked.get(name, 0) for name in ("Subscribe", "Unsubscribe")]
    assert [one for one in made.scanner.device.subscribers.held.items() if one[1].destinations] == former
    made.press(1)
    await until(lambda: made.counted("ok") == 1 and not made.hidden)


@pytest.mark.parametrize("forgets", [False, True])
@pytest_twisted.ensureDeferred
async def test_after_a_crash_other_names_or_a_refused_renew_need_new_tokens(panel, configured, fixed, forgets):
    made = await panel({"name": "Mail"}, sections=fixed)
    [(_, former)], asked = await crash(made)
    if forgets:
        made.scanner.device.forget()
    name = "Mail" if forgets else "Post"
    made.service = await configured(made.scanner.scan_url, {"name": name}, **fixed)
    most = []
    await until(lambda: most.append(names(made.scanner)) or (
        names(made.scanner) == (1, 1) and made.service.scanner.destinations.registration.state == "subscribed"
        and made.service.scanner.bridge.table.listening))
    assert max(most) == (1, 1)
    [(_, now)] = [one for one in made.scanner.device.subscribers.held.items() if one[1].destinations]
    assert now is not former and list(now.names.values()) == [name]
    assert made.scanner.soap.asked["Subscribe"] == asked["Subscribe"] + (2 if forgets else 1)
    made.press()
    await made.ended(1, name)
    assert made.counted("ok", name) == 1


@pytest_twisted.ensureDeferred
async def test_a_reload_adds_and_removes_names(file, virtual):
    (file.path.parent / "files").mkdir()
    scanner = await virtual()
    bridged = section("front-desk", scanner.scan_url)
    service = await file.start(bridged + destination("Mail") + destination("Archive"))
    await until(lambda: names(scanner) == (1, 2))
    subscribes = scanner.soap.asked["Subscribe"]
    await file.reload(bridged + destination("Mail", 'format = "jpeg"') + destination("Archive"))
    assert scanner.soap.asked["Subscribe"] == subscribes
    await file.reload(bridged + destination("Mail"))
    most = []
    await until(lambda: most.append(names(scanner)) or names(scanner) == (1, 1))
    assert max(most) == (1, 2)
    await file.reload(bridged)
    await until(lambda: names(scanner) == (0, 0))
    await until(lambda: not service.scanners[0].subscriptions.panel.ending)
    await file.reload(bridged + destination("New"))
    await until(lambda: names(scanner) == (1, 1))


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_leaves_the_configuration_shows_nothing(file, virtual):
    scanner = await virtual()
    await file.start(section("front-desk", scanner.scan_url) + destination("Mail"))
    await until(lambda: names(scanner) == (1, 1))
    await file.reload(destination("Mail"))
    await until(lambda: not scanner.device.subscribers.held)


@pytest_twisted.ensureDeferred
async def test_a_scanner_that_is_replaced_shows_each_name_once(file, virtual):
    scanner = await virtual()
    service = await file.start(section("front-desk", scanner.scan_url) + destination("Mail"))
    await until(lambda: names(scanner) == (1, 1) and len(service.scanners[0].destinations.registration) == 1)
    former, most = service.scanners[0], []
    await file.reload(f'[[scanner]]\nname = "front-desk"\ndevice = "{scanner.device_url}"\n' + destination("Mail"))
    await until(lambda: most.append(names(scanner)) or len(service.scanners[0].destinations.registration) == 1)
    assert service.scanners[0] is not former
    await until(lambda: service.bridged.is_settled)
    assert (names(scanner), max(most)) == ((1, 1), (1, 1))


class Single:
    """Replaces the subscribing at the virtual scanner: it takes one destination in a Subscribe."""

    def __init__(self, monkeypatch, *, refuses):
        destinations = Subscribers.destinations_in

        def take(subscribers, body):
            found = destinations(subscribers, body)
            if len(found) > 1 and refuses:
                raise Refused(invalid_args("One destination, please."))
            return dict(list(found.items())[:1])

        monkeypatch.setattr(Subscribers, "destinations_in", take)


@pytest.mark.parametrize("refuses", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_scanner_that_takes_no_list(panel, monkeypatch, configured, refuses):
    Single(monkeypatch, refuses=refuses)
    made = await panel({"name": "Mail"}, {"name": "Archive"}, {"name": "Scans"})
    await until(lambda: len(made.service.scanner.destinations.registration) == 3)
    assert names(made.scanner) == (3, 3)
    assert len(set(made.registered)) == 3
    made.press(2)
    await until(lambda: made.counted("ok") == 1 and not made.hidden)
    made.service.scanner.hand_off()
    await made.service.stopService()
    assert names(made.scanner) == (3, 3)
    subscribes = made.scanner.soap.asked["Subscribe"]
    service = await configured(made.scanner.scan_url, {"name": "Mail"}, {"name": "Scans"})
    await until(lambda: len(service.scanner.destinations.registration) == 2 and names(made.scanner) == (2, 2))
    assert made.scanner.soap.asked["Subscribe"] == subscribes + 3  # with that for events


@pytest_twisted.ensureDeferred
async def test_a_name_that_the_scanner_refuses_does_not_keep_the_others_away(panel, monkeypatch):
    """The first one, in every list and alone, as if the scanner took no such characters."""
    real = Subscribers.destinations_in

    def take(self, *arguments):
        found = real(self, *arguments)
        if any("B\u00fcro" in name for name, _ in found.values()):
            raise Refused(invalid_args("no such characters"))
        return found

    monkeypatch.setattr(Subscribers, "destinations_in", take)
    made = await panel({"name": "B\u00fcro"}, {"name": "Archive"}, {"name": "Scans"}, shown=2, state=None)
    await until(lambda: len(made.service.scanner.destinations.registration) == 2)
    assert names(made.scanner) == (2, 2)
    made.press(2)
    await until(lambda: made.counted("ok") == 1 and not made.hidden)


@pytest_twisted.ensureDeferred
async def test_a_client_with_the_same_name_is_served_too(panel, sink, caught):
    made = await panel({"name": "Scan to me"})
    listener = await sink()
    granted = await subscribed(made.service, listener.url, **PANEL)
    assert granted.tokens
    await subscribed(made.service, listener.url, **PANEL)
    [line] = [one for one in caught.all_warnings() if "on the panel, as a [[destination]] does" in one]
    assert "shows the name Scan to me" in line
    made.scanner.device.press()
    await until(lambda: listener.received)
    await made.ended(1, "Scan to me")
    assert made.counted("ok", "Scan to me") == 1


@pytest_twisted.ensureDeferred
async def test_without_events_nothing_is_registered(panel, configured, virtual, tmp_path):
    scanner = await virtual(events="none")
    service = await configured(scanner.scan_url, {"name": "Mail"}, {"name": "Scans"})
    await until(lambda: service.scanner.destinations.registration.state == "waiting")
    assert scanner.soap.asked["Subscribe"] == 2  # for events, and for the panel
