"""Debian's scanimage by eSCL over TLS, with sane-airscan and with SANE's own backend."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.certificates import Certified
from tests.e2e.conftest import skip_or_fail
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


@pytest.mark.parametrize("name", ["airscan", "escl"])
def test_the_platen_over_tls(port, tmp_path, name):
    if shutil.which("scanimage") is None or not list(Path("/usr/lib").glob(f"*/sane/libsane-{name}.so*")):
        skip_or_fail(f"needs scanimage with the backend {name}: apt install sane-utils sane-airscan libsane1")
    folder = tmp_path / "sane.d"
    folder.mkdir()
    (folder / "dll.conf").write_text(f"{name}\n")
    (folder / "escl.conf").write_text("# the backend needs this file\n")
    (folder / "airscan.conf").write_text("[options]\ndiscovery = disable\nws-discovery = off\n")
    root = f"https://127.0.0.1:{port}"
    device = f"airscan:escl:Front desk:{root}/eSCL/" if name == "airscan" else f"escl:{root}"
    done = subprocess.run(
        ["scanimage", "-d", device, "--source=Flatbed", "--format=png", "--resolution=75", "-o", "page.png"],
        env={**os.environ, "SANE_CONFIG_DIR": str(folder)}, capture_output=True, text=True, cwd=tmp_path, timeout=120,
        check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == (637, 877)
