"""Tests of discovery.identity: spellings of an endpoint address that name the same device."""

import pytest

from tests.wire import UUID
from wsdgateway.discovery.identity import identity_of, is_same, is_uuid


@pytest.mark.parametrize("spelled", [
    UUID, UUID.upper(), "uuid:37f86d35-e6ac-4241-964f-1d9ae46fb366", "UUID:37F86D35-E6AC-4241-964F-1D9AE46FB366",
    "urn:uuid:{37f86d35-e6ac-4241-964f-1d9ae46fb366}", "{37F86D35-e6ac-4241-964f-1d9ae46fb366}",
    "37f86d35-e6ac-4241-964f-1d9ae46fb366", "uuid:37f86d35e6ac4241964f1d9ae46fb366",
    " \n uuid: 37f86d35-e6ac-4241-964f-1d9ae46fb366\t"])
def test_all_spellings_of_a_uuid_are_equal(spelled):
    assert identity_of(spelled) == UUID
    assert is_same(spelled, UUID)
    assert is_uuid(spelled)


@pytest.mark.parametrize(("endpoint", "identity"), [
    ("uuid:desk", "urn:uuid:desk"), ("URN:UUID:Desk", "urn:uuid:desk"), ("urn:desk", "urn:desk"), ("", ""),
    ("HTTPS://Scanner.example/D", "https://scanner.example/d"), ("{desk}", "{desk}"), ("desk", "desk"),
    ("urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb3660", "urn:uuid:37f86d35-e6ac-4241-964f-1d9ae46fb3660"),
    ("uuid:{37f86d35-e6ac-4241-964f-1d9ae46fb366", "urn:uuid:{37f86d35-e6ac-4241-964f-1d9ae46fb366")])
def test_other_addresses_are_compared_without_case(endpoint, identity):
    assert identity_of(endpoint) == identity
    assert not is_uuid(endpoint)
    assert not is_same(endpoint, UUID)
