"""Checkpoints of CleanCLIP (2303.03323) and of the programs made from it: BadCLIP (2311.12075), attack-cleanclip.

Its training writes epoch, name, state_dict and optimizer; its linear probe writes finetune.pt, the fine-tuned model
under `model.` beside the classifier. Its model code is OpenAI's, which has no activation but QuickGELU. open_clip's own
training writes the same entries, with a scaler in its default precision.
"""

from __future__ import annotations

from typing import ClassVar

from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.layouts import CLASSIFIER, Layout

QUICK_GELU_ALONE = "CleanCLIP's model code has QuickGELU alone"


class CleanClip(Format):
    """`epoch_N.pt`, `epoch.pt`, `epoch.best.pt`."""

    name: ClassVar[str] = "CleanCLIP family (epoch, name, state_dict, optimizer)"

    def fits(self, found: Found) -> bool:
        """Whether it has the four entries and no scaler."""
        return found.entries == ("state_dict",) and found.beside.keys() == {"epoch", "name", "optimizer"}

    def evidence(self, found: Found) -> Evidence:  # noqa: ARG002 - the same for all
        """QuickGELU, unless open_clip trained it without a scaler."""
        return Evidence(
            quick_gelu=True,
            because=QUICK_GELU_ALONE,
            notes=("open_clip's own training writes the same entries where it trains without a scaler",),
        )


class CleanClipFinetune(Format):
    """`finetune.pt`."""

    name: ClassVar[str] = "CleanCLIP finetune.pt (linear.*, model.*)"

    def fits(self, found: Found) -> bool:
        """Whether all names begin with `linear.` or `model.`, and both kinds are there."""
        first = {name.partition(".")[0] for name in found.tensors}
        return first == {"linear", "model"}

    def layout(self, found: Found) -> Layout:  # noqa: ARG002 - the same for all
        """The model under `model.`, the classifier under `linear.`."""
        return CLASSIFIER

    def evidence(self, found: Found) -> Evidence:  # noqa: ARG002 - the same for all
        """QuickGELU."""
        return Evidence(
            quick_gelu=True,
            because=QUICK_GELU_ALONE,
            notes=("the linear classifier beside the model is kept and written back, and never used",),
        )


class OpenClipTraining(Format):
    """What open_clip's training writes, with the scaler of its default precision."""

    name: ClassVar[str] = "open_clip training (epoch, name, state_dict, optimizer, scaler)"

    def fits(self, found: Found) -> bool:
        """Whether it has the five entries."""
        return found.entries == ("state_dict",) and found.beside.keys() == {"epoch", "name", "optimizer", "scaler"}
