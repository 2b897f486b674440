"""TLS on both sides, set up as in the manual: the pin is read and configured, and pages are scanned over HTTPS."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from tests.certificates import Certified
from tests.e2e.conftest import program, skip_or_fail
from tests.ports import free_port


@pytest.fixture
def secured(twistd, tmp_path):
    """Starts a scanner with a self-signed certificate, and a gateway with its pin and a certificate of its own."""
    scanner, gateway, admin = free_port(), free_port(), free_port()
    authority = Certified(tmp_path, "authority", ca=True)
    Certified(tmp_path, "device", "copier.example")
    Certified(tmp_path, "server", "127.0.0.1", issuer=authority)
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\ncertificate = "device.pem"\nkey = "device.key"\n'
        'stamp = "the same"\npage_seconds = 0.1\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    url = f"https://127.0.0.1:{scanner}/4509a320-00a0-008f-00b6-002507510eca"
    found = subprocess.run([program("wsdgateway"), "discover", "--pin", "--toml", "--seconds", "50", "--address", url],
                           capture_output=True, text=True, timeout=60)  # it ends as soon as the scanner has answered
    assert found.returncode == 0, found.stderr
    section = re.sub(r'(?m)^name = .*$', 'name = "front-desk"', found.stdout[found.stdout.index("[[scanner]]"):])
    assert re.search(r'(?m)^pin = "sha256/[A-Za-z0-9+/]{43}="$', section), found.stdout
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "ssl:{gateway}:interface=127.0.0.1:certKey=server.pem:privateKey=server.key"\n'
        f'[[listen]]\nendpoint = "tcp:{free_port()}:interface=127.0.0.1"\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\ncertificate = "server.pem"\nkey = "server.key"\n'
        f"{section}")
    process = twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    process.ports = gateway, admin
    return process


def curl(folder, *arguments):
    if shutil.which("curl") is None:
        skip_or_fail("needs curl: apt install curl")
    return subprocess.run(["curl", "-sS", "--cacert", "authority.pem", *arguments], cwd=folder, capture_output=True,
                          text=True, timeout=30)


def test_a_page_over_tls_on_both_sides(secured, scanimage, tmp_path, until):
    gateway, admin = secured.ports
    until(lambda: curl(tmp_path, "-f", f"https://127.0.0.1:{admin}/readyz").returncode == 0)
    done = scanimage({"gateway": f"https://127.0.0.1:{gateway}/front-desk/scan"}, "gateway", "--format=jpeg",
                     "--resolution=100", "-o", "out.jpg")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jpg").read_bytes().startswith(b"\xff\xd8")
    ours = subprocess.run([program("wsdgateway"), "scan", f"https://127.0.0.1:{gateway}/front-desk/scan", "-o", "o.pdf",
                           "--ca", "authority.pem"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ours.returncode, ours.stdout) == (0, "o.pdf\n"), ours.stderr
    metrics = curl(tmp_path, f"https://127.0.0.1:{admin}/metrics").stdout
    assert 'wsdgateway_subscriptions{scanner="front-desk",side="device"} 1.0' in metrics


def test_untrusted_certificates_and_old_tls_versions_are_refused(secured, tmp_path):
    gateway, _ = secured.ports
    there = f"https://127.0.0.1:{gateway}/front-desk"
    assert "405" in curl(tmp_path, "-o", "/dev/null", "-w", "%{http_code}", there).stdout
    assert curl(tmp_path, "--tls-max", "1.1", there).returncode != 0
    stranger = subprocess.run(["curl", "-sS", there], capture_output=True, text=True, timeout=30)
    assert stranger.returncode == 60, stranger.stderr


def test_sighup_loads_a_new_certificate(secured, tmp_path, until):
    gateway, _ = secured.ports
    there = f"https://127.0.0.1:{gateway}/front-desk"
    other = Certified(tmp_path, "other", ca=True)
    Certified(tmp_path, "server", "127.0.0.1", issuer=other)
    secured.send_signal(signal.SIGHUP)
    until(lambda: curl(tmp_path, there).returncode == 60)
    assert curl(tmp_path, "--cacert", "other.pem", there).returncode == 0


def test_status_over_tls_names_the_variable_for_the_authority(secured, tmp_path):
    url = f"https://127.0.0.1:{secured.ports[1]}"
    for authority, status, said in ((None, 2, "SSL_CERT_FILE"), ("authority.pem", 0, "front-desk")):
        environment = {**os.environ, **({"SSL_CERT_FILE": authority} if authority else {})}
        done = subprocess.run([program("wsdgateway"), "status", url], cwd=tmp_path, capture_output=True, text=True,
                              timeout=60, env=environment)
        assert done.returncode == status and said in done.stdout + done.stderr, done
