"""From a table of reference models to a calibration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations as subsets

import numpy as np
from numpy.typing import NDArray

from tbar_ray.detection.calibration import (
    Calibration,
    Combination,
    Measured,
    Provenance,
    Share,
    parameters_of,
)
from tbar_ray.detection.logistic import fit_logistic
from tbar_ray.detection.measures import alarm_threshold, auroc, clear_threshold, cross_entropy
from tbar_ray.detection.reference import Reference, require_unique
from tbar_ray.errors import DataError
from tbar_ray.inversion.registry import build_inverter

LEAST_MODELS = 5
"""Clean, and infected, models below which scores are not weighed."""
MOST_FALSE_ALARMS, MOST_MISSES = 0.02, 0.02


def calibrate(
    references: Sequence[Reference],
    source: str,
    versions: Mapping[str, str],
    *,
    parameters: Mapping[str, Mapping[str, object]] | None = None,
    most_false_alarms: float = MOST_FALSE_ALARMS,
    most_misses: float = MOST_MISSES,
    digest: str = "",
) -> Calibration:
    """Weigh the scores of searches by what they are for models whose state is known.

    A regression is fitted for every set of searches, on the models of which all of them have a score: a search that
    did not converge, or that needs a text tower that is not there, is not replaced by a number.

    Args:
        references: the models.
        source: the campaign or table that they come from.
        versions: of the programs that scored them.
        parameters: by search, those that were not its defaults.
        most_false_alarms: share of clean models that may be called infected.
        most_misses: share of infected models of which there may be said to be no evidence.
        digest: SHA-256 of the table.

    Raises:
        DataError: if there are too few models of a kind, or one comes twice.
        SpecError: if a search or parameter is unknown.
    """
    require_unique(references, source)
    names = list(dict.fromkeys(name for each in references for name in each.scores))
    given = parameters or {}
    searches = {name: build_inverter(name, given.get(name, {})) for name in names}
    found = tuple(
        fitted
        for size in range(1, len(names) + 1)
        for subset in subsets(names, size)
        if (fitted := _combination(references, subset, most_false_alarms, most_misses)) is not None
    )
    if not found:
        clean = sum(not each.infected for each in references)
        raise DataError(
            f"{source}: {clean} clean and {len(references) - clean} infected models; a calibration needs "
            f"{LEAST_MODELS} of each with a score of the same search"
        )
    return Calibration(
        provenance=Provenance(source=source, made=datetime.now(UTC).date(), versions=dict(versions), digest=digest),
        searches=parameters_of(searches),
        references=tuple(references),
        most_false_alarms=most_false_alarms,
        most_misses=most_misses,
        combinations=found,
    )


def held_out(scores: NDArray[np.float64], infected: NDArray[np.bool_], kinds: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities [N] by fits that know no model of the same kind: of its attack, or its kind of clean model.

    Where all infected (or all clean) models are of one kind, each is left out alone.

    Args:
        scores: float [N, D].
        infected: bool [N].
        kinds: of every model.
    """
    groups = _groups(infected, kinds)
    found = np.empty(len(infected))
    for group in dict.fromkeys(groups):
        out = np.array([each == group for each in groups])
        found[out] = fit_logistic(scores[~out], infected[~out]).probabilities(scores[out])
    return found


def _groups(infected: NDArray[np.bool_], kinds: Sequence[str]) -> list[tuple[bool, str]]:
    """What is left out together: the models of a kind, or a model alone where its state has one kind only."""
    states = [(bool(state), kind) for state, kind in zip(infected, kinds, strict=True)]
    alone = {state for state in (False, True) if len({kind for other, kind in states if other == state}) == 1}
    return [(state, str(row) if state in alone else kind) for row, (state, kind) in enumerate(states)]


def _combination(
    references: Sequence[Reference], searches: tuple[str, ...], most_false_alarms: float, most_misses: float
) -> Combination | None:
    """Fit and measure a combination; None where too few models have all of its scores."""
    rows = [[each.scores.get(name) for name in searches] for each in references]
    known = [each for each, row in zip(references, rows, strict=True) if None not in row]
    kinds = [each.kind for each in known]
    infected = np.array([each.infected for each in known], bool)
    if min(infected.sum(), (~infected).sum()) < LEAST_MODELS:
        return None
    scores = np.array([row for row in rows if None not in row], float)
    unseen = held_out(scores, infected, kinds)
    # JSON knows no infinity: 2 and −1 are beyond every probability
    alarm = min(2.0, alarm_threshold(unseen[~infected], unseen[infected], most_false_alarms))
    clear = max(-1.0, min(alarm, clear_threshold(unseen[~infected], unseen[infected], most_misses)))
    return Combination(
        searches=searches,
        logistic=fit_logistic(scores, infected),
        alarm=alarm,
        clear=clear,
        measured=_measured(unseen, infected, kinds, alarm, clear),
    )


def _measured(
    unseen: NDArray[np.float64], infected: NDArray[np.bool_], kinds: Sequence[str], alarm: float, clear: float
) -> Measured:
    clean, ill = unseen[~infected], unseen[infected]
    of_attack = defaultdict[str, list[float]](list)
    for probability, attack in zip(
        ill, [kind for kind, state in zip(kinds, infected, strict=True) if state], strict=True
    ):
        of_attack[attack].append(float(probability))
    return Measured(
        auroc=auroc(clean, ill),
        cross_entropy=cross_entropy(unseen, infected),
        false_alarms=Share(hits=int((clean >= alarm).sum()), models=len(clean)),
        caught=Share(hits=int((ill >= alarm).sum()), models=len(ill)),
        missed=Share(hits=int(((ill <= clear) & (ill < alarm)).sum()), models=len(ill)),
        by_attack={attack: auroc(clean, scores) for attack, scores in of_attack.items()},
    )
