"""Tests of the documents: links, anchors, modules, files and messages in them exist, and the README is short."""

import ast
import re
import textwrap
from pathlib import Path

import attrs
import pytest

from wsdgateway.config.sections import Admin, Discovery

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
MAX_README = 150  # lines
_PACKAGES = "|".join(sorted(path.name for path in (ROOT / "wsdgateway").iterdir() if (path / "__init__.py").exists()))
_FENCED = re.compile(r"^(```|~~~).*?^\1 *$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
_LINK = re.compile(r"\[[^][]*\]\(([^()\s]+)[^()]*\)")
# Names that look like a module: a file that users write, and keys of sections that have the name of a package.
_NO_MODULES = {"scan.pdf", *(f"{section}.{field.name}" for section, of in (("admin", Admin), ("discovery", Discovery))
                             for field in attrs.fields(of))}
# The changelog names modules and files of earlier versions.
_CURRENT = [name for name in DOCUMENTS if name != "CHANGELOG.md"]


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def prose(document):
    """Returns the text without code blocks, since headings and links in them do not count."""
    return _INDENTED.sub("", _FENCED.sub("", read(document)))


def exists(name):
    path = ROOT / name.rstrip("/")
    return any(ROOT.glob(name)) if "*" in name else path.exists()


def modules(document):
    """Returns the possible paths of each module that the document names, by name."""
    text = read(document)
    dotted = set(re.findall(rf"`(?:wsdgateway\.)?((?:{_PACKAGES})(?:\.(?!py`)[a-z_]+)+)`", text)) - _NO_MODULES
    files = set(re.findall(rf"`((?:{_PACKAGES})/(?:[\w/*]+(?:\.py)?)?)`", text))
    places = {name: [f"wsdgateway/{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py")] for name in dotted}
    return places | {name: [f"wsdgateway/{name}", name] for name in files}


def anchors(document):
    """Returns the anchors of the headings, as GitHub and GitLab make them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?)(?: +#+)? *$", prose(document), re.MULTILINE):
        text = re.sub(r"\[([^][]*)\]\([^()]*\)", r"\1", heading)
        slug = base = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = 0
        while slug in found:
            number += 1
            slug = f"{base}-{number}"
        found.add(slug)
    return found


@pytest.mark.parametrize("document", _CURRENT)
def test_no_two_sections_have_one_heading(document):
    """A link would lead to the first one only."""
    headings = re.findall(r"^## +(.+?) *$", prose(document), re.MULTILINE)
    assert [one for one in headings if headings.count(one) > 1] == []


def messages():
    """The texts of the program and of the admin page's templates; a value is shown as a space."""
    for path in (ROOT / "wsdgateway").rglob("*"):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(part.value if isinstance(part, ast.Constant) else " " for part in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
        elif path.suffix == ".xml":
            yield path.read_text(encoding="utf-8")


def quotations(document):
    """The texts in double quotes in a document, apart from code."""
    return re.findall(r'"([^"\n]+)"', re.sub(r"`[^`]*`", "", prose(document)))


def broken_links(document):
    broken = []
    for target in _LINK.findall(prose(document)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / document).parent / name).resolve() if name else ROOT / document
        is_file = path.is_relative_to(ROOT) and path.exists()
        if not is_file or (anchor and anchor not in anchors(path.relative_to(ROOT))):
            broken.append(target)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_a_heading(document):
    assert broken_links(document) == []


@pytest.mark.parametrize("document", _CURRENT)
def test_every_module_in_the_documents_exists(document):
    assert [name for name, places in modules(document).items() if not any(map(exists, places))] == []


def test_contributing_names_the_modules():
    assert len(modules("CONTRIBUTING.md")) > 40


@pytest.mark.parametrize("document", _CURRENT)
def test_every_file_of_tests_benchmarks_and_config_in_the_documents_exists(document):
    named = set(re.findall(r"(?:tests|benchmarks|config)/[\w/*.-]+\w", read(document)))
    assert [name for name in sorted(named) if not (exists(name) or exists(f"wsdgateway/{name}"))] == []


def test_the_example_of_two_print_servers_is_the_one_that_is_tested():
    [shown] = re.findall(r"^ +```toml\n(.*?)^ +```$", read("docs/cluster.md"), re.MULTILINE | re.DOTALL)
    _, _, tested = read("config/cluster/gateway.toml").partition("\n")
    assert textwrap.dedent(shown) == tested


def test_the_readme_is_short():
    assert len(read("README.md").splitlines()) <= MAX_README


def test_the_readme_lists_every_document():
    named = set(_LINK.findall(prose("README.md")))
    assert {name for name in DOCUMENTS if name != "README.md"} <= named


@pytest.mark.parametrize("document", ["docs/subnets.md", "docs/tls.md", "docs/troubleshooting.md"])
def test_every_message_that_is_quoted_exists(document):
    quoted = quotations(document)
    assert quoted
    existing = "\n".join(messages())
    assert [text for text in quoted if text not in existing] == []
