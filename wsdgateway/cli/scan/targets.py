"""The target of a scan: one file, a numbered one for each page, or stdout. Read from the options before the scan."""

import re
from pathlib import Path

import attrs

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.printing import printable
from wsdgateway.cli.scan.filekinds import CHOICES, JPEG, KIND_OF_FORMAT, PDF, PNG, SUFFIX, SUFFIXES, TIFF
from wsdgateway.cli.scan.outcomes import ScanError

DEFAULT_STEM = "scan"
STDOUT = "-"
_FIELD = re.compile(r"%(?:0([1-9]))?d")
_KINDS = (PDF, JPEG, PNG, TIFF)


@attrs.frozen
class Target:
    """A file of some kind, made of images of some kind; `image` is PDF if any image that a PDF can contain will do.

    `format` is the specification's name if the user gave it. `path` may contain a field for the page number. Only a
    file that the user named may replace an existing one. With `stdout`, the result goes to the standard output, and
    `path` is for pages that do not fit there.
    """

    path: Path
    kind: str
    image: str
    format: str | None = None
    numbered: bool = False
    named: bool = True
    stdout: bool = False

    def page(self, number: int) -> Path:
        """The file for a page: always the same one, if its name contains no number."""
        if not self.numbered:
            return self.path
        return self.path.with_name(_FIELD.sub(lambda field: f"{number:0{field[1] or 1}d}", self.path.name))


def read_target(output: str | None, wanted: str | None, source: str = "platen") -> Target:
    """Read the target from `-o`, `--format` and `--source`. Raises `ScanError`."""
    kind, format = _wanted(wanted)
    if output is None:
        chosen = kind or PDF
        return _checked(Target(Path(DEFAULT_STEM + SUFFIX[chosen]), chosen, chosen, format, named=False))
    if output == STDOUT:
        chosen = kind or PDF
        if chosen != PDF and source == "duplex":
            raise _wrong(output, "must be a PDF for --source duplex, because an image file holds one page; leave out "
                                 "--format, or give --format pdf")
        return Target(Path(DEFAULT_STEM + SUFFIX[chosen]), chosen, chosen, format, named=False, stdout=True)
    path = Path(output)
    file = SUFFIXES.get(path.suffix.lower(), kind)
    if file is None:
        raise _wrong(output, f"must be - or a name that ends in {', '.join(SUFFIXES)}; other names need --format")
    if kind not in (None, file) and file != PDF:
        raise _wrong(output, f"must end in a suffix that fits --format {wanted}")
    numbered = "%" in path.name
    if numbered and (path.name.count("%") != 1 or not _FIELD.search(path.name)):
        raise _wrong(output, "must contain one field for the page number, %d or %03d, and no other %")
    if numbered and file == PDF:
        raise _wrong(output, "must not contain a page number, because a PDF holds all pages")
    return _checked(Target(path, file, kind or file, format, numbered))


def _wanted(wanted: str | None) -> tuple[str | None, str | None]:
    """The kind of file and the format of the specification that `--format` names."""
    if wanted is None:
        return None, None
    if wanted == "jpg":
        return JPEG, None
    if wanted in _KINDS:
        return wanted, None
    if wanted not in KIND_OF_FORMAT:
        raise ScanError(f"--format {printable(wanted)}: must be one of {', '.join(CHOICES)}", WRONG)
    return KIND_OF_FORMAT[wanted], wanted


def _wrong(output: str, allowed: str) -> ScanError:
    return ScanError(f"-o {printable(output)}: {allowed}", WRONG)


def _checked(target: Target) -> Target:
    """The target, if files can be written there. Raises `ScanError`."""
    shown, folder = str(target.path), target.path.absolute().parent
    if not folder.is_dir():
        raise _wrong(shown, "must be in an existing folder")
    if target.path.is_dir():
        raise _wrong(shown, "must be a file, not a folder")
    if target.numbered:
        # Otherwise pages left from an earlier, longer scan would be mixed with those of this one.
        field = _FIELD.search(target.path.name)
        assert field is not None
        before, after = (re.escape(part) for part in (field.string[:field.start()], field.string[field.end():]))
        former = re.compile(f"{before}[0-9]+{after}")
        there = sorted(filter(former.fullmatch, (path.name for path in folder.iterdir())))
        if there:
            raise _wrong(shown, f"must be a new name, because {printable(there[0])} exists already; move that file "
                                "away, or choose another name")
    return target
