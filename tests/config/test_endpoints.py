"""Tests of config.endpoints: endpoint strings that contain the paths of certificates."""

import pytest

from tests.config.configurations import LISTEN, problems
from wsdgateway.config.endpoints import BadEndpoint, SslEndpoint, read_ssl
from wsdgateway.config.reading import make_config


@pytest.mark.parametrize(("text", "read"), [
    ("ssl:5358", SslEndpoint("tcp:port=5358", "server.pem", "server.pem")),
    ("ssl:5358:privateKey=k.pem:certKey=c.pem", SslEndpoint("tcp:port=5358", "c.pem", "k.pem")),
    ("ssl:port=5358:privateKey=k.pem:extraCertChain=r.pem:interface=192.0.2.5:backlog=9",
     SslEndpoint("tcp:port=5358:interface=192.0.2.5:backlog=9", "k.pem", "k.pem", "r.pem")),
    (r"ssl:5358:interface=\:\:1:privateKey=C\:\\k.pem", SslEndpoint(r"tcp:port=5358:interface=\:\:1", r"C:\k.pem",
                                                                 r"C:\k.pem"))])
def test_ssl_endpoint_strings(text, read):
    assert read_ssl(text) == read


@pytest.mark.parametrize("text", [
    "ssl:", "ssl:https", "ssl:5358:dhParameters=x", "ssl:5358:sslmethod=SSLv3_METHOD", "ssl:5358:port=5359",
    "ssl:5358:privateKey=a:privateKey=b"])
def test_ssl_endpoint_strings_that_can_not_be_used(tmp_path, text):
    with pytest.raises(BadEndpoint):
        read_ssl(text)
    [line] = problems(tmp_path / "g.toml", listen=[{"endpoint": text}])
    assert "[[listen]] 1 endpoint" in line and "must be" in line


def test_both_forms_lead_to_the_same_files(tmp_path, certified):
    for section in ({**LISTEN, "certificate": "server.pem", "key": "server.key"},
                    {"endpoint": "ssl:5358:certKey=server.pem:privateKey=server.key"}):
        config = make_config({"listen": [section]}, str(tmp_path / "g.toml"))
        assert config.folder == tmp_path
