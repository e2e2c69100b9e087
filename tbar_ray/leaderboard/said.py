"""What page and table say in words: rules, how much is measured, what a ranking tells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.leaderboard.aims import AIMS
from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.critical_difference import ENOUGH, LEVEL, Comparison
from tbar_ray.leaderboard.order import RULES
from tbar_ray.leaderboard.ranking import Ranking
from tbar_ray.leaderboard.summary import Board
from tbar_ray.naming import counted

AIMED = "What is asked of a removal"
REACHED = (
    "Cells that reach each aim. A range is from the least to the most that may: of the others it was not measured. "
    "Clearly not: what is lost of CA on the same images lies beyond the aim with its whole 95 % interval; of the other "
    "cells below it, images are too few to tell."
)
COMES_BACK = "What comes back"
FINE_TUNED = (
    f"Models that were cleaned to ASR ≤ {ELIGIBLE:.0%}, fine-tuned on clean pairs. Each method has those that it "
    "cleaned, which are not the same for all."
)
COMMON = (
    "A cell is one method on one attack's infected model with one seed. Scores are of the test split at the α that "
    "validation selects; brackets are 95 % Wilson intervals over images.",
    "Hyper-parameters were chosen by searches of equal budget on two attacks. Cells of these are shown and counted in "
    "no ranking and no mean. Same trigger: another planting of a trigger that they were chosen on.",
    "On each attack methods are ranked within each seed, the ranks of seeds are averaged, and these are ranked anew. "
    "The mean rank is over attacks. Friedman's test (Iman and Davenport's F) says whether methods differ at all, "
    "Nemenyi's critical difference which do, at the 5 % level (Demšar, JMLR 7, 2006).",
    "A missing cell is never filled in. A ranking is of the largest part without one: as long as a cell is missing, "
    "the method, or the attack with a seed, that lacks the largest share of its cells is left out. If more than half "
    "of the methods would be, there is no ranking.",
    "A_post is the highest ASR while the cleaned model is fine-tuned on clean pairs; the worst one is of cells with "
    f"ASR ≤ {ELIGIBLE:.0%} as cleaned. Seconds are of unlearning on the machine that computed the cell; they compare "
    "roughly.",
)


def rules() -> list[str]:
    """The rules, a line each."""
    return [*COMMON, asked(), *(f"Ranking {rule.name}: {rule.text}" for rule in RULES)]


def asked() -> str:
    """What the aims ask of a cell."""
    aims = "; ".join(f"{aim.name} {aim.text}" for aim in AIMS)
    return f"{AIMED}: {aims}. A method that gave no model reaches none."


def headline(boards: Sequence[Board]) -> list[str]:
    """What the whole holds, in sentences."""
    cells = [cell for board in boards for cell in board.cells]
    measured = [cell for cell in cells if cell.is_measured]
    told = [
        f"{len(measured):,} of {counted(len(cells), 'cell')} are measured, {_followed(measured)}: "
        f"{_several(measured, 'method')} on {_several(measured, 'attack')}."
    ]
    if len(measured) < len(cells):
        told.append("What is missing counts nowhere: read a ranking as one of what is there.")
    return told


def coverage(board: Board) -> str:
    """How much of a board is measured, and with how many seeds."""
    measured = [cell for cell in board.cells if cell.is_measured]
    seeds = sorted({cell.seed for cell in measured})
    text = f"{len(measured):,} of {counted(len(board.cells), 'cell')} are measured"
    if not measured:
        return f"{text}."
    text += f" (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}), {_followed(measured)}."
    gone = sorted({cell.attack for cell in measured if cell.status == "not taken"})
    text += f" Did not take: {', '.join(gone)}." * bool(gone)
    if mixed := _of_several_models(measured):
        text += f" On {mixed} not all methods start from the same infected model: their cells are of several runs."
    if several := _of_several_settings(measured):
        text += f" Cells of one row with different parameters: {', '.join(several)}."
    return text


def _followed(cells: Sequence[Cell]) -> str:
    """Of how many cells it is known whether the backdoor comes back, of those where it can."""
    gone = [cell for cell in cells if cell.can_come_back]
    after = sum(cell.after is not None for cell in gone)
    return f"A_post of {after:,} of the {len(gone):,} with ASR ≤ {ELIGIBLE:.0%}"


def _of_several_models(cells: Sequence[Cell]) -> str:
    """The attacks, with their seeds, whose cells do not all start from the same infected model; empty for none."""
    found = defaultdict(set)
    for cell in cells:
        if cell.infected is not None:
            found[cell.attack, cell.seed].add((cell.infected.ca.value, cell.infected.asr.value))
    mixed = [key for key, models in found.items() if len(models) > 1]
    seeds = sorted({seed for _, seed in mixed})
    return " and ".join(f"{counted(sum(s == seed for _, s in mixed), 'attack')} of seed {seed}" for seed in seeds)


def _of_several_settings(cells: Sequence[Cell]) -> list[str]:
    """Methods whose cells do not all have the same parameters."""
    found: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        found[cell.method].add(json.dumps(cell.parameters, sort_keys=True))
    return sorted(method for method, settings in found.items() if len(settings) > 1)


def ranked(ranking: Ranking) -> str:
    """What a ranking is of, and whether it tells methods apart."""
    found = ranking.comparison
    if ranking.few and ranking.unknown:
        return (
            f"None: of too many cells with ASR ≤ {ELIGIBLE:.0%} A_post is not known: it would be of fewer than half of "
            "the attacks, or of the methods with such cells."
        )
    if ranking.few:
        return "None: without a missing cell it would be of fewer than half of the methods."
    if found is None and ranking.unknown:
        return f"None: it takes two attacks of which A_post of every cell with ASR ≤ {ELIGIBLE:.0%} is known."
    if found is None:
        return "None: it takes two methods with the same cells on two attacks that no hyper-parameter was chosen on."
    text = f"{len(found.mean_ranks)} methods on {counted(found.attacks, 'attack')} ({', '.join(ranking.attacks)}). "
    text += _tested(found.p, found.statistic)
    text += f" Mean ranks have to differ by {found.difference:.2f}"
    text += _apart(found)
    if found.attacks < ENOUGH:
        text += f" Of fewer than {ENOUGH} attacks both tests are rough."
    if ranking.left_out:
        why = "cells or their A_post are missing" if ranking.unknown else "cells are missing"
        text += f" Not ranked, since {why} or do not count: {', '.join(ranking.left_out)}."
    return text


def _tested(p: float | None, statistic: float | None) -> str:
    if p is None or statistic is None:
        return "Friedman's test needs three methods that differ."
    verdict = "methods differ" if p < LEVEL else "no difference is shown"
    return f"Friedman: F = {statistic:.2f}, p = {p:.2g}: {verdict}."


def _apart(found: Comparison) -> str:
    first = min(found.mean_ranks.values())
    worse = [name for name, rank in found.mean_ranks.items() if rank - first >= found.difference]
    return f"; worse than the first: {', '.join(worse)}." if worse else "; none is shown to be worse than the first."


def _several(cells: Sequence[object], name: str) -> str:
    return counted(len({getattr(cell, name) for cell in cells}), name)
