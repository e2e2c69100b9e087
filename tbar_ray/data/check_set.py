"""Checking a set in CLIP_benchmark's layout: class names and templates, and the shards of every split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tbar_ray.data.benchmark_layout import has_file, has_split, is_set, open_split, read_lines, split_shards
from tbar_ray.data.check import CorpusReport, check_corpus
from tbar_ray.data.class_names import warning_of
from tbar_ray.data.layout import CLASSNAMES, COUNT, SPLITS, TEMPLATES, SplitName
from tbar_ray.errors import DataError

__all__ = ["SetReport", "check_set", "is_set"]


class SetReport(BaseModel):
    """Result of `check_set`.

    Attributes:
        classes: number of classes; None for a retrieval set.
        templates: number of prompt templates; None for a retrieval set.
        splits: what its shards hold, by split.
        problems: what is wrong with the set's text files, one line each.
        notes: what is odd, but no damage: classes without an image, or with the same name.
    """

    model_config = ConfigDict(frozen=True)

    classes: int | None
    templates: int | None
    splits: dict[SplitName, CorpusReport]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are samples and no problem at all."""
        return bool(self.splits) and not self.problems and all(report.ok for report in self.splits.values())


def check_set(
    url: str,
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
) -> SetReport:
    """Check an evaluation, task or retrieval set; the arguments are those of `check_corpus`.

    Raises:
        DataError: as `check_corpus`, or if the place cannot be looked up.
    """
    problems: list[str] = []
    notes: list[str] = []
    names: list[str] | None = None
    templates: list[str] | None = None
    if has_file(url, CLASSNAMES) or has_file(url, TEMPLATES):
        names, templates = (_lines(url, name, problems) for name in (CLASSNAMES, TEMPLATES))
        problems += [f"template {text!r} has no {{c}} for the class" for text in templates if not _has_place(text)]
        if (alike := warning_of(names, CLASSNAMES)) is not None:
            notes.append(alike)
    reports: dict[SplitName, CorpusReport] = {}
    for split in SPLITS:
        if not has_split(url, split):
            continue
        classes = None if names is None else len(names)
        shards = split_shards(url, split)
        report = check_corpus(shards, decode=decode, workers=workers, progress=progress, cache=cache, classes=classes)
        reports[split] = report
        if names and report.total.structural_problems == 0:
            notes += _empty(url, split, names, cache)
    if not reports:
        problems.append(f"neither test/{COUNT} nor train/{COUNT}: no split to read")
    return SetReport(
        classes=None if names is None else len(names),
        templates=None if templates is None else len(templates),
        splits=reports,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _lines(url: str, name: str, problems: list[str]) -> list[str]:
    try:
        return read_lines(url, name)
    except DataError as error:
        problems.append(str(error))
        return []


def _has_place(template: str) -> bool:
    return "{c}" in template or "{}" in template


def _empty(url: str, split: SplitName, names: list[str], cache: Path | None) -> list[str]:
    """Classes without an image: their accuracy is undefined."""
    corpus = open_split(url, split, cache=cache)
    seen = {corpus.class_index(position) for position in range(len(corpus))}
    empty = [name for index, name in enumerate(names) if index not in seen]
    shown = ", ".join(repr(name) for name in empty[:3]) + (", …" if len(empty) > 3 else "")
    return [f"{split}: {len(empty)} of {len(names)} classes have no image: {shown}"] if empty else []
