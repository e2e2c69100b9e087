"""Rows of the leaderboard's tables: cells with a text, a value to sort by and a hint to hover over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tbar_ray.evaluation.bootstrap import Aggregate
from tbar_ray.leaderboard.aims import AIMS, REMOVED, Reached, is_removed
from tbar_ray.leaderboard.cell import Cell, Held
from tbar_ray.leaderboard.comeback import Comeback
from tbar_ray.leaderboard.summary import Board, Summary
from tbar_ray.records.cells import grouped
from tbar_ray.records.scores import RateRecord
from tbar_ray.report.result_cells import hint_of
from tbar_ray.report.text import rate, share, with_interval


@dataclass(frozen=True)
class Shown:
    """A table's cell: its text, what it is sorted by (None: its text), what hovering shows, and its class."""

    text: str
    value: float | str | None = None
    hint: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """A row, with what it is filtered by."""

    cells: tuple[Shown, ...]
    data: Mapping[str, str] = field(default_factory=dict)


MEAN = "mean over attacks, with a 95 % bootstrap interval over attacks; (of n): on the others it gave no model"
SUMMARY_HEADS = (
    Shown("method"),
    Shown("mean rank", hint="as cleaned; – : not ranked, since cells are missing or do not count"),
    Shown("rank after fine-tuning", hint="mean rank; – : not ranked, since cells are missing or do not count"),
    Shown("removed", hint="cells with ASR ≤ 1 % and CA kept ≥ 99 %, of those measured"),
    Shown("restored", hint="removed, and PA at most 3 points below the clean model's"),
    Shown("CA", hint=MEAN),
    Shown("ASR", hint=MEAN),
    Shown("PA", hint=MEAN),
    Shown("worst ASR"),
    Shown(
        "worst A_post",
        hint="highest ASR under clean fine-tuning, and of how many cells with at most 10 % before",
    ),
    Shown("defender holds"),
    Shown("seconds", hint="of unlearning, median"),
    Shown("measured", hint="cells, without those of attacks that hyper-parameters were chosen on"),
)
AIM_HEADS = (Shown("method"), *(Shown(aim.name, hint=aim.text) for aim in AIMS))
COMEBACK_HEADS = (
    Shown("method"),
    Shown("models", hint="cells with ASR ≤ 10 % as cleaned whose models were fine-tuned"),
    Shown("ASR as cleaned", hint="median"),
    Shown("A_post", hint="highest ASR in clean fine-tuning, median"),
    Shown("worst A_post"),
    Shown("worst on"),
    Shown("CA kept, least", hint="after the last step, of the infected model's CA"),
)
CELL_HEADS = (
    *map(Shown, ("data", "trigger", "method", "attack", "seed")),
    *(Shown(name, hint="after removal, with its 95 % interval") for name in ("CA", "ASR", "PA")),
    Shown("A_post"),
    Shown("ASR before"),
    *map(Shown, ("α", "holds", "seconds", "tuned on", "fingerprint", "code", "command")),
)
FIELDS = ("data", "trigger", "method", "attack", "seed", "outcome")
"""What the table of cells is filtered by."""


def summary_rows(board: Board) -> list[Row]:
    """A row for each method, best first."""
    return [Row(tuple(_summary(method))) for method in board.methods]


def aim_rows(board: Board) -> list[Row]:
    """A row for each method, best first: how many of its cells reach each aim."""
    return [Row((Shown(method.method), *(_reached(method.aims[aim.name]) for aim in AIMS))) for method in board.methods]


def comeback_rows(board: Board) -> list[Row]:
    """A row for each method of which models were fine-tuned, best first: what comes back of its removals."""
    return [
        Row(tuple(_comeback(found.method, found.comeback))) for found in board.methods if found.comeback is not None
    ]


def attack_heads(board: Board) -> list[Shown]:
    """Heads of `attack_rows`."""
    return [Shown("method"), *map(Shown, _attacks(board))]


