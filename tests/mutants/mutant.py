"""What a mutant is, and how it is applied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StaleMutantError(Exception):
    """The text of a mutant does not occur exactly once in its file: the list must be brought up to date."""


@dataclass(frozen=True)
class Mutant:
    """One place that is broken on purpose.

    Attributes:
        file: the module, relative to the repository.
        text: what stands there, exactly once in the file.
        becomes: what it is replaced by.
        tests: test files, relative to the repository, separated by spaces; one of their tests must fail.
    """

    file: str
    text: str
    becomes: str
    tests: str

    @property
    def name(self) -> str:
        """Return the module with the first line that changes, in short."""
        return f"{self.file.removeprefix('tbar_ray/')}: {self.text.strip().splitlines()[0][:60]}"

    def applied(self, root: Path) -> str:
        """Return the file's content with the mutant in it.

        Raises:
            StaleMutantError: if the file, the text in it or a test file is gone, or the text occurs more than once.
        """
        for path in (self.file, *self.tests.split()):
            if not (root / path).is_file():
                raise StaleMutantError(f"{self.name}: there is no {path}")
        content = (root / self.file).read_text(encoding="utf-8")
        if (found := content.count(self.text)) != 1:
            raise StaleMutantError(f"{self.name}: the text occurs {found} times in {self.file}, not once")
        return content.replace(self.text, self.becomes)
