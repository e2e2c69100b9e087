"""All unlearning methods by name. A new method is one file in `methods` and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.naming import build_named
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.methods.abl import ABL
from tbar_ray.unlearning.methods.atlas import ATLAS
from tbar_ray.unlearning.methods.backdoor_directions import BackdoorDirections
from tbar_ray.unlearning.methods.cbpt import CBPT
from tbar_ray.unlearning.methods.clean_finetuning import CleanFineTuning
from tbar_ray.unlearning.methods.cleanclip import CleanCLIP
from tbar_ray.unlearning.methods.conflict_merging import ConflictMerging
from tbar_ray.unlearning.methods.ft_sam import FTSAM
from tbar_ray.unlearning.methods.gradient_ascent import GradientAscent
from tbar_ray.unlearning.methods.i_bau import IBAU
from tbar_ray.unlearning.methods.negmerge import NegMerge
from tbar_ray.unlearning.methods.par import PAR
from tbar_ray.unlearning.methods.rnp import RNP
from tbar_ray.unlearning.methods.robust_gradient_ascent import RobustGradientAscent
from tbar_ray.unlearning.methods.roclip import RoCLIP
from tbar_ray.unlearning.methods.rvpt import RVPT
from tbar_ray.unlearning.methods.shapley_pruning import ShapleyPruning
from tbar_ray.unlearning.methods.shortcut_suppression import ShortcutSuppression
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_anchored import AnchoredTBAR
from tbar_ray.unlearning.methods.tbar_debiased import DebiasedTBAR
from tbar_ray.unlearning.methods.tbar_fisher import FisherTBAR
from tbar_ray.unlearning.methods.tbar_layers import LayerTBAR
from tbar_ray.unlearning.methods.tbar_low_rank import LowRankTBAR
from tbar_ray.unlearning.methods.tbar_tangent import TangentTBAR
from tbar_ray.unlearning.methods.twin_distillation import TwinDistillation
from tbar_ray.unlearning.methods.ubt import UBT
from tbar_ray.unlearning.methods.ulrl import ULRL

UNLEARNERS: Mapping[str, type[Unlearner]] = {
    method.name: method
    for method in (
        # task vectors
        TBAR,
        NegMerge,
        ATLAS,
        LayerTBAR,
        LowRankTBAR,
        TangentTBAR,
        FisherTBAR,
        DebiasedTBAR,
        AnchoredTBAR,
        TwinDistillation,
        # the trigger is known
        GradientAscent,
        RobustGradientAscent,
        ShortcutSuppression,
        ShapleyPruning,
        BackdoorDirections,
        # clean pairs alone
        CleanFineTuning,
        CleanCLIP,
        RoCLIP,
        PAR,
        ConflictMerging,
        ULRL,
        RNP,
        FTSAM,
        IBAU,
        CBPT,
        RVPT,
        # suspicious training pairs
        ABL,
        UBT,
    )
}


def build_unlearner(name: str, parameters: Mapping[str, object]) -> Unlearner:
    """Build a method from its name and hyper-parameters.

    Raises:
        SpecError: if the name or a hyper-parameter is unknown or out of range.
    """
    return build_named(UNLEARNERS, "unlearning method", name, parameters)
