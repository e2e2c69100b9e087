"""The sheets of trials: images worth looking at, chosen and answered by what the store keeps, without a model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.campaign.export import planned_trial
from tbar_ray.campaign.sheet_pictures import SheetPictures
from tbar_ray.errors import StoreError, TbarError
from tbar_ray.naming import counted
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import Answer, KeptSheets, SheetImage, SheetRecord, write_sheet
from tbar_ray.report.predictions import LIKELY, read_predictions
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.report.predictions import Arrays

SHOWN, FAILURES = 8, 10
"""Images whose answer changed, and most confident failures."""
REASONS = 3
"""Reasons why trials have no sheet that are told, each in a line."""


class SheetMaker(KeptSheets):
    """The sheets of a campaign: those that the store keeps, and the missing ones, made when they are asked for.

    A trial whose answers or images are gone has none; why is said once for all of them (`problems`).

    Args:
        spec: the campaign.
        store: with its artifacts; sheets go there.
        folder: of the campaign in the store.
    """

    def __init__(self, spec: CampaignSpec, store: Store, folder: str) -> None:
        super().__init__(store, folder)
        self._spec, self._planner = spec, Planner(spec)
        self._answers: dict[str, Arrays] = {}
        self._pictures: dict[str, SheetPictures] = {}
        self._bare: list[TrialRecord] = []
        self._failed: dict[str, list[TrialRecord]] = {}
        self.made = 0
        """How many were made."""
        self.seconds = 0.0
        """How long that took."""

    def __contains__(self, record: TrialRecord) -> bool:
        """Whether a trial has a cleaned model, of which there may be a sheet."""
        return record.alpha is not None

    def sheet(self, record: TrialRecord) -> SheetRecord | None:
        """The sheet of a trial; None if there is none and none can be made.

        Raises:
            StoreError: if a sheet that the store keeps is broken.
        """
        found = super().sheet(record) if super().__contains__(record) else None
        if found is not None:
            return found
        started = time.perf_counter()
        try:
            made = self._make(record)
            if made is not None:
                write_sheet(self._store, self._folder, record.fingerprint, made)
                self.made += 1
        except TbarError as error:
            self._failed.setdefault(str(error), []).append(record)
            return None
        finally:
            self.seconds += time.perf_counter() - started
        return made

    @property
    def told(self) -> str:
        """How many were made, and in what time."""
        return f"images of {counted(self.made, 'trial')} in {self.seconds:.1f} s"

    @property
    def problems(self) -> list[str]:
        """Why trials have no sheet, in a line for each reason, of many reasons the first."""
        reasons = list(self._failed.items())
        found = [f"no sheet of {_named(records)}: {reason}" for reason, records in reasons[:REASONS]]
        if more := sum(len(records) for _, records in reasons[REASONS:]):
            found.append(f"no sheet of {counted(more, 'more trial')}, for other reasons")
        if self._bare:
            paths = [record.path_artifact for record in self._bare]
            these = paths[0] if len(paths) == 1 else f"{paths[0]} and the like"
            found.append(
                f"no sheet of {_named(self._bare)}: an earlier version kept the answers without probabilities; to have "
                f"them kept, remove {these} from {self._store.url}/artifacts and run the campaign again"
            )
        return found

    def _make(self, record: TrialRecord) -> SheetRecord | None:
        """A sheet, from kept answers; None if those of the cleaned model have no probabilities."""
        import numpy as np

        from tbar_ray.evaluation.changed import changed_rows, confident_rows, failed_rows

        planned = planned_trial(self._spec, record, self._planner)
        kept = self._answers_of(planned, record)
        cleaned = kept["cleaned"]
        if not set(cleaned) >= LIKELY:
            self._bare.append(record)
            return None
        labels, target = cleaned["labels"], int(cleaned["target"])
        answers = [arrays["triggered"] for arrays in kept.values()]
        changed = changed_rows(labels, target, answers, planned.graph.path.infected.split_seed)
        failed = failed_rows(labels, target, cleaned["triggered"])
        shown, failures = changed[:SHOWN], confident_rows(failed, cleaned["probabilities"][:, 0], FAILURES)
        pictures = self._pictures_of(planned, labels)
        webp = pictures.of([*shown, *failures])
        images = {row: _image(row, webp[row], kept, pictures.names) for row in webp}
        return SheetRecord(
            target=record.target,
            images=int(np.count_nonzero(labels != target)),
            changed=len(changed),
            shown=tuple(images[row] for row in shown),
            failed=len(failed),
            failures=tuple(images[row] for row in failures),
        )

    def _answers_of(self, planned: PlannedTrial, record: TrialRecord) -> dict[str, Arrays]:
        """Answers to the test images by role: clean (where there is such a model), infected, cleaned."""
        scores = {"clean": planned.graph.clean, "infected": planned.graph.infected}
        found = {
            role: self._read(role, stage.artifact, keep=True) for role, stage in scores.items() if stage is not None
        }
        # the record's own: where trials were given up early, its path had a score to beat that no plan tells of
        return {**found, "cleaned": self._read("cleaned", record.path_artifact, keep=False)}

    def _read(self, role: str, artifact: str, *, keep: bool) -> Arrays:
        """Answers of a model; those that many trials share are read once."""
        if artifact in self._answers:
            return self._answers[artifact]
        arrays = read_predictions(artifact, self._store, likely=True)
        if arrays is None:
            raise StoreError(f"store {self._store.url} has no answers of the {role} model")
        if keep:
            self._answers[artifact] = arrays
        return arrays

    def _pictures_of(self, planned: PlannedTrial, labels: NDArray[np.int64]) -> SheetPictures:
        """The pictures of a trial's attack; the attack's trials share them."""
        scorer = planned.graph.path.infected
        if scorer.artifact not in self._pictures:
            self._pictures[scorer.artifact] = SheetPictures(scorer, self._store, labels)
        return self._pictures[scorer.artifact]


def _image(row: int, webp: str, kept: dict[str, Arrays], names: Sequence[str]) -> SheetImage:
    """An image with the best answers of every model; of answers that an earlier version kept, the best alone."""
    answers: dict[str, tuple[Answer, ...]] = {}
    for role, arrays in kept.items():
        if set(arrays) >= LIKELY:
            pairs = zip(arrays["likely"][row].tolist(), arrays["probabilities"][row].tolist(), strict=True)
            answers[role] = tuple(Answer(name=names[n], probability=round(p, 4)) for n, p in pairs)
        else:
            answers[role] = (Answer(name=names[int(arrays["triggered"][row])]),)
    return SheetImage(webp=webp, truth=names[int(kept["cleaned"]["labels"][row])], answers=answers)


def _named(records: Sequence[TrialRecord]) -> str:
    """The only trial by its name, or how many there are."""
    return run_name(records[0]) if len(records) == 1 else counted(len(records), "trial")
