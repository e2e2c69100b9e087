"""The unlearning methods by name. A new method is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.naming import build_named
from tbar_ray.unlearning.abl import ABL
from tbar_ray.unlearning.atlas import ATLAS
from tbar_ray.unlearning.backdoor_directions import BackdoorDirections
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.cbpt import CBPT
from tbar_ray.unlearning.clean_finetuning import CleanFineTuning
from tbar_ray.unlearning.cleanclip import CleanCLIP
from tbar_ray.unlearning.conflict_merging import ConflictMerging
from tbar_ray.unlearning.ft_sam import FTSAM
from tbar_ray.unlearning.gradient_ascent import GradientAscent
from tbar_ray.unlearning.i_bau import IBAU
from tbar_ray.unlearning.negmerge import NegMerge
from tbar_ray.unlearning.par import PAR
from tbar_ray.unlearning.rnp import RNP
from tbar_ray.unlearning.robust_gradient_ascent import RobustGradientAscent
from tbar_ray.unlearning.roclip import RoCLIP
from tbar_ray.unlearning.rvpt import RVPT
from tbar_ray.unlearning.shapley_pruning import ShapleyPruning
from tbar_ray.unlearning.shortcut_suppression import ShortcutSuppression
from tbar_ray.unlearning.tbar import TBAR
from tbar_ray.unlearning.tbar_anchored import AnchoredTBAR
from tbar_ray.unlearning.tbar_debiased import DebiasedTBAR
from tbar_ray.unlearning.tbar_fisher import FisherTBAR
from tbar_ray.unlearning.tbar_layers import LayerTBAR
from tbar_ray.unlearning.tbar_low_rank import LowRankTBAR
from tbar_ray.unlearning.tbar_tangent import TangentTBAR
from tbar_ray.unlearning.twin_distillation import TwinDistillation
from tbar_ray.unlearning.ubt import UBT
from tbar_ray.unlearning.ulrl import ULRL

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
