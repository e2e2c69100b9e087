"""The campaign specs that come with the package, and copies of them to start from."""

from __future__ import annotations

from pathlib import Path

import tbar_ray
from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.spec.reference import SCHEMA_FILE

MODELINE = "# yaml-language-server: $schema="
"""How a spec's first line begins, by which editors find the schema."""


def shipped_specs() -> dict[str, Path]:
    """The shipped specs by name ("quickstart", "paper/alpha"), the small campaigns first.

    An installed wheel holds them in `tbar_ray/jobs`; in a checkout they are in `jobs` beside the package.

    Raises:
        SpecError: if neither folder exists.
    """
    package = Path(tbar_ray.__file__).parent
    folder = next((path for path in (package / "jobs", package.parent / "jobs") if path.is_dir()), None)
    if folder is None:
        raise SpecError(f"{package / 'jobs'}: the shipped specs are missing; install tbar-ray again")
    paths = sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}


def starter(name: str, file: Path) -> str:
    """Text of a shipped spec, to be written to `file`.

    Its first line points editors to the schema of this installation, and the commands in its comments name `file`.

    Args:
        name: a name of `shipped_specs`.
        file: where the text will be written.

    Raises:
        SpecError: if there is no such spec.
    """
    specs = shipped_specs()
    if name not in specs:
        raise SpecError(f"no shipped spec {name!r}{nearest(name, specs)}; `tbar init --list` shows all")
    text = specs[name].read_text(encoding="utf-8")
    _, _, body = text.partition("\n")
    return f"{MODELINE}{SCHEMA_FILE.as_uri()}\n" + body.replace(f"jobs/{name}.yaml", str(file))
