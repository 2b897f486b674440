"""Tests of tls.identity: a listener's own certificate, its consistency, and its reload."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.certificates import Certified
from wsdgateway.tls.identity import BadIdentity, CurrentIdentity, IdentityFiles, read_identity


def test_a_key_of_another_certificate_is_an_error(tmp_path, certified):
    other = Certified(tmp_path, "other")
    with pytest.raises(BadIdentity, match="key of the certificate") as caught:
        read_identity(IdentityFiles(certified.pem, other.key))
    assert caught.value.key == "key"


def test_a_key_that_is_too_short_is_an_error_of_the_certificate(tmp_path):
    weak = Certified(tmp_path, "weak", bits=1024)
    with pytest.raises(BadIdentity, match="a certificate that OpenSSL accepts: ee key too small") as caught:
        read_identity(IdentityFiles(weak.pem, weak.key))
    assert caught.value.key == "certificate"


@pytest.mark.parametrize(("days", "said"), [(-1, "expired at"), (3, "expires at"), (30, None)])
def test_a_certificate_that_expires_soon_is_remarked(tmp_path, days, said):
    made = Certified(tmp_path, "short", days=days)
    remark = read_identity(IdentityFiles(made.pem, made.key)).remark(datetime.now(UTC) + timedelta(seconds=1))
    assert (remark is None) if said is None else remark.startswith(said)


def test_a_failed_reload_changes_nothing(tmp_path, certified):
    current = CurrentIdentity(IdentityFiles(certified.pem, certified.key))
    before = current.identity
    certified.pem.write_text("nonsense")
    with pytest.raises(BadIdentity):
        current.reload(IdentityFiles(certified.pem, certified.key))
    assert current.identity is before
