"""Raw material of a spec as shards: a table or a folder of images is imported once, into the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tbar_ray.data.layout import SplitName
from tbar_ray.errors import DataError
from tbar_ray.processors import processors
from tbar_ray.spec.data import OnError, TableColumns
from tbar_ray.stages.data import Located
from tbar_ray.stages.node import INSIGNIFICANT, Stage, StageContext
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.data.raw.writing import ImportOptions, ImportSummary

SHOWN = 20
"""Samples left out that are named."""


class Imported(Stage, Located):
    """What both kinds of imports have."""

    shared: ClassVar[bool] = True

    columns: TableColumns
    on_error: OnError

    def url(self, store: Store) -> str:
        """URL of the artifact's folder."""
        return store.artifact_url(self.artifact)

    def options(self) -> ImportOptions:
        """How shards are written."""
        from tbar_ray.data.raw.writing import ImportOptions

        return ImportOptions(workers=processors(), policy=self.on_error)


class ImportedPairs(Imported):
    """Pairs of a table, or of a folder of images with captions, in img2dataset's layout."""

    kind: ClassVar[str] = "imported-pairs"

    place: Annotated[str, INSIGNIFICANT]
    content: str
    """Digest of the rows and the sizes of their files."""
    rows: Annotated[int, INSIGNIFICANT]

    @property
    def title(self) -> str:
        """Number of rows."""
        return f"import {self.rows:,} pairs"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write the shards."""
        from tbar_ray.data.raw.direct import content_of, open_pairs
        from tbar_ray.data.raw.pairs import import_pairs

        table, columns = open_pairs(self.place, self.columns.named())
        _check_unchanged(self.place, self.content, content_of(table, columns, self.place))
        summary = import_pairs(table, columns, context.out, self.options())
        return _facts([summary], context.out)


class ImportedSet(Imported):
    """Labelled images, in CLIP_benchmark's layout: an evaluation set, or a task with both splits."""

    kind: ClassVar[str] = "imported-set"

    splits: tuple[SplitName, ...]
    places: Annotated[tuple[str, ...], INSIGNIFICANT]
    """One a split."""
    contents: tuple[str, ...]
    classnames: tuple[str, ...]
    rows: Annotated[int, INSIGNIFICANT]

    @property
    def title(self) -> str:
        """Number of images and classes."""
        return f"import {self.rows:,} images in {len(self.classnames):,} classes"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write every split."""
        from tbar_ray.data.raw.direct import class_options, content_of, open_labelled
        from tbar_ray.data.raw.labelled import import_labelled
        from tbar_ray.evaluation.class_prompts import openai_templates

        summaries = []
        for split, place, content in zip(self.splits, self.places, self.contents, strict=True):
            table, columns = open_labelled(place, self.columns.named())
            _check_unchanged(place, content, content_of(table, columns, place))
            classes = class_options(place, split, openai_templates())
            summaries.append(import_labelled(table, columns, context.out, classes, self.options())[0])
        return _facts(summaries, context.out)


def _check_unchanged(place: str, planned: str, found: str) -> None:
    if planned != found:
        raise DataError(f"{place} changed since the campaign was planned: run again")


def _facts(summaries: Sequence[ImportSummary], out: Path) -> dict[str, Any]:
    for lock in out.rglob(".import.lock"):
        lock.unlink()
    lost = [str(loss) for summary in summaries for loss in summary.lost]
    return {"samples": sum(summary.samples for summary in summaries), "skipped": len(lost), "lost": lost[:SHOWN]}
