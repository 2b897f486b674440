"""Request targets and Host: what each form yields, and what is refused."""

import pytest

from wsdgateway.http.targets import BadTarget, host_of, path_of, split_target


@pytest.mark.parametrize(("target", "path", "authority"), [
    (b"/a?b=c", b"/a", None), (b"/", b"/", None), (b"//a", b"//a", None),
    (b"http://gateway:5357/a/b", b"/a/b", b"gateway:5357"),
    (b"HTTP://gateway", b"/", b"gateway"), (b"http://gateway?x", b"/", b"gateway"),
    (b"https://[::1]:1/a?x", b"/a", b"[::1]:1")])
def test_path_and_authority(target, path, authority):
    assert split_target(b"POST", target) == (path, authority)
    assert path_of(target) == path


@pytest.mark.parametrize(("method", "target"), [(b"OPTIONS", b"*"), (b"CONNECT", b"a:1")])
def test_forms_of_single_methods(method, target):
    assert split_target(method, target) == (target, None)


@pytest.mark.parametrize(("method", "target"), [
    (b"POST", b"*"), (b"POST", b"/a#b"), (b"POST", b"a"), (b"POST", b""), (b"POST", b"ftp://a/"), (b"POST", b"http:///a"),
    (b"POST", b"http://a@b/"), (b"OPTIONS", b"*a")])
def test_targets_that_are_refused(method, target):
    with pytest.raises(BadTarget):
        split_target(method, target)


@pytest.mark.parametrize("host", [
    b"gateway", b"gateway:5357", b"192.0.2.1", b"[2001:db8::1]:80", b"[fe80::1%25eth0]", b""])
def test_one_host(host):
    assert host_of([host], required=True) == host


@pytest.mark.parametrize("fields", [[], [b"a", b"a"], [b"a b"], [b"a@b"], [b"a/b"], [b"[::1"]])
def test_hosts_that_are_refused(fields):
    with pytest.raises(BadTarget):
        host_of(fields, required=True)


def test_http10_may_do_without_host():
    assert host_of([], required=False) == b""
