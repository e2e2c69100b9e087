"""CA, ASR and PA of a model."""

from __future__ import annotations

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.images import Images
from tbar_ray.api.model import Model
from tbar_ray.evaluation.scores import Scores, score


def evaluate(model: Model, images: Images, backdoor: Backdoor) -> Scores:
    """Score a model on clean images and on the same images with the trigger.

    Returns:
        Rates in [0, 1] with their number of images and 95 % Wilson intervals; `print` shows CA (clean accuracy), ASR
        (attack success rate) and PA (accuracy on triggered images, which BackdoorBench calls RA), `to_dict` gives all.

    Raises:
        DataError: if the target is no class, every image is of the target class, or an image cannot be decoded.
    """
    target = images.classes.index(backdoor.target)
    split = images.load(backdoor.trigger, model.preprocessing)
    with model.answering(images.classes) as (module, head):
        return score(module, head, split, target, model.preprocessing)
