"""The link between gateways by TLS: gateways that do not trust each other's certificates exchange nothing."""

import pytest
import pytest_twisted

from tests.certificates import Certified
from tests.logs import logged
from tests.loopback.cluster.gateways import Clustered, section_of
from tests.messages import get_job_elements, status_response
from tests.peers import ask
from wsdgateway.soap.envelope import read
from wsdgateway.soap.faults import reason_of
from wsdgateway.tls.identity import CurrentIdentity, IdentityFiles
from wsdgateway.tls.trust import Trust

PATH = "/front-desk/scan"


@pytest.mark.parametrize("trusted", [True, False])
@pytest_twisted.ensureDeferred
async def test_the_certificate_of_the_owner_is_verified(gateway, device, authority, tmp_path, trusted, monkeypatch):
    from twisted.internet import reactor

    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    device.handle = lambda asked: asked.answer(status_response("7"))
    certified = Certified(tmp_path, "owner", "127.0.0.1", issuer=authority)
    identity = CurrentIdentity(IdentityFiles(certified.pem, certified.key))
    section = section_of(device.url, events="off")
    owner = Clustered(reactor, await gateway(None), "owner", section=section, identity=identity)
    front = Clustered(reactor, await gateway(None), "front", section=section,
                      trust=Trust(ca=authority.pem if trusted else certified.pem))
    owner.own()
    front.owners.owner = owner.registration
    try:
        for _ in range(2):
            head, body = await ask(front.port, PATH, get_job_elements("7"))
            assert head.status == (200 if trusted else 500)
        assert trusted or (
            "its certificate is not from the configured authority" in reason_of(read(body))
            and "; set [cluster] ca to the file of its authority. Try again" in reason_of(read(body)))
        assert bool(device.requests) is trusted
    finally:
        await front.stop()
        await owner.stop()


@pytest.mark.parametrize(("shown", "expected"), [
    ("member", None),
    ("none", "it presented no certificate, which [cluster] ca requires"),
    ("stranger", "its certificate was not issued by an authority in [cluster] ca, or has expired")])
@pytest_twisted.ensureDeferred
async def test_the_certificate_of_the_other_gateway_is_verified(gateway, device, authority, tmp_path, shown, expected,
                                                                monkeypatch):
    from twisted.internet import reactor

    monkeypatch.setattr("wsdgateway.bridge.cluster.passing.HOLD_SECONDS", 0.1)
    device.handle = lambda asked: asked.answer(status_response("7"))
    certified = Certified(tmp_path, "owner", "127.0.0.1", issuer=authority)
    identity = CurrentIdentity(IdentityFiles(certified.pem, certified.key, authority.pem))
    other = Certified(tmp_path, "other", issuer=authority if shown == "member" else None)
    own = None if shown == "none" else IdentityFiles(other.pem, other.key)
    section = section_of(device.url, events="off")
    owner = Clustered(reactor, await gateway(None), "owner", section=section, identity=identity)
    front = Clustered(reactor, await gateway(None), "front", section=section, trust=Trust(authority.pem, own=own))
    owner.own()
    front.owners.owner = owner.registration
    try:
        with logged() as lines:
            head, body = await ask(front.port, PATH, get_job_elements("7"))
        if expected is None:
            assert head.status == 200
            front.secret = b"00"  # the certificate is not enough
            head, body = await ask(front.port, PATH, get_job_elements("8"))
            assert head.status == 500 and "did not accept the secret of the gateways" in reason_of(read(body))
        else:
            assert head.status == 500
            assert "if it did not accept this gateway's certificate, its log says so" in reason_of(read(body))
            assert not device.requests
            assert any(expected in line and "Refused a request of 127.0.0.1 at [cluster] endpoint" in line
                       for line in lines)
    finally:
        await front.stop()
        await owner.stop()
