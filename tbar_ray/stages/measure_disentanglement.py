"""The map of the weight disentanglement error ξ: two task vectors, references, rows of cells, the whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.stages.component import VECTOR, ComponentVector
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.node import Policy, Stage, StageContext
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from tbar_ray.evaluation.normalised_images import NormalisedImages
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.models.in_place import InPlacePair

REFERENCES = "references.npz"
ROW = "row.json"
MAP = "map.json"


class InPlaceMap(NamedTuple):
    """θ_pre that can be moved along both vectors, and what its answers are asked for.

    Attributes:
        pair: the model with both vectors.
        head: its classifier.
        clean: clean images.
        triggered: triggered images of the other classes.
        statistics: clean images on which running statistics are re-estimated; None: the vectors' own stay.
    """

    pair: InPlacePair
    head: Tensor
    clean: NormalisedImages
    triggered: NormalisedImages
    statistics: NormalisedImages | None


class _Grid(Stage):
    """What all stages of a map share: the clean model θ_pre, its two vectors, and the images."""

    scorer: Evaluate
    """Says model, evaluation set, split and trigger; its test split gives the images."""
    clean_vector: ComponentVector
    trigger_vector: ComponentVector
    alphas: tuple[float, ...]
    images: int
    statistics: StatisticsChoice
    statistics_images: int
    on_model: ClassVar[bool] = True
    version: ClassVar[int] = 2

    def in_place(self, store: Store, policy: Policy) -> InPlaceMap:
        """θ_pre with both vectors, and the images: clean ones, and triggered ones of other classes than the target."""
        from tbar_ray.data.selection import evenly_spaced
        from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
        from tbar_ray.models.in_place import InPlacePair
        from tbar_ray.models.statistics import has_statistics
        from tbar_ray.models.task_vector import TaskVector
        from tbar_ray.stages.runtime import device_for

        data = self.scorer.open_data(store)
        device = device_for(policy)
        model, head, preprocess = self.scorer.load_model(store, device, data)
        split = self.scorer.load_split(data, "test", self.scorer.backdoor.build(store), preprocess)
        triggered = split.triggered[split.labels != data.class_index(self.scorer.backdoor.target)]
        vectors = [
            TaskVector.load(store.fetch(stage.artifact) / VECTOR) for stage in (self.clean_vector, self.trigger_vector)
        ]
        statistics = None
        if self.statistics == "reestimated" and has_statistics(model):
            statistics = statistics_batches(self._statistics_images(store, preprocess), preprocess, device)
        return InPlaceMap(
            InPlacePair(model, vectors[0], vectors[1]),
            head,
            NormalisedImages(split.clean[evenly_spaced(len(split.clean), self.images)], preprocess, device),
            NormalisedImages(triggered[evenly_spaced(len(triggered), self.images)], preprocess, device),
            statistics,
        )

    def _statistics_images(self, store: Store, preprocess: Preprocessing) -> Tensor:
        """Clean images of the data that the clean vector is of."""
        from tbar_ray.stages.kept import kept
        from tbar_ray.stages.samples import open_samples
        from tbar_ray.stages.statistics_images import draw, images_of

        vector = self.clean_vector

        def read() -> Tensor:
            corpus, _, _ = open_samples(
                vector.corpus, store, classify=vector.classify, pairs=None, seed=vector.seed, policy=vector.on_error
            )
            keys = draw(corpus, corpus.keys, self.statistics_images, vector.seed, "disentanglement statistics")
            return images_of(corpus, keys, preprocess)

        key = ("disentanglement statistics", vector.corpus.fingerprint, vector.seed, self.statistics_images, preprocess)
        return kept().get(key, read)


class DisentanglementReferences(_Grid):
    """f(x; θ0 + α_i τ_i) for both vectors and every α: evaluated once, used along rows and columns."""

    kind: ClassVar[str] = "references"

    @property
    def title(self) -> str:
        """Number of models that are evaluated, two for each α, and the trigger."""
        return f"{2 * len(self.alphas)} reference models of ξ ({self.scorer.backdoor.trigger})"

    @property
    def work(self) -> int:
        """Images that go through a model: two models for each α."""
        return 2 * len(self.alphas) * self.images

    def run(self, context: StageContext) -> dict[str, Any]:
        """Evaluate each vector alone along its axis."""
        import numpy as np

        from tbar_ray.evaluation.disentanglement_error import reference_predictions
        from tbar_ray.models.statistics import has_statistics

        pair, head, clean, triggered, statistics = self.in_place(context.store, context.policy)
        answers: dict[str, Any] = {}
        parts: tuple[tuple[Literal["clean", "triggered"], NormalisedImages], ...]
        parts = (("clean", clean), ("triggered", triggered))
        for which, images in parts:
            answers[which] = reference_predictions(pair, which, self.alphas, images, head, statistics)
            context.report({"done": len(answers) * len(self.alphas), "total": 2 * len(self.alphas)})
        np.savez_compressed(context.out / REFERENCES, **answers)
        return {"statistics": self.statistics if has_statistics(pair.model) else None}


class DisentanglementRow(_Grid):
    """The cells of one α_c; every finished cell is kept, so that a killed row continues from there."""

    kind: ClassVar[str] = "disentanglement-row"

    references: DisentanglementReferences
    row: int

    @property
    def title(self) -> str:
        """The row's α_c, the number of its α_t, and the trigger."""
        return f"ξ at α_c {self.alphas[self.row]:g}, {len(self.alphas)} α_t ({self.scorer.backdoor.trigger})"

    @property
    def work(self) -> int:
        """Images that go through a model: clean and triggered ones for each α_t."""
        return 2 * len(self.alphas) * self.images

    def run(self, context: StageContext) -> dict[str, Any]:
        """Evaluate the joint models of the row, cell by cell."""
        import numpy as np

        from tbar_ray.evaluation.disentanglement_error import joint_errors

        store, progress = context.store, f"progress/{self.artifact}.json"
        cells: list[dict[str, float]] = store.read_json(progress) if store.exists(progress) else []
        resumed = len(cells)
        with np.load(store.fetch(self.references.artifact) / REFERENCES, allow_pickle=False) as arrays:
            reference_c, reference_t = arrays["clean"], arrays["triggered"]
        pair, head, clean, triggered, statistics = self.in_place(store, context.policy)
        for column in range(resumed, len(self.alphas)):
            terms = joint_errors(
                pair,
                self.alphas[self.row],
                self.alphas[column],
                reference_c[self.row],
                reference_t[column],
                clean,
                triggered,
                head,
                statistics,
            )
            cells.append(vars(terms))
            store.write_json(progress, cells)
            context.report({"done": column + 1, "total": len(self.alphas)})
        (context.out / ROW).write_text(json.dumps(cells))
        store.remove(progress)
        return {"resumed_cells": resumed}


