"""The sources of data in a spec: training pairs, evaluation sets, tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from tbar_ray.data.synthetic import Scenes
from tbar_ray.spec.section import Section

if TYPE_CHECKING:
    from tbar_ray.data.raw.direct import Named

OnError = Literal["error", "warn"]


def _named(place: str) -> str:
    if not place.strip():
        raise ValueError("an empty place, which would be the working directory")
    return place


Place = Annotated[str, AfterValidator(_named)]
"""A place of data: a path, a URL, a pattern or a command."""


class SyntheticPairs(Section):
    """Training pairs of the embedded corpus of captioned scenes."""

    samples: int = Field(default=20_000, ge=1, description="training pairs")
    scenes: Scenes = Field(
        default="plain",
        description="plain: one object in 60 classes; rich: several objects, relations, counts, textures; 480 classes",
    )
    size: int = Field(default=64, ge=16, le=1024, description="image side in pixels")
    samples_per_shard: int = Field(default=1000, ge=1, le=10_000, description="training pairs in a shard")
    wrong_captions: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the training pairs whose caption tells another class: noisy labels",
    )
    seed: int = Field(default=0, ge=0, description="seed of the scenes")


class SyntheticData(SyntheticPairs):
    """The embedded corpus and its evaluation sets, made where no data are given."""

    per_class: int = Field(default=40, ge=2, description="evaluation images per class")
    retrieval: int = Field(default=0, ge=0, description="image-caption pairs of the retrieval set; 0: none")


class TableColumns(Section):
    """What the columns of CSV files hold: each a column's name, or a text with columns in braces (`'{id}.jpg'`)."""

    image: str | None = Field(default=None, description="path of the image, from the file's folder; null: `image`")
    caption: str | None = Field(
        default=None,
        description="null: `caption`; of a folder of images NAME.txt or NAME.json beside NAME.jpg, or a text with "
        "{label}, its subfolder",
    )
    label: str | None = Field(default=None, description="class; null: `label`, of pairs where there is such a column")

    def named(self) -> Named:
        """The same for readers of raw material."""
        from tbar_ray.data.raw.direct import Named

        return Named(self.image, self.caption, self.label)


class WeightedShards(Section):
    """One of several corpora that are trained on together."""

    url: Place = Field(description="shards, as for data.train")
    subset: str | None = Field(default=None, description="as data.subset, of these shards")
    weight: float = Field(default=1.0, gt=0, le=1000, description="how often each of its samples occurs in an epoch")


class Data(Section):
    """Training shards and the evaluation set: both by URL, or both synthetic."""

    synthetic: SyntheticData | None = Field(default=None, description="make the data; instead of train and evaluation")
    train: str | list[WeightedShards] | None = Field(
        default=None,
        description="shards: a folder, glob, brace pattern, fsspec URL or pipe:COMMAND; or a list of {url, weight}; or "
        "a CSV file of images and captions, or a folder of images, which is imported into the store",
    )
    columns: TableColumns | None = Field(
        default=None, description="of such CSV files and folders, where they have other names; null: the usual ones"
    )
    subset: str | None = Field(
        default=None,
        description="manifest written by `tbar data select`, a file or URL: of train, only these samples are used",
    )
    evaluation: Place | None = Field(
        default=None,
        description="CLIP_benchmark WebDataset folder or URL; or a folder with a subfolder of images for every class, "
        "or a CSV file of images and classes, which is imported into the store",
    )
    retrieval: Place | None = Field(default=None, description="CLIP_benchmark retrieval set (images and captions)")
    on_error: OnError = Field(
        default="warn",
        description="an unreadable sample of any set ends the stage, or is left out and named in the report",
    )
    shuffle_buffer: int | None = Field(
        default=None,
        ge=1,
        description="shuffle shards, and samples within a buffer of this many; null: shuffle all samples. For corpora "
        "larger than the cache of remote shards",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        named = (self.train, self.evaluation, self.retrieval) != (None, None, None)
        if self.synthetic is not None and named:
            raise ValueError("give either 'synthetic' or 'train' and 'evaluation', not both")
        if self.subset is not None and not isinstance(self.train, str):
            raise ValueError("subset: it is of train by URL; in a list of corpora, give each its own")
        if isinstance(self.train, str):
            _named(self.train)  # not by its type: an error of a union names each of its parts
        if self.train == []:
            raise ValueError("train: the list is empty")
        if self.synthetic is None and (self.train is None or self.evaluation is None):
            raise ValueError("give 'synthetic', or both 'train' and 'evaluation'")
        return self


class TaskSpec(Section):
    """A labelled data set for the single-task setting: CLIP_benchmark layout with `train` and `test`.

    Give `url`, or the name of an embedded one.
    """

    url: Place | None = Field(
        default=None,
        description="CLIP_benchmark WebDataset folder with train/ and test/; or a folder with train/ and test/ (or "
        "val/) of a subfolder of images for every class, which is imported into the store",
    )
    synthetic: str | None = Field(default=None, description="an embedded task: see `tbar data synth --help`")
    per_class: int = Field(default=200, ge=1, description="synthetic: training images per class")
    per_class_test: int = Field(default=40, ge=2, description="synthetic: test images per class")
    size: int = Field(default=64, ge=16, le=1024, description="synthetic: image side in pixels")
    seed: int = Field(default=0, ge=0, description="synthetic: seed")

    @model_validator(mode="after")
    def _one_source(self) -> TaskSpec:
        if (self.url is None) == (self.synthetic is None):
            raise ValueError("give either 'url' or 'synthetic'")
        return self
