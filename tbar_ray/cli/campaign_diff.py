"""`tbar campaign diff`: what differs between two campaigns, and by how much their results do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tbar_ray.cli.console import table_console
from tbar_ray.cli.options import AsJson, StoreUrl

if TYPE_CHECKING:
    from rich.console import Console

    from tbar_ray.records.stored import StoredCampaign
    from tbar_ray.report.comparison import Comparison, Difference, TrialPair

LONGEST = 60
"""Letters of a value that a table shows."""


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="a campaign: a spec file, NAME, or NAME/FINGERPRINT")],
    second: Annotated[str, typer.Argument(metavar="B", help="the campaign that is compared with it")],
    store: StoreUrl = None,
    other_store: Annotated[
        str | None, typer.Option("--other-store", metavar="URL", help="store of B; default that of A")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two campaigns in spec, code and data, and the differences of their results.

    Trials with the same settings are compared: B less A, in points, with
    Newcombe's 95% interval and exact McNemar tests on the same test images,
    corrected over all of them (Holm). Where test images or triggers differ,
    differences have no test. Needs the stores alone, not the data.

    Example: tbar campaign diff quickstart/6b1f quickstart/90ac
    """
    from tbar_ray.report.comparison import compare_campaigns
    from tbar_ray.store.paths import default_store
    from tbar_ray.store.store import Store

    ours = Store(store or default_store())
    theirs = ours if other_store is None else Store(other_store)
    one, two = _open(first, ours), _open(second, theirs)
    found = compare_campaigns(one, two)
    if as_json:
        typer.echo(json.dumps(_json(one, two, found), indent=1))
        return
    console = table_console()
    console.print(f"A  {one.name}: {len(one.records)} trials", soft_wrap=True)
    console.print(f"B  {two.name}: {len(two.records)} trials", soft_wrap=True)
    for title, differences in (("spec", found.spec), ("code", found.code), ("data", found.data)):
        _differences(console, title, differences)
        if title == "code":
            _unknown_commits(console, {"A": one, "B": two})
    _results(console, found)


def _open(named: str, store: Any) -> StoredCampaign:
    """The campaign of a spec file, or of a name in the store."""
    from tbar_ray.records.ledger import Ledger
    from tbar_ray.records.stored import find_campaign
    from tbar_ray.spec.load import load_spec

    if Path(named).suffix in (".yaml", ".yml"):
        campaign = load_spec(Path(named))
        folder = Ledger(store, campaign).folder
        return find_campaign(store, folder.partition("/")[2]) if store.list_folder(folder) else _none(store, named)
    return find_campaign(store, named)


def _none(store: Any, named: str) -> StoredCampaign:
    from tbar_ray.errors import StoreError

    raise StoreError(f"store {store.url} has no trial of the campaign of {named}; run it first, or name another store")


def _differences(console: Console, title: str, differences: tuple[Difference, ...]) -> None:
    if not differences:
        console.print(Text.assemble("\n", (title, "bold"), ": no difference"))
        return
    table = Table(title, "A", "B", box=None, pad_edge=False)
    for found in differences:
        table.add_row(found.what, _short(found.first), _short(found.second))
    console.print()
    console.print(table)


def _unknown_commits(console: Console, campaigns: Mapping[str, StoredCampaign]) -> None:
    """Say whose commit is not known: stages of one version may differ in it."""
    for letter, campaign in campaigns.items():
        if not campaign.launches:
            console.print(
                f"{letter} was launched by a version that noted no commit: only versions of stages are compared"
            )


def _results(console: Console, found: Comparison) -> None:
    from tbar_ray.report.comparison import METRICS

    adjusted = _adjusted(found)
    table = Table("results, test split", box=None, pad_edge=False)
    for head in ("score", "A", "B", "B − A", "p (Holm)"):
        table.add_column(head, justify="right")
    for pair in found.pairs:
        for place, metric in enumerate(METRICS):
            name = pair.name if place == 0 else ""
            table.add_row(name, metric.upper(), *_row(pair, metric, adjusted.get((id(pair), metric))))
    console.print()
    console.print(table if found.pairs else "no trial of A has the settings of one of B")
    if (same := sum(pair.same for pair in found.pairs)) > 0:
        console.print(f"{same} of {len(found.pairs)} pairs are the same computation")
    for letter, only in (("A", found.only_first), ("B", found.only_second)):
        if only:
            console.print(f"{len(only)} trials only in {letter}")


def _row(pair: TrialPair, metric: str, p: float | None) -> list[str]:
    from tbar_ray.report.text import points, share

    values = [
        record.status if record.value(metric) is None else share(record.value(metric))
        for record in (pair.first, pair.second)
    ]
    change, test = pair.change(metric), pair.tests.get(metric)
    if pair.same:
        return [*values, "same", ""]
    if change is None:
        return [*values, "–", ""]
    if test is None:
        return [*values, points(change), "not paired"]
    told = points(change, test.low, test.high)
    return [*values, told, "" if p is None else "< 0.0001" if p < 1e-4 else f"{p:.2g}"]


def _adjusted(found: Comparison) -> dict[tuple[int, str], float]:
    """p-values of all tests, corrected together."""
    from tbar_ray.evaluation.paired import holm

    tests = [((id(pair), metric), test.p_value) for pair in found.pairs for metric, test in pair.tests.items()]
    return dict(zip((key for key, _ in tests), holm([p for _, p in tests]), strict=True))


def _json(one: StoredCampaign, two: StoredCampaign, found: Comparison) -> dict[str, Any]:
    from tbar_ray.report.comparison import METRICS

    adjusted = _adjusted(found)
    return {
        "a": one.name,
        "b": two.name,
        **{name: [asdict(each) for each in getattr(found, name)] for name in ("spec", "code", "data")},
        "results": [
            {
                "trial": pair.name,
                "a": pair.first.fingerprint,
                "b": pair.second.fingerprint,
                "same": pair.same,
                **{
                    metric: {
                        "a": pair.first.value(metric),
                        "b": pair.second.value(metric),
                        "change": pair.change(metric),
                        "test": asdict(pair.tests[metric]) if metric in pair.tests else None,
                        "p_holm": adjusted.get((id(pair), metric)),
                    }
                    for metric in METRICS
                },
            }
            for pair in found.pairs
        ],
        "only_a": [record.fingerprint for record in found.only_first],
        "only_b": [record.fingerprint for record in found.only_second],
    }


def _short(value: str | None) -> str:
    if value is None:
        return "–"
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