class MeasureDisentanglement(Stage):
    """The whole map: both terms on the grid."""

    kind: ClassVar[str] = "disentanglement"

    rows: tuple[DisentanglementRow, ...]

    @property
    def title(self) -> str:
        """Size of the map in cells, and the trigger."""
        return f"ξ map {len(self.rows)} × {len(self.rows)} ({self.rows[0].scorer.backdoor.trigger})"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Combine the rows."""
        from tbar_ray.evaluation import disentanglement_map as maps

        alphas = self.rows[0].alphas
        cells = [
            [maps.Terms(**cell) for cell in json.loads((context.store.fetch(row.artifact) / ROW).read_text())]
            for row in self.rows
        ]
        whole = maps.DisentanglementMap.of_cells(alphas, alphas, cells)
        vectors = {
            name: context.store.facts(stage.artifact)["facts"]
            for name, stage in (("clean", self.rows[0].clean_vector), ("trigger", self.rows[0].trigger_vector))
        }
        counts: dict[str, Any] = {"n_c": cells[0][0].n_c, "n_t": cells[0][0].n_t}
        counts["statistics"] = context.store.facts(self.rows[0].references.artifact)["facts"]["statistics"]
        (context.out / MAP).write_text(json.dumps({**whole.to_dict(), **counts, "vectors": vectors}, indent=1))
        return counts
