"""Data nodes: given shards and evaluation sets, and the synthetic ones."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from tbar_ray.data.synthetic import Scenes
from tbar_ray.later import LATER
from tbar_ray.processors import processors
from tbar_ray.spec.data import OnError
from tbar_ray.stages.node import INSIGNIFICANT, Given, Node, Report, Stage, StageContext
from tbar_ray.store.store import Store


class Located(Node):
    """Data that has a URL."""

    @property
    def policy(self) -> OnError:
        """What an unreadable sample of an evaluation set does; what was made here has none."""
        return "error"

    def url(self, store: Store) -> str:  # noqa: ARG002 - for subclasses
        """URL of the data, for any fsspec reader."""
        raise TypeError(f"{type(self).__name__} has no URL")


class GivenData(Given, Located):
    """Data that the user provides, identified by the names and sizes of the shards, wherever they are stored."""

    kind: ClassVar[str] = "given"

    place: Annotated[str, INSIGNIFICANT]
    content: str = Field(description="digest of shard names and sizes (and of class names and templates)")
    samples: Annotated[int | None, INSIGNIFICANT] = Field(
        default=None, description="number of samples, where known without reading"
    )
    size: Annotated[int, INSIGNIFICANT] = Field(default=0, description="bytes of the shards; 0 if unknown")
    on_error: OnError = Field(default="warn", description="what an unreadable sample of an evaluation set does")
    subset: Annotated[str | None, LATER] = Field(
        default=None, description="SHA-256 of the keys that are used; None: all samples are"
    )
    manifest: Annotated[str | None, INSIGNIFICANT] = Field(default=None, description="the file that names these keys")

    def identity(self) -> dict[str, Any]:
        """Leave out the usual policy; another one makes another result of data with a loss."""
        identity = super().identity()
        return identity if self.on_error == "error" else {k: v for k, v in identity.items() if k != "on_error"}

    @property
    def policy(self) -> OnError:
        """The spec's choice, `data.on_error`."""
        return self.on_error

    def url(self, store: Store) -> str:  # noqa: ARG002 - it lies elsewhere
        """Where the data are, as the spec says it, in full."""
        return self.place


class Mixture(Given, Located):
    """Several corpora that are trained on together; a sample of weight w occurs w times in an epoch."""

    kind: ClassVar[str] = "mixture"

    parts: tuple[GivenData, ...]
    weights: tuple[float, ...]


class SyntheticCorpus(Stage, Located):
    """Procedural captioned scenes as WebDataset shards."""

    kind: ClassVar[str] = "corpus"
    shared: ClassVar[bool] = True

    samples: int
    size: int
    samples_per_shard: int
    seed: int
    scenes: Annotated[Scenes, LATER] = "plain"
    wrong_captions: Annotated[float, LATER] = 0.0

    @property
    def title(self) -> str:
        """Number of scenes."""
        return f"corpus of {self.samples:,} scenes"

    @property
    def work(self) -> int:
        """Scenes to draw, one image each."""
        return self.samples

    @property
    def disk(self) -> int:
        """Of three members of a tar a scene: 5 KB, and a fifth of a byte for each pixel."""
        return self.samples * (5120 + self.size**2 // 5)

    def url(self, store: Store) -> str:
        """URL of the artifact's folder."""
        return store.artifact_url(self.artifact)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write the shards."""
        from tbar_ray.data.synthetic.options import WritingOptions
        from tbar_ray.data.synthetic.synth import write_corpus

        summary = write_corpus(
            context.out,
            WritingOptions(
                size=self.size, samples_per_shard=self.samples_per_shard, seed=self.seed, workers=processors()
            ),
            samples=self.samples,
            scenes=self.scenes,
            wrong_captions=self.wrong_captions,
            progress=_Counter(context.report, self.samples),
        )
        return {"samples": summary.samples}


class SyntheticEvaluation(Stage, Located):
    """Procedural labelled scenes in CLIP_benchmark's layout."""

    kind: ClassVar[str] = "evaluation-set"
    shared: ClassVar[bool] = True

    per_class: int
    size: int
    seed: int
    scenes: Annotated[Scenes, LATER] = "plain"

    @property
    def title(self) -> str:
        """Number of images a class."""
        return f"evaluation set, {self.per_class} a class"

    def url(self, store: Store) -> str:
        """URL of the artifact's folder."""
        return store.artifact_url(self.artifact)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write the set."""
        from tbar_ray.data.synthetic.families import FAMILIES
        from tbar_ray.data.synthetic.options import WritingOptions
        from tbar_ray.data.synthetic.synth import write_evaluation_set

        total = self.per_class * len(FAMILIES[self.scenes].classnames)
        summary = write_evaluation_set(
            context.out,
            WritingOptions(size=self.size, seed=self.seed, workers=processors()),
            per_class=self.per_class,
            scenes=self.scenes,
            progress=_Counter(context.report, total),
        )
        return {"samples": summary.samples}


class SyntheticTask(Stage, Located):
    """A procedural labelled task with a train and a test split, in CLIP_benchmark's layout."""

    kind: ClassVar[str] = "task"
    shared: ClassVar[bool] = True

    task: str
    per_class: int
    per_class_test: int
    size: int
    seed: int

    @property
    def title(self) -> str:
        """The task, with the images a class to train on and to test on."""
        return f"task {self.task}, {self.per_class} + {self.per_class_test} a class"

    def url(self, store: Store) -> str:
        """URL of the artifact's folder."""
        return store.artifact_url(self.artifact)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write both splits."""
        from tbar_ray.data.synthetic.options import WritingOptions
        from tbar_ray.data.synthetic.tasks import TASKS, write_task

        images = (self.per_class + self.per_class_test) * len(TASKS[self.task].classnames)
        summary = write_task(
            context.out,
            WritingOptions(size=self.size, seed=self.seed, workers=processors()),
            task=self.task,
            per_class_train=self.per_class,
            per_class_test=self.per_class_test,
            progress=_Counter(context.report, images),
        )
        return {"samples": summary.samples}


class SyntheticRetrieval(Stage, Located):
    """Procedural image-caption pairs to retrieve among."""

    kind: ClassVar[str] = "retrieval-set"
    shared: ClassVar[bool] = True

    pairs: int
    size: int
    seed: int
    scenes: Annotated[Scenes, LATER] = "plain"

    @property
    def title(self) -> str:
        """Number of pairs."""
        return f"retrieval set of {self.pairs:,} pairs"

    def url(self, store: Store) -> str:
        """URL of the artifact's folder."""
        return store.artifact_url(self.artifact)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Write the set."""
        from tbar_ray.data.synthetic.options import WritingOptions
        from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set

        summary = write_retrieval_set(
            context.out,
            WritingOptions(size=self.size, seed=self.seed, workers=processors()),
            pairs=self.pairs,
            scenes=self.scenes,
        )
        return {"samples": summary.samples}


class _Counter:
    """Turns increments into totals: how many are done, of how many."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._report({"done": self._done, "total": self._total})
