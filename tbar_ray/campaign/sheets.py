"""Making the sheets of trials: the few images worth looking at, answered again by all of a trial's models."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tbar_ray.campaign.export import planned_trial
from tbar_ray.errors import StoreError, TbarError
from tbar_ray.planning.planner import PlannedTrial
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import Answer, SheetImage, SheetRecord, read_sheet, write_sheet
from tbar_ray.report.predictions import read_predictions
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tbar_ray.report.predictions import Arrays

SHOWN, FAILURES, BEST = 8, 10, 3
"""Images whose answer changed, most confident failures, and answers of each image."""
SEARCHED = 2048
"""Failures among which the most confident are sought; of more, evenly spaced ones."""
SIDE = 64
"""Pixels of a kept image; larger ones are scaled down."""
Say = Callable[[str], None]


def make_sheets(spec: CampaignSpec, store: Store, records: Sequence[TrialRecord], say: Say, warn: Say) -> int:
    """Make the sheets that are missing; return how many were made.

    Models are loaded here, one after the other. A trial whose artifacts or data are gone is said, and left out.

    Args:
        spec: the campaign.
        store: with its artifacts; sheets go there.
        records: the trials; those without a cleaned model have no sheet.
        say: takes a line for each sheet that was made.
        warn: takes a line for each that could not be made.
    """
    folder = Ledger(store, spec).folder
    wanted = [r for r in records if r.alpha is not None and read_sheet(store, folder, r.fingerprint) is None]
    made = 0
    for place, record in enumerate(wanted, start=1):
        try:
            write_sheet(store, folder, record.fingerprint, make_sheet(spec, store, record))
        except TbarError as error:
            warn(f"sheet {place} of {len(wanted)}: none of {run_name(record)}: {error}")
        else:
            made += 1
            say(f"sheet {place} of {len(wanted)}: {run_name(record)}")
    return made


def make_sheet(spec: CampaignSpec, store: Store, record: TrialRecord) -> SheetRecord:
    """Choose the images of one trial by the answers that the store keeps, and answer these again.

    Raises:
        StoreError: if an artifact that is needed is gone.
        DataError: if images cannot be read.
    """
    import numpy as np

    from tbar_ray.data.selection import evenly_spaced
    from tbar_ray.evaluation.changed import changed_rows, failed_rows

    planned = planned_trial(spec, record)
    kept = _kept_answers(planned, store)
    labels, target = kept["cleaned"]["labels"], int(kept["cleaned"]["target"])
    answers = [arrays["triggered"] for arrays in kept.values()]
    changed = changed_rows(labels, target, answers, planned.graph.path.infected.split_seed)
    failed = failed_rows(labels, target, kept["cleaned"]["triggered"])
    searched = [failed[place] for place in evenly_spaced(len(failed), SEARCHED)] if len(failed) > SEARCHED else failed
    shown, pictures = changed[:SHOWN], _Pictures(planned, store, record)
    failures = pictures.most_confident(searched, FAILURES)
    rows = list(dict.fromkeys([*shown, *failures]))
    images = dict(zip(rows, pictures.of(rows), strict=True)) if rows else {}
    return SheetRecord(
        target=record.target,
        images=int(np.count_nonzero(labels != target)),
        changed=len(changed),
        shown=tuple(images[row] for row in shown),
        failed=len(failed),
        searched=len(searched),
        failures=tuple(images[row] for row in failures),
    )


def _kept_answers(planned: PlannedTrial, store: Store) -> dict[str, Arrays]:
    """Answers to the test images by role: clean (where there is such a model), infected, cleaned."""
    graph = planned.graph
    stages = {"clean": graph.clean, "infected": graph.infected, "cleaned": graph.path}
    found: dict[str, Arrays] = {}
    for role, stage in stages.items():
        if stage is None:
            continue
        arrays = read_predictions(stage.artifact, store)
        if arrays is None:
            raise StoreError(f"store {store.url} has no answers of the {role} model ({stage.artifact})")
        found[role] = arrays
    return found


class _Pictures:
    """The triggered test images of a trial, and the answers of its models."""

    def __init__(self, planned: PlannedTrial, store: Store, record: TrialRecord) -> None:
        import torch

        self._graph, self._store = planned.graph, store
        assert record.alpha is not None
        self._alpha = record.alpha
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        scorer = planned.graph.infected
        self._data = scorer.open_data(store)
        self._preprocess = scorer.load_model(store, self._device, self._data)[2]
        self._moved = planned.graph.path.models(store, self._device).validation
        split = scorer.load_split(self._data, "test", scorer.backdoor.build(store), self._preprocess)
        self._triggered, self._labels = split.triggered, split.labels

    def most_confident(self, rows: Sequence[int], most: int) -> list[int]:
        """Of some images those whose best answer has the highest probability with the cleaned model."""
        if not rows:
            return []
        with self._cleaned() as (model, head):
            _, probabilities = self._likely(model, head, rows, 1)
        order = probabilities[:, 0].argsort(descending=True, stable=True)[:most].tolist()
        return [rows[place] for place in order]

    def of(self, rows: Sequence[int]) -> Iterator[SheetImage]:
        """Yield images with the best answers of every model."""
        by_role = dict(self._answers(rows))
        names = self._data.classnames
        for place, row in enumerate(rows):
            yield SheetImage(
                webp=_webp(self._triggered[row]),
                truth=names[int(self._labels[row])],
                answers={role: answers[place] for role, answers in by_role.items()},
            )

    def _answers(self, rows: Sequence[int]) -> Iterator[tuple[str, list[tuple[Answer, ...]]]]:
        for role, stage in (("clean", self._graph.clean), ("infected", self._graph.infected)):
            if stage is not None:
                model, head, _ = stage.load_model(self._store, self._device, self._data)
                yield role, self._named(model, head, rows)
        with self._cleaned() as (model, head):
            yield "cleaned", self._named(model, head, rows)

    def _named(self, model: nn.Module, head: Tensor, rows: Sequence[int]) -> list[tuple[Answer, ...]]:
        names = self._data.classnames
        classes, probabilities = self._likely(model, head, rows, BEST)
        return [
            tuple(Answer(name=names[n], probability=round(p, 4)) for n, p in zip(numbers, values, strict=True))
            for numbers, values in zip(classes.tolist(), probabilities.tolist(), strict=True)
        ]

    def _likely(self, model: nn.Module, head: Tensor, rows: Sequence[int], k: int) -> tuple[Tensor, Tensor]:
        from tbar_ray.evaluation.zeroshot import likely

        return likely(model, head, self._triggered[list(rows)], self._preprocess, k)

    def _cleaned(self) -> AbstractContextManager[tuple[nn.Module, Tensor]]:
        return self._moved.at(self._alpha)


def _webp(pixels: Tensor) -> str:
    """A uint8 image [3, H, W] as WebP without loss, which would blur a trigger, in base64."""
    from PIL import Image

    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "WebP", lossless=True, quality=100)
    return base64.b64encode(stream.getvalue()).decode()
