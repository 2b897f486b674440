"""Debian's scanimage by eSCL over TLS, with sane-airscan and with SANE's own backend."""

import subprocess

import pytest
from PIL import Image

from tests.certificates import Certified
from tests.e2e.sane import BACKENDS, device_at, environment_for
from tests.ports import free_port


@pytest.fixture
def port(twistd, tmp_path):
    """A virtual scanner and a gateway that offers it by eSCL; the port with TLS."""
    scanner, gateway, plain, secure, admin = (free_port() for _ in range(5))
    Certified(tmp_path, "server", "127.0.0.1")
    (tmp_path / "scanner.toml").write_text(
        f'[scanner]\nendpoint = "tcp:{scanner}:interface=127.0.0.1"\npage_seconds = 0.1\n')
    (tmp_path / "gateway.toml").write_text(
        f'[[listen]]\nendpoint = "tcp:{gateway}:interface=127.0.0.1"\n'
        f'[[scanner]]\nname = "front-desk"\nscan = "http://127.0.0.1:{scanner}/WDP/SCAN"\nescl_port = {plain}\n'
        f'[admin]\nendpoint = "tcp:{admin}:interface=127.0.0.1"\n[escl]\nannounce = false\nports = "{secure}"\n'
        'certificate = "server.pem"\nkey = "server.key"\n')
    twistd(scanner, "wsdscanner", "--config", "scanner.toml")
    twistd(gateway, "wsdgateway", "--config", "gateway.toml", admin=admin)
    return secure


@pytest.mark.parametrize("name", BACKENDS)
def test_the_platen_over_tls(port, tmp_path, name):
    environment = environment_for(name, tmp_path)
    done = subprocess.run(
        ["scanimage", "-d", device_at(name, f"https://127.0.0.1:{port}"), "--source=Flatbed", "--format=png",
         "--resolution=75", "-o", "page.png"],
        env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == (637, 877)
