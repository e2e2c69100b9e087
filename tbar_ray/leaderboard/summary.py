"""What the leaderboard says of a method over all attacks: means, worst cases, and how much of it is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from tbar_ray.evaluation.bootstrap import Aggregate, aggregate
from tbar_ray.leaderboard.aims import Reached, is_removed, is_restored, reached
from tbar_ray.leaderboard.cell import Cell, Held
from tbar_ray.leaderboard.comeback import Comeback, comeback
from tbar_ray.leaderboard.counted import counted, searched_attacks
from tbar_ray.leaderboard.order import RULES
from tbar_ray.leaderboard.ranking import Ranking, rank_methods
from tbar_ray.leaderboard.shipped import SHIPPED
from tbar_ray.records.cells import grouped

Metric = Literal["ca", "asr", "pa"]


@dataclass(frozen=True)
class Summary:
    """One method. Everything is of its measured cells, those that count (`counted`).

    Attributes:
        method: its name.
        rank, lasting_rank: mean rank as cleaned and after clean fine-tuning; None where it is not ranked.
        measured, cells: how many of its cells are measured, of how many.
        attacks: of how many attacks those are.
        removed: in how many the backdoor is gone and CA kept.
        restored: in how many triggered images get their true answer as well.
        no_model: in how many the method gave none.
        ca, asr, pa: means over attacks (of each, over seeds) with a 95 % bootstrap interval over attacks; None without
            any. Cells where the method gave no model have none of these, and an attack without others counts in none.
        worst_asr: highest of all.
        comeback: what comes back of its removals; None where none was fine-tuned.
        aims: how many cells reach each of `aims.AIMS`, by its name.
        held: what the defender held.
        seconds: median of unlearning, on CPUs; of a method without such cells, on GPUs.
    """

    method: str
    rank: float | None
    lasting_rank: float | None
    measured: int
    cells: int
    attacks: int
    removed: int
    restored: int
    no_model: int
    ca: Aggregate | None
    asr: Aggregate | None
    pa: Aggregate | None
    worst_asr: float | None
    comeback: Comeback | None
    aims: Mapping[str, Reached]
    held: Held | None
    seconds: float | None


@dataclass(frozen=True)
class Board:
    """One data set, with the trigger told or found by one search.

    Attributes:
        data, search: which.
        cells: all, in the order of the file.
        rankings: one for each of `RULES`.
        methods: the best rank first, then methods without one, by how many cells are removed, and by name.
    """

    data: str
    search: str | None
    cells: tuple[Cell, ...]
    rankings: tuple[Ranking, ...]
    methods: tuple[Summary, ...]

    @property
    def title(self) -> str:
        """What it is of, in words."""
        return f"{self.data}, trigger {f'found by {self.search}' if self.search else 'known'}"

    @property
    def measured(self) -> int:
        """How many cells are measured."""
        return sum(cell.is_measured for cell in self.cells)


def boards_of(cells: Iterable[Cell]) -> list[Board]:
    """The boards of some cells: shipped data sets first, then the most measured one; of each, first the known trigger.

    The order does not depend on how much of a shipped one is measured: the first board fills the README.
    """
    groups = grouped(cells, lambda cell: (cell.data, cell.search or ""))
    boards = [_board(data, search or None, own) for (data, search), own in groups.items()]
    whole = {board.data: sum(other.measured for other in boards if other.data == board.data) for board in boards}
    shipped = {data: number for number, data in enumerate(SHIPPED)}
    return sorted(
        boards,
        key=lambda board: (shipped.get(board.data, len(shipped)), -whole[board.data], board.data, board.search or ""),
    )


def _board(data: str, search: str | None, cells: Sequence[Cell]) -> Board:
    rankings = tuple(rank_methods(cells, rule) for rule in RULES)
    searched = searched_attacks(cells)
    found = [_summary(own, rankings, searched) for own in grouped(cells, lambda cell: (cell.method,)).values()]
    return Board(data, search, tuple(cells), rankings, tuple(sorted(found, key=_order)))


def _order(summary: Summary) -> tuple[float, int, str]:
    return (float("inf") if summary.rank is None else summary.rank), -summary.removed, summary.method


def _summary(cells: Sequence[Cell], rankings: Sequence[Ranking], searched: Set[str]) -> Summary:
    """A method's summary; `searched` are the attacks that the hyper-parameters of any method were chosen on."""
    own = counted(cells, searched)
    known = [cell for cell in own if cell.is_of_a_method]
    asr = [value for cell in known if (value := cell.value("asr")) is not None]
    timed = [cell for cell in known if cell.seconds is not None]
    alike = [cell for cell in timed if not cell.gpus] or timed
    seconds = [cell.seconds for cell in alike if cell.seconds is not None]
    method = cells[0].method
    ranks = [None if r.comparison is None else r.comparison.mean_ranks.get(method) for r in rankings]
    return Summary(
        method=method,
        rank=ranks[0],
        lasting_rank=ranks[1],
        measured=len(known),
        cells=len(own),
        attacks=len({cell.attack for cell in known}),
        removed=sum(map(is_removed, known)),
        restored=sum(map(is_restored, known)),
        no_model=sum(cell.gave_no_model for cell in known),
        ca=_over_attacks(known, "ca"),
        asr=_over_attacks(known, "asr"),
        pa=_over_attacks(known, "pa"),
        worst_asr=max(asr, default=None),
        comeback=comeback(known),
        aims=reached(own),
        held=next((cell.held for cell in cells if cell.held is not None), None),
        seconds=median(seconds) if seconds else None,
    )


def _over_attacks(cells: Sequence[Cell], metric: Metric) -> Aggregate | None:
    """Mean of the attacks' means over seeds."""
    means = []
    for own in grouped(cells, lambda cell: (cell.attack,)).values():
        values = [value for cell in own if (value := cell.value(metric)) is not None]
        means += [fmean(values)] if values else []
    return aggregate(means) if means else None
