"""The link between gateways by TLS: nothing is sent to a gateway whose certificate is not trusted."""

import pytest
import pytest_twisted

from tests.certificates import Certified
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
