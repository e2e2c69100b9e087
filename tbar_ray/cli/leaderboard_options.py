"""Options of `tbar leaderboard`, and what their texts mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.options import local_folder

if TYPE_CHECKING:
    from tbar_ray.leaderboard.tuning import Tuning
    from tbar_ray.spec.campaign import CampaignSpec

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        parser=local_folder,
        metavar="FOLDER",
        help="with cells.jsonl, the page index.html and table.md; default leaderboard, in $TBAR_HOME or mlruns",
    ),
]
Data = Annotated[str, typer.Option(metavar="NAME", help="scenes, photographs, or the file of another campaign")]


def folder_of(out: Path | None) -> Path:
    """The folder of the leaderboard; by default one of the user's own, so that no published line is replaced."""
    from tbar_ray.store.paths import home

    return out or home() / "leaderboard"


def tuning_of(path: Path | None, spec: CampaignSpec) -> Tuning:
    """The search of hyper-parameters in a file; None for that of the campaign's data set, or of drawn scenes."""
    from tbar_ray.leaderboard.boards import data_of
    from tbar_ray.leaderboard.tuning import SEARCHES, Tuning
    from tbar_ray.spec.load import load_spec
    from tbar_ray.spec.shipped import shipped_specs

    return Tuning.of(load_spec(path or shipped_specs()[SEARCHES.get(data_of(spec), SEARCHES["scenes"])]))


def data_named(path: Path) -> str:
    """What commands call the data set of a campaign's file: its name if it is shipped, else the file."""
    from tbar_ray.leaderboard.shipped import SHIPPED
    from tbar_ray.spec.shipped import shipped_specs

    shipped = shipped_specs()
    same = (data for data, name in SHIPPED.items() if path.resolve() == shipped[name].resolve())
    return next(same, str(path))


def stated_attacks(text: str | None, spec: CampaignSpec) -> frozenset[str] | None:
    """Attacks that a row's parameters were chosen on; None where nothing is said.

    Raises:
        SpecError: one line, if the campaign has no such attack.
    """
    from tbar_ray.leaderboard.boards import known_attacks

    if text is None:
        return None
    names = [] if text == "none" else words_of(text, "--tuned-on") or []
    known_attacks(names, spec, "--tuned-on")
    return frozenset(names)


def require_places(data: str, spec: CampaignSpec) -> None:
    """Refuse a shipped data set that is somewhere on this machine, and nobody said where.

    Raises:
        SpecError: one line, that says which options are missing.
    """
    from tbar_ray.errors import SpecError
    from tbar_ray.leaderboard.boards import PLACES, board_spec
    from tbar_ray.leaderboard.shipped import SHIPPED

    if data not in SHIPPED or spec.data.synthetic is not None:
        return
    shipped = board_spec(data).data
    lacking = [place for place, field in zip(PLACES, ("train", "evaluation"), strict=True)
               if getattr(spec.data, field) == getattr(shipped, field)]  # fmt: skip
    if lacking:
        raise SpecError(
            f"--data {data}: say where its images are: {' '.join(f'--set {place}' for place in lacking)} "
            "(docs/datasets.md says how to make them)"
        )


def mapping_of(text: str | None) -> dict[str, Any] | None:
    """The mapping that `--parameters` gives as YAML; None without one.

    Raises:
        SpecError: one line, if it is none.
    """
    from tbar_ray.errors import SpecError
    from tbar_ray.spec.yaml_reader import read_value

    if text is None:
        return None
    found = read_value(text, "--parameters")
    if not isinstance(found, dict):
        raise SpecError(f"--parameters {text}: give a mapping, as '{{steps: 20, learning_rate: 1.0e-4}}'")
    return found


def words_of(text: str | None, option: str) -> list[str] | None:
    """Names with commas between them; None where the option is left out.

    Raises:
        SpecError: one line, if there are none.
    """
    from tbar_ray.errors import SpecError

    if text is None:
        return None
    if not (found := [word for part in text.split(",") if (word := part.strip())]):
        raise SpecError(f"{option} {text!r}: names none; give some with commas between them, or leave the option out")
    return found


def numbers_of(text: str | None, option: str, *, whole: bool = False) -> list[float] | None:
    """Numbers with commas between them, integers if `whole`; None where the option is left out.

    Raises:
        SpecError: one line, if one is no number.
    """
    from tbar_ray.errors import SpecError

    try:
        return None if text is None else [int(word) if whole else float(word) for word in words_of(text, option) or []]
    except ValueError:
        raise SpecError(f"{option} {text}: give numbers with commas between them, as 0,1,2") from None
