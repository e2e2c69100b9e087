"""The campaigns whose cells the leaderboard has, and the part of one that a method's row needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.leaderboard.shipped import NAMES, NOT_COMPARED, SHIPPED, differences, is_below, shipped_board
from tbar_ray.naming import nearest
from tbar_ray.redaction import redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.load import describe, load_spec
from tbar_ray.spec.shipped import shipped_specs

PLACES = ("data.train=PLACE/train", "data.evaluation=PLACE/evaluation")
"""What a reader has to give for data that are not drawn."""


@dataclass(frozen=True)
class Asked:
    """How cells are asked for, as their commands say it.

    Attributes:
        data: the data set, or the campaign's file.
        overrides: of the campaign's fields, as `--set` takes them.
        tuned_on: attacks on which the row's hyper-parameters were chosen; None where nobody says so.
    """

    data: str
    overrides: tuple[str, ...] = ()
    tuned_on: frozenset[str] | None = None


@dataclass(frozen=True)
class Row:
    """A method as it is asked for.

    Attributes:
        method: under `methods` of the campaign, or a registered one.
        name: of its row.
        parameters: of its own; None for those of the campaign, or the published ones.
        alpha: its path of α; None for the campaign's.
    """

    method: str
    name: str
    parameters: dict[str, Any] | None = None
    alpha: list[float] | None = None


def board_spec(data: str, overrides: Sequence[str] = ()) -> CampaignSpec:
    """The campaign of a data set: a shipped one by the name of its data, or the file of another.

    Raises:
        SpecError: one line, if there is none, or it is no sound grid of methods and attacks.
    """
    if data in SHIPPED:
        path = shipped_specs()[SHIPPED[data]]
    elif (path := Path(data)).suffix not in (".yaml", ".yml"):
        raise SpecError(f"--data {data}: no such data set{nearest(data, SHIPPED)}; or give a campaign's file")
    return checked(load_spec(path, overrides), path)


def checked(spec: CampaignSpec, path: Path) -> CampaignSpec:
    """A campaign that can be a leaderboard's.

    Raises:
        SpecError: if it is no grid, has axes that would give a cell several results, or has a shipped one's name and
            other cells.
    """
    if spec.search.sampler != "grid":
        raise SpecError(f"{path}: the leaderboard is of a grid, and search.sampler is {spec.search.sampler!r}")
    for axis in spec.search.axes:
        if axis not in ("method", "attack", "seed", "inversion"):
            raise SpecError(
                f"{path}: search.axes.{axis}: a cell of the leaderboard is of method, attack, seed and inversion; "
                f"choose one value with --set"
            )
    if changed := differences(spec):
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise SpecError(
            f"{path}: {', '.join(changed[:3])}{more}: not as in the leaderboard {data_of(spec)!r}, so that its cells "
            "are others; give the campaign a name of its own, as --set name=mine, and they get a table of theirs"
        )
    return spec


def data_of(spec: CampaignSpec) -> str:
    """What the leaderboard calls a campaign's data set."""
    return NAMES.get(spec.name, spec.name)


def narrowed(
    spec: CampaignSpec,
    row: Row,
    attacks: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    search: str | None = None,
) -> CampaignSpec:
    """The part of a campaign that has one method's cells.

    Args:
        spec: the whole.
        row: the method.
        attacks: of the cells; None for all of the campaign.
        seeds: of the cells; None for all of the campaign.
        search: the search that finds the trigger; None where the defender is told it.

    Raises:
        SpecError: one line, if a name is unknown (with the nearest ones), or the row would replace another method's.
    """
    from tbar_ray.unlearning.registry import UNLEARNERS

    known = {*spec.methods, *UNLEARNERS}
    if row.method not in known:
        raise SpecError(f"--method {row.method}: no such method{nearest(row.method, known)}")
    own = row.parameters is not None or row.alpha is not None
    if own and row.name in spec.methods:
        raise SpecError(
            f"--method {row.method}: campaign {spec.name} has settings of its own for {row.name!r}; give the row "
            f"another name with --name, so that it does not replace that one"
        )
    if not own and row.name != row.method:
        raise SpecError(f"--name {row.name}: without --parameters or --alpha it would be {row.method!r} again")
    known_attacks(attacks or (), spec, "--attacks")
    content = spec.model_dump(mode="json")
    axes = content["search"]["axes"]
    axes["method"] = [row.name]
    axes["attack"] = list(attacks or axes.get("attack") or spec.attacks)
    axes["seed"] = list(seeds or axes.get("seed") or [spec.seed])
    axes.pop("inversion", None)
    content["defender"]["inversion"] = search
    if own:
        base = spec.methods[row.method].model_dump(mode="json") if row.method in spec.methods else {}
        given = {"parameters": row.parameters, "alpha": row.alpha}
        settings = {**base, **{key: value for key, value in given.items() if value is not None}}
        content["methods"][row.name] = {**settings, "method": base.get("method") or row.method}
    try:
        return CampaignSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError(f"--method {row.method}: {describe(error, CampaignSpec)}") from None


def command_of(spec: CampaignSpec, asked: Asked, method: str, attack: str, seed: int, search: str | None) -> str:
    """The command that repeats one cell of a campaign.

    Args:
        spec: the campaign, with the method's settings.
        asked: how its cells were asked for.
        method: of the cell.
        attack: of the cell.
        seed: of the cell.
        search: of the cell; None where the trigger is told.
    """
    words = ["tbar leaderboard run", *([f"--data {quote(asked.data)}"] if asked.data != "scenes" else [])]
    words += _method_words(spec, asked.data, method)
    words += [f"--attacks {quote(attack)}", f"--seeds {seed}", *([f"--search {search}"] if search else [])]
    if asked.tuned_on is not None:
        words += [f"--tuned-on {','.join(sorted(asked.tuned_on)) or 'none'}"]
    if spec.data.synthetic is None:
        words += [f"--set {place}" for place in PLACES]
    left = [*NOT_COMPARED, "evaluation.rebound"]
    words += [f"--set {quote(redact(each))}" for each in asked.overrides if not is_below(each.split("=")[0], left)]
    return " ".join(words)


def _method_words(spec: CampaignSpec, data: str, method: str) -> list[str]:
    """Options that name a method, with its settings where the data set's campaign has none for it."""
    entry = spec.methods.get(method)
    if entry is None or data not in SHIPPED or method in shipped_board(data).methods:
        return [f"--method {quote(method)}"]
    kind = entry.method or method
    words = [f"--method {kind}", *([f"--name {quote(method)}"] if kind != method else [])]
    # none are parameters, too: the published ones, not those of the campaign
    words.append(f"--parameters {quote(json.dumps(entry.parameters))}")
    return [*words, *([f"--alpha {','.join(map(_exact, entry.alpha))}"] if entry.alpha else [])]


def _exact(value: float) -> str:
    """A number in the fewest digits that read back as the same one."""
    return repr(value).removesuffix(".0")


def known_attacks(names: Iterable[str], spec: CampaignSpec, option: str) -> None:
    """Refuse names that are no attacks of a campaign.

    Raises:
        SpecError: one line, with the nearest names.
    """
    for name in names:
        if name not in spec.attacks:
            raise SpecError(f"{option}: no attack {name!r}{nearest(name, spec.attacks)}")
