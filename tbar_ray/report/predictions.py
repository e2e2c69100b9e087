"""The answers of models to every test image, as the store keeps them, and paired tests of two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tbar_ray.evaluation.paired import PairedComparison

    Arrays = dict[str, NDArray[Any]]
    """By the names of `save_predictions`."""

ANSWERS = frozenset({"labels", "clean", "triggered", "target"})
LIKELY = frozenset({"likely", "probabilities"})
"""Arrays of every artifact with predictions, and those that earlier versions did not keep."""


def read_predictions(artifact: str, store: Store, *, likely: bool = False) -> Arrays | None:
    """A model's predictions on the test split; None if the store has none, or not with the target.

    Args:
        artifact: of its scores, or of a trial's path for the cleaned model.
        store: that has it.
        likely: whether to read the most probable classes and their probabilities as well, where they were kept.

    Raises:
        StoreError: if predictions that are in the store cannot be read.
    """
    import numpy as np

    from tbar_ray.stages.evaluate import PREDICTIONS

    try:
        file = store.fetch(artifact, PREDICTIONS) / PREDICTIONS
    except BrokenArtifactError:  # it counts as absent
        return None
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as content:
            wanted = ANSWERS | LIKELY if likely else ANSWERS
            arrays = {name: content[name] for name in content.files if name in wanted}
    except (OSError, ValueError) as error:
        raise StoreError(f"store {store.url}: {artifact}/{PREDICTIONS} cannot be read: {error}") from None
    return arrays if set(arrays) >= ANSWERS else None


def compared(one: Arrays | None, two: Arrays | None) -> dict[str, PairedComparison]:
    """Paired tests of CA and ASR; none where predictions are missing or of other images."""
    import numpy as np

    from tbar_ray.evaluation.paired import compare

    if one is None or two is None:
        return {}
    if not (np.array_equal(one["labels"], two["labels"]) and np.array_equal(one["target"], two["target"])):
        return {}
    labels, target = one["labels"], int(one["target"])
    others = labels != target
    outcomes = {
        "ca": [arrays["clean"] == labels for arrays in (one, two)],
        "asr": [arrays["triggered"][others] == target for arrays in (one, two)],
    }
    return {metric: compare(*pair) for metric, pair in outcomes.items()}
