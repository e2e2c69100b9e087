"""Where samples come from: shards, a folder, a labelled set, or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from tbar_ray.api.pixels import Array, levels
from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.benchmark_layout import is_labelled_set, split_there
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.named import NamedSamples
from tbar_ray.data.places import is_file, is_folder, resolve
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.raw.table import open_table
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError

Source = str | Path | Sequence[str] | Array | Samples
"""Shards (a folder of tars in img2dataset's layout, a pattern like `cc3m/{00000..00331}.tar`, any fsspec URL, or a
list of those), a folder of images, a CSV or TSV file with columns `image` and `caption` (and perhaps `label`), a folder
or URL in CLIP_benchmark's layout (its `train` split, or the only one), an array [N, 3, H, W], or an open `Samples`."""
TABLES = (".csv", ".tsv")
Labels = Sequence[int] | Sequence[str] | Tensor


def open_samples(source: Source, labels: Labels | None = None, captions: Sequence[str] | None = None) -> Samples:
    """Open a source.

    Args:
        source: where the samples are.
        labels: of an array: a class index or name for every image.
        captions: of an array: a text for every image.

    Raises:
        DataError: if there are no samples, or labels or captions are given for anything but an array.
    """
    if isinstance(source, np.ndarray | Tensor):
        return ArraySamples(levels(source), plain(labels), captions)
    if labels is not None or captions is not None:
        raise DataError("labels and captions are for arrays; folders and shards bring their own")
    if isinstance(source, str | Path):
        folder = Path(resolve(source))
        there = is_folder(folder)
        if is_labelled_set(str(source)):
            labelled = EvaluationSet.open(str(source), split=split_there(str(source), "train"))
            return NamedSamples(labelled.corpus, labelled.classnames)
        if there and not any(folder.glob("*.tar")):
            return FolderSamples(folder)
        if folder.suffix.lower() in TABLES and is_file(folder):
            table = open_table(folder)
            return RawSamples.of(table, Columns("image", "caption", "label" if "label" in table.columns else None))
        return Corpus.open(str(source))
    if isinstance(source, list | tuple):
        return Corpus.open([str(item) for item in source])
    if not hasattr(source, "image_bytes"):
        raise DataError(f"samples come from shards, a folder or an array [N, 3, H, W], not {type(source).__name__}")
    return source  # type: ignore[return-value]


def plain(labels: Labels | None) -> Sequence[int] | Sequence[str] | None:
    """Labels without tensors and NumPy arrays; None, lists and tuples are returned as they are."""
    if labels is None or isinstance(labels, list | tuple):
        return labels
    listed: list[int] | list[str] = np.asarray(labels).tolist()
    return listed
