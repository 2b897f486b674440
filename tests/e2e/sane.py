"""SANE's backends that scan by eSCL: each in a configuration folder of its own."""

import os
import shutil
from pathlib import Path

from tests.e2e.conftest import skip_or_fail

BACKENDS = ("airscan", "escl")


def environment_for(backend, folder):
    """Makes a folder below that one with the configuration of a backend. Returns the environment for scanimage.

    The test is skipped if the backend is not installed.
    """
    if shutil.which("scanimage") is None or not list(Path("/usr/lib").glob(f"*/sane/libsane-{backend}.so*")):
        skip_or_fail(f"needs scanimage with the backend {backend}: apt install sane-utils sane-airscan libsane1")
    made = folder / "sane.d"
    made.mkdir()
    (made / "dll.conf").write_text(f"{backend}\n")
    (made / "escl.conf").write_text("# the backend needs this file\n")
    (made / "airscan.conf").write_text("[options]\ndiscovery = disable\nws-discovery = off\n")
    return {**os.environ, "SANE_CONFIG_DIR": str(made), "SANE_DEBUG_AIRSCAN": "0"}


def device_at(backend, root):
    """Returns the name of the device for scanimage; `root` is the URL of the scanner's eSCL port."""
    return f"airscan:escl:Front desk:{root}/eSCL/" if backend == "airscan" else f"escl:{root}"
