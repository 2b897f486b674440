"""The modules and files that README.md and SECURITY.md name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_PACKAGES = "|".join(sorted(path.name for path in (ROOT / "wsdgateway").iterdir() if (path / "__init__.py").exists()))


def exists(name):
    path = ROOT / name.rstrip("/")
    return any(ROOT.glob(name)) if "*" in name else path.exists()


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md"])
def test_every_module_that_is_named_exists(document):
    text = (ROOT / document).read_text()
    dotted = set(re.findall(rf"`(?:wsdgateway\.)?((?:{_PACKAGES})(?:\.[a-z_]+)+)`", text))
    dotted.discard("scan.pdf")  # a file that users write
    files = set(re.findall(rf"`((?:{_PACKAGES})/(?:[\w/*]+(?:\.py)?)?)`", text))
    places = {name: [f"wsdgateway/{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")] for name in dotted}
    places |= {name: [f"wsdgateway/{name}", name] for name in files}
    missing = [name for name, where in places.items() if not any(map(exists, where))]
    assert missing == []
    assert document != "README.md" or len(places) > 40


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md"])
def test_every_file_of_tests_benchmarks_and_config_that_is_named_exists(document):
    named = set(re.findall(r"(?:tests|benchmarks|config)/[\w/*.-]+\w", (ROOT / document).read_text()))
    assert [name for name in sorted(named) if not (exists(name) or exists(f"wsdgateway/{name}"))] == []
