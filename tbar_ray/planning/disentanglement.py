"""The stages of a disentanglement map, from what a spec says of it."""

from __future__ import annotations

from typing import Any

from tbar_ray.planning.planted import PlantedAttack
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.component import ComponentVector, Part
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.geometry import MeasureGeometry
from tbar_ray.stages.measure_disentanglement import (
    DisentanglementReferences,
    DisentanglementRow,
    MeasureDisentanglement,
)
from tbar_ray.stages.poison import InfectedModel


def map_stages(spec: CampaignSpec, planted: PlantedAttack, infected: Evaluate) -> MeasureDisentanglement:
    """The map of an attack: θ_pre with the vector of a clean and of a triggered fine-tuning."""
    wanted = spec.disentanglement
    assert wanted is not None
    trained = planted.infected
    clean = trained.clean if isinstance(trained, InfectedModel) else planted.clean  # θ_pre
    assert clean is not None
    step = (wanted.high - wanted.low) / (wanted.points - 1)
    alphas = tuple(round(wanted.low + step * i, 6) for i in range(wanted.points))

    def vector(part: Part) -> ComponentVector:
        return ComponentVector(
            part=part,
            clean=clean,
            corpus=trained.corpus,
            evaluation=planted.evaluation,
            backdoor=planted.backdoor,
            classify=trained.classify,
            samples=wanted.samples,
            clean_fraction=wanted.clean_fraction if part == "trigger" else 1.0,
            training=wanted.training,
            templates=spec.evaluation.templates,
            seed=spec.seed,
            on_error=spec.data.on_error,
            threads=spec.resources.trial_cpus,
        )

    shared: dict[str, Any] = {
        "scorer": infected.model_copy(update={"model": clean, "role": "clean", "retrieval": None}),
        "clean_vector": vector("clean"),
        "trigger_vector": vector("trigger"),
        "alphas": alphas,
        "images": wanted.images,
        "statistics": spec.evaluation.statistics,
        "statistics_images": spec.evaluation.statistics_images,
        "threads": spec.resources.trial_cpus,
    }
    references = DisentanglementReferences(**shared)
    return MeasureDisentanglement(
        rows=tuple(DisentanglementRow(references=references, row=row, **shared) for row in range(len(alphas)))
    )


def geometry_stage(wanted: MeasureDisentanglement) -> MeasureGeometry:
    """The geometry of a map's trigger: the same model, images and trigger vector, and the vector towards its target."""
    row = wanted.rows[0]
    return MeasureGeometry(
        scorer=row.scorer,
        trigger_vector=row.trigger_vector,
        towards_vector=row.trigger_vector.model_copy(update={"part": "towards-target"}),
        images=row.images,
        threads=row.threads,
    )