def attack_rows(board: Board) -> list[Row]:
    """A row for each method, with a cell for each attack: means over seeds."""
    attacks = _attacks(board)
    groups = grouped(board.cells, lambda cell: (cell.method, cell.attack))
    return [
        Row((Shown(method.method), *(_over_seeds(groups.get((method.method, attack), [])) for attack in attacks)))
        for method in board.methods
    ]


def cell_rows(cells: Sequence[Cell]) -> list[Row]:
    """A row for each measured cell."""
    return [Row(tuple(_cell(cell)), _filtered(cell)) for cell in cells if cell.is_measured]


def options(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The values of each field that rows are filtered by."""
    return {name: sorted({row.data[name] for row in rows}) for name in FIELDS}


def held_text(held: Held | None) -> str:
    """What a defender held, in words."""
    if held is None:
        return "–"
    labelled = "labelled " if held.labels else ""
    parts = [f"{held.images:,} images"] * bool(held.images)
    parts += [f"{held.clean_pairs:,} {labelled}pairs"] * bool(held.clean_pairs)
    parts += [f"{held.training_pairs:,} training pairs"] * bool(held.training_pairs)
    return " + ".join(parts) or "nothing"


def _attacks(board: Board) -> list[str]:
    """The attacks of a board, those that the most cells are measured of first."""
    measured = Counter(cell.attack for cell in board.cells if cell.is_measured)
    return sorted({cell.attack for cell in board.cells}, key=lambda attack: (-measured[attack], attack))


def _summary(found: Summary) -> Iterator[Shown]:
    yield Shown(found.method)
    for mean_rank in (found.rank, found.lasting_rank):
        yield Shown("–") if mean_rank is None else Shown(f"{mean_rank:.2f}", mean_rank)
    none = f", {found.no_model} without a model" if found.no_model else ""
    yield _part(found.removed, found.measured, none)
    yield _part(found.restored, found.measured)
    for mean in (found.ca, found.asr, found.pa):
        yield _mean(mean, found.attacks)
    yield Shown(share(found.worst_asr), found.worst_asr)
    back = found.comeback
    yield Shown("–") if back is None else Shown(f"{share(back.worst)} (of {back.count})", back.worst)
    yield Shown(held_text(found.held), hint=_knows(found.held))
    yield Shown("–" if found.seconds is None else f"{found.seconds:.1f}", found.seconds)
    yield Shown(f"{found.measured} of {found.cells}", found.measured)


def _part(count: int, of: int, more: str = "") -> Shown:
    return Shown(f"{count} of {of}{more}", count / of if of else None)


def _reached(found: Reached) -> Shown:
    """How many reach it; where something was not measured, how many at least and at most.

    Where that is known of all others, also how many of them miss it beyond the interval over images.
    """
    every = found.known + found.unknown
    if not every:
        return Shown("–", kind="missing")
    others = found.known - found.count
    shown = f", {found.missed} clearly not" if others and found.missed is not None else ""
    if not found.unknown:
        return _part(found.count, every, shown)
    return Shown(f"{found.count}–{found.count + found.unknown} of {every}{shown}", found.count / every)


def _comeback(method: str, found: Comeback) -> Iterator[Shown]:
    yield from (Shown(method), Shown(str(found.count), found.count))
    for value in (found.asr, found.highest, found.worst):
        yield Shown(share(value), value)
    yield from (Shown(f"{found.attack}, seed {found.seed}"), Shown(share(found.ca), found.ca))


def _mean(found: Aggregate | None, attacks: int) -> Shown:
    if found is None:
        return Shown("–")
    less = f" (of {found.n})" if found.n < attacks else ""
    return Shown(with_interval(found.mean, found.low, found.high) + less, found.mean)


def _knows(held: Held | None) -> str:
    if held is None:
        return ""
    return f"knows {' and '.join(held.knows)}" if held.knows else "knows nothing of the attack"


def _over_seeds(cells: Sequence[Cell]) -> Shown:
    """One method on one attack; 'no model' and 'not taken' are results, '–' is none."""
    measured = [cell for cell in cells if cell.is_measured]
    if not measured:
        return Shown("–", kind="missing")
    tuned = " tuned" if measured[0].tuned_on == "attack" else ""
    hint = "; ".join(f"seed {cell.seed}: {_told(cell)}" for cell in measured)
    asr, pa = ([value for cell in measured if (value := cell.value(metric)) is not None] for metric in ("asr", "pa"))
    if not asr:
        text = "not taken" if measured[0].status == "not taken" else "no model"
        return Shown(text, 2.0, hint, f"left{tuned}")
    less = f" ({len(asr)} of {len(measured)})" if len(asr) < len(measured) else ""
    text = f"{_mean_and_range(asr, 1)} · {_mean_and_range(pa, 0)}{less}"
    return Shown(text, fmean(asr), hint, f"{_kind(measured)}{tuned}")


def _mean_and_range(values: Sequence[float], digits: int) -> str:
    """Mean over seeds in %, with the lowest and the highest where they differ: seeds are too few for an interval."""
    low, mean, high = (f"{value * 100:.{digits}f}" for value in (min(values), fmean(values), max(values)))
    return mean if low == high else f"{mean} ({low}–{high})"


def _kind(cells: Sequence[Cell]) -> str:
    if all(is_removed(cell) for cell in cells):
        return "removed"
    gone = all((value := cell.value("asr")) is not None and value <= REMOVED for cell in cells)
    return "costly" if gone else "left"


def _told(cell: Cell) -> str:
    if cell.cleaned is None:
        return f"{cell.status}{f': {cell.reason}' if cell.reason else ''}"
    after = f", A_post {share(cell.after.highest.value)}" if cell.after else ""
    return f"CA {share(cell.value('ca'))}, ASR {share(cell.value('asr'))}, PA {share(cell.value('pa'))}{after}"


def _cell(cell: Cell) -> Iterator[Shown]:
    yield from (Shown(cell.data), Shown(_trigger(cell)), Shown(cell.method, hint=_parameters(cell)), Shown(cell.attack))
    yield Shown(str(cell.seed), cell.seed)
    if cell.cleaned is None:
        yield from (Shown("–", hint=cell.reason or ""), Shown(cell.status, hint=cell.reason or ""), Shown("–"))
    else:
        yield _rate(cell.cleaned.ca, "clean accuracy after removal")
        yield _rate(cell.cleaned.asr, "attack success rate after removal", "removed" if is_removed(cell) else "")
        yield _rate(cell.cleaned.pa, "poisoned accuracy after removal")
    yield (
        Shown("–")
        if cell.after is None
        else _rate(cell.after.highest, f"highest ASR in {cell.after.steps} clean steps")
    )
    before = None if cell.infected is None else cell.infected.asr.value
    yield Shown(share(before), before)
    yield Shown("–" if cell.alpha is None else f"{cell.alpha:g}", cell.alpha)
    yield Shown(held_text(cell.held), hint=_knows(cell.held))
    where = " on a GPU" if cell.gpus else ""
    yield Shown("–" if cell.seconds is None else f"{cell.seconds:.1f}{where}", cell.seconds)
    yield Shown(f"same {cell.tuned_on}" if cell.tuned_on in ("attack", "trigger") else cell.tuned_on)
    yield from (Shown(cell.fingerprint), Shown(cell.code or "not written down"), Shown(cell.command))


def _rate(found: RateRecord, what: str, kind: str = "") -> Shown:
    return Shown(rate(found), found.value, hint_of(found, what), kind)


def _parameters(cell: Cell) -> str:
    return ", ".join(f"{name} {value}" for name, value in cell.parameters.items())


def _trigger(cell: Cell) -> str:
    return f"found by {cell.search}" if cell.search else "known"


def _filtered(cell: Cell) -> dict[str, str]:
    outcome = "removed" if is_removed(cell) else "no model" if cell.gave_no_model else cell.status
    return {
        "data": cell.data, "trigger": _trigger(cell), "method": cell.method, "attack": cell.attack,
        "seed": str(cell.seed), "outcome": "not removed" if outcome == "done" else outcome,
    }  # fmt: skip
