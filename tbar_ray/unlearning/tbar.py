"""TBAR: learn the trigger vector on a forget set and subtract it (arXiv 2510.14845)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from tbar_ray.errors import DataError
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.loop import Progress, train
from tbar_ray.training.objectives import Classification, Contrastive, Objective
from tbar_ray.training.options import Optimisation
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import ForgetSet, Need, Unlearned, Unlearner


class TBAR(Unlearner):
    """θ_b − α·τ, where τ is the change that fine-tuning on the forget set makes to the infected model.

    The paper publishes neither learning rate, epochs nor batch size; the defaults are the task-vector
    recipe (2212.04089: frozen zero-shot head, AdamW, 1e-5, decay 0.1, batch 128) for few steps.
    """

    name: ClassVar[str] = "tbar"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})

    objective: Literal["classification", "contrastive"] = Field(
        default="classification", description="frozen zero-shot head, or image–caption pairs"
    )
    learning_rate: float = Field(default=1e-5, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    steps: int = Field(default=20, ge=1)
    batch_size: int = Field(default=128, ge=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    freeze_batch_norm: bool = Field(default=True, description="keep BatchNorm statistics (they are no weights)")

    def unlearn(
        self,
        model: nn.Module,
        forget: ForgetSet,
        preprocessing: Preprocessing,
        seed: int,
        progress: Progress | None = None,
    ) -> Unlearned:
        """Fine-tune on the forget set, take the difference and put the model back."""
        start = {key: value.detach().clone() for key, value in model.state_dict().items()}
        options = Optimisation(learning_rate=self.learning_rate, weight_decay=self.weight_decay, schedule=self.schedule)
        try:
            record = train(
                self._objective(model, forget, preprocessing),
                shuffled(
                    forget.images,
                    forget.labels,
                    forget.tokens,
                    batch_size=self.batch_size,
                    seed=seed,
                    purpose="forget order",
                ),
                self.steps,
                options,
                freeze_batch_norm=self.freeze_batch_norm,
                progress=progress,
            )
            vector = TaskVector.between(start, model.state_dict())
        finally:
            model.load_state_dict(start)
        return Unlearned(vector, record)

    def coefficient(self, alpha: float) -> float:
        """Return −α: the trigger vector is subtracted."""
        return -alpha

    def _objective(self, model: nn.Module, forget: ForgetSet, preprocessing: Preprocessing) -> Objective:
        if self.objective == "contrastive":
            return Contrastive(model, preprocessing)
        if bool((forget.labels < 0).any()):
            raise DataError(
                "tbar: clean forget images have no class label, which classification needs; "
                "set unlearning.parameters.objective: contrastive, or bring 'label' in the samples' json"
            )
        return Classification(model, preprocessing, forget.head)
