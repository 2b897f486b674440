"""Writes the pages of a scan into files. A file appears only when it is complete, and complete pages are never lost.

Images are written to a hidden folder beside the target, which is removed at the end; img2pdf makes the PDF from them.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from wsdgateway.cli.errors import WRONG
from wsdgateway.cli.scan.filekinds import PDF, SUFFIX, kind_of
from wsdgateway.cli.scan.outcomes import FAILED, ScanError, plain
from wsdgateway.cli.scan.pdf import write_pdf
from wsdgateway.cli.scan.targets import Target

MAX_NAMES = 10000
HEAD = 16


class Pages:
    """Receives pages in a `with` block. `written` is called with each file that appears, `say` with messages.

    `out` is the standard output, for a target that goes there. `dots` is the resolution for images in a PDF that do not
    contain their own.
    """

    def __init__(self, target: Target, *, written: Callable[[Path], None], say: Callable[[str], None],
                 out: BinaryIO | None = None) -> None:
        self._target = target
        self._out = out
        self._written = written
        self._say = say
        self._file: BinaryIO | None = None
        self._waiting: list[Path] = []
        self._lost = self._surplus = False
        self.dots: int | None = None
        self.count = 0
        self.surprises: set[str] = set()

    def __enter__(self) -> "Pages":
        path = self._target.path
        folder = None if self._target.stdout else path.absolute().parent
        try:
            self._folder = Path(tempfile.mkdtemp(dir=folder, prefix=f".{path.name[:32]}."))
        except OSError as error:
            raise ScanError(f"{folder or tempfile.gettempdir()}: cannot write to the folder: {error.strerror}",
                            WRONG) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if not self._lost:
            shutil.rmtree(self._folder, ignore_errors=True)

    def begin(self) -> Callable[[memoryview], None]:
        """Begin a page; discard an incomplete one. Returns a function that writes a piece of the page."""
        if self._file is not None:
            self._file.close()
        try:
            file = self._file = (self._folder / f"{self.count + 1:05d}").open("wb")
        except OSError as error:
            raise self._unwritable(error) from None

        def write(data: memoryview) -> None:
            if self._target.stdout and self._target.kind != PDF and self.count:
                self._surplus = True
                raise ScanError("-o - with an image format: the scanner sends more than one page, and an image file "
                                "holds one; nothing was written to the standard output. Leave out --format for a PDF",
                                WRONG)
            try:
                file.write(data)
            except OSError as error:
                raise self._unwritable(error) from None

        return write

    def end(self) -> None:
        """Complete the page: move its file to the target, or keep it for the PDF."""
        assert self._file is not None
        file, self._file = self._file, None
        try:
            file.close()
            with open(file.name, "rb") as begun:
                kind = kind_of(begun.read(HEAD))
        except OSError as error:
            raise self._unwritable(error) from None
        self.count += 1
        page = Path(file.name)
        if self._target.stdout and self._target.kind not in (PDF, kind):
            self.surprises.add(kind or "an unknown format")
            self._publish(page, self._target.path.with_suffix(SUFFIX[kind]), replace=False)
            return
        if self._target.kind == PDF or self._target.stdout:
            self._waiting.append(page)
            return
        path = self._target.page(self.count)
        if kind != self._target.kind:
            self.surprises.add(kind or "an unknown format")
            path = path.with_suffix(SUFFIX[kind])
        first = self.count == 1 and self._target.named and kind == self._target.kind
        self._publish(page, path, replace=first and not self._target.numbered)

    def finish(self, *, whole: bool) -> None:
        """Make the PDF, if that is the target, and write to the standard output.

        The PDF of an incomplete scan replaces no existing file. A PDF for the standard output contains every complete
        page, too.
        """
        if not self._waiting:
            return
        if self._target.kind != PDF:
            [page], self._waiting = self._waiting, []
            self._write_out(page, surplus=self._surplus)
            return
        waiting, made = self._waiting, self._folder / "pdf"
        try:
            write_pdf(waiting, made, self.dots)
            self._waiting = []
            if not self._target.stdout:
                self._publish(made, self._target.path, replace=whole and self._target.named)
        except BaseException as error:
            self._waiting = []
            self._keep(waiting)
            if isinstance(error, Exception) and not isinstance(error, ScanError):
                raise ScanError(f"Creating the PDF failed: {plain(error) or type(error).__name__}. The pages are "
                                "kept as images", FAILED) from None
            raise
        if self._target.stdout:
            self._write_out(made)

    def _write_out(self, page: Path, *, surplus: bool = False) -> None:
        """Write a file to the standard output. Where that is not possible, keep it under the target's path."""
        assert self._out is not None
        problem = None
        try:
            if not surplus:
                with page.open("rb") as file:
                    shutil.copyfileobj(file, self._out)
                self._out.flush()
                return
        except OSError as error:
            problem = error.strerror
        self._publish(page, self._target.path, replace=False)
        if problem is not None:
            raise ScanError(f"The standard output cannot be written: {problem}; the pages are kept in a file")

    def _keep(self, waiting: list[Path]) -> None:
        for number, page in enumerate(waiting, 1):
            with page.open("rb") as file:
                kind = kind_of(file.read(HEAD))
            stem = self._target.path.with_suffix("")
            self._publish(page, stem.with_name(f"{stem.name}-{number:03d}{SUFFIX[kind]}"), replace=False)

    def _publish(self, page: Path, path: Path, *, replace: bool) -> None:
        try:
            if replace:
                former = path.exists()
                os.replace(page, path)
                if former:
                    self._say(f"{path}: replaced an existing file")
            else:
                wanted, path = path, next(name for name in _names(path) if _move(page, name))
                if self._target.named and path != wanted and wanted != self._target.path:
                    self._say(f"{wanted} already exists, perhaps from another scan; the page is in {path}")
        except (OSError, StopIteration) as error:
            self._lost = True
            raise ScanError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or 'no name is free'}; "
                            f"the complete pages are in {self._folder}") from None
        self._written(path)

    def _unwritable(self, error: OSError) -> ScanError:
        return ScanError(f"{self._target.path}: cannot be written: {error.strerror}")


def _names(path: Path) -> Iterator[Path]:
    """The path, then similar ones with a number."""
    yield path
    for number in range(2, MAX_NAMES):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _move(page: Path, path: Path) -> bool:
    """Move the page to that path, unless a file exists there. Returns whether it was moved."""
    try:
        os.link(page, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links, or another one
        if path.exists():
            return False
        shutil.move(page, path)
    return True
