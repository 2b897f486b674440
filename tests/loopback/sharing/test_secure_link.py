"""Tests of the link between gateways over TLS, with certificates of an authority of their own."""

import pytest_twisted

from tests.certificates import Certified
from tests.loopback.gateways import PATH, sample
from tests.loopback.sharing.conftest import owner_of, serves
from tests.messages import get_job_elements, status_response
from tests.peers import ask
from tests.waiting import until


@pytest_twisted.ensureDeferred
async def test_requests_are_passed_over_tls_to_a_gateway_of_the_authority(member, device, tmp_path, authority):
    device.handle = lambda asked: asked.answer(status_response("7", "Processing"))

    def cluster(name, issuer):
        own = Certified(tmp_path, name, "127.0.0.1", issuer=issuer)
        return {"certificate": str(own.pem), "key": str(own.key), "ca": str(authority.pem)}

    scanner = {"events": "off"}
    owner = await member("one", device.url, scanner=scanner, cluster=cluster("one", authority))
    await until(lambda: serves(owner))
    follower = await member("two", device.url, scanner=scanner, cluster=cluster("two", authority))
    await until(lambda: owner_of(follower) == "one")
    assert owner.cluster.registration().address.startswith("https://127.0.0.1:")
    expires = owner.cluster.port.listener.identity.identity.expires.timestamp()
    assert sample(owner, "wsdgateway_certificate_expiry_timestamp_seconds", endpoint="[cluster]") == expires
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))
    assert head.status == 200 and b"Processing" in answer
    await owner.stopService()
    stranger = Certified(tmp_path, "stranger", ca=True)
    owner = await member("three", device.url, scanner=scanner, cluster=cluster("three", stranger))
    await until(lambda: owner_of(owner) == "two" and serves(follower))
    await owner.cluster.state.wish("front-desk", "three")
    await until(lambda: serves(owner) and owner_of(follower) == "three")
    head, answer = await ask(follower.port, PATH, get_job_elements("7"))
    assert head.status == 500 and b"three" in answer  # its certificate is not from the authority
