"""Two minutes of the soak: clients, faults of scanners and of the machine, and the guarantees of the job table."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import REQUIRED

SOAK = Path(__file__).parents[1] / "soak" / "soak.py"


@pytest.mark.netns
def test_two_minutes_of_the_soak():
    done = subprocess.run([sys.executable, str(SOAK), "--minutes", "2", "--seed", "1"], capture_output=True, text=True,
                          timeout=600)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "everything was as promised" in said
    assert not (REQUIRED and "that needs" in said), said
