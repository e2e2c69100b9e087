"""Searching a model for an unknown trigger, and the backdoor that a search takes the place of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tbar_ray.errors import ScientificError
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.evaluate import AttackGate
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.inversion.subject import Subject
    from tbar_ray.triggers.proxy import Proxy

PROXY = "proxy.json"
"""File of what a search found: the fields of its proxy trigger, the target, and the scores."""


class InvertTrigger(Stage):
    """A search run on a model and clean images of its defender, who knows nothing of the attack."""

    kind: ClassVar[str] = "proxy"
    trains: ClassVar[bool] = True
    on_model: ClassVar[bool] = True

    gate: AttackGate
    model: ModelNode
    """The model that is searched: the infected one, or what it was merged into."""
    infected: InfectedNode
    evaluation: Node
    """Gives class names and templates, never images."""
    templates: Literal["evaluation", "openai"]
    search: str
    parameters: dict[str, Any]
    images: int
    seed: int

    @property
    def title(self) -> str:
        """The search and its images."""
        return f"search for a trigger: {self.search}, {self.images} images"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Search, then infer the target of what was found where the search does not aim at one."""
        from tbar_ray.inversion.registry import build_inverter
        from tbar_ray.inversion.target import infer_target
        from tbar_ray.stages.runtime import device_for

        subject = self._subject(context.store, device_for(context.policy))

        def progress(step: int, steps: int, loss: float) -> None:
            context.report({"done": step, "total": steps, "loss": loss})

        found = build_inverter(self.search, self.parameters).invert(subject, self.seed, progress)
        target = None if found.trigger is None else infer_target(subject, found.trigger)
        number = found.target if target is None or target.target is None else target.target
        result = {
            "trigger": None if found.trigger is None else found.trigger.model_dump(exclude={"seed"}),
            "target": None if number is None else subject.names[number],
            "named": target is not None and target.target is not None,
            "shift": None if target is None else target.shift,
            "rate": None if target is None else target.rate.to_dict(),
            "score": found.score,
        }
        (context.out / PROXY).write_text(json.dumps(result, indent=1))
        return {
            **{name: value for name, value in result.items() if name != "trigger"},
            "steps": found.steps,
            "images": found.images,
            "losses": found.losses,
            "search": dict(found.facts),
        }

    def _subject(self, store: Store, device: Any) -> Subject:
        from tbar_ray.evaluation.class_prompts import ClassPrompts
        from tbar_ray.inversion.subject import Subject
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.stages.kept import kept_model
        from tbar_ray.stages.samples import open_evaluation
        from tbar_ray.stages.statistics_images import draw, images_of

        model = kept_model(self.model, store, device)
        preprocess = preprocessing(model)
        prompts = ClassPrompts.of(open_evaluation(self.evaluation, store), self.model.architecture, self.templates)
        corpus, _, _ = self.infected.training_samples(store)
        keys = draw(
            corpus, corpus.keys, self.images, self.seed, "images of a search", self.infected.poisoned_keys(store)
        )
        return Subject(model, preprocess, images_of(corpus, keys, preprocess), prompts.head(model), prompts.names)


class ProxyBackdoor(Backdoor):
    """What a search found, in the place of a backdoor that is known: its trigger and target are in the store."""

    kind: ClassVar[str] = "proxy-backdoor"

    trigger: str = "proxy"
    parameters: dict[str, Any] = Field(default_factory=dict)
    target: str = ""
    search: InvertTrigger

    def build(self, store: Store) -> Proxy:
        """The proxy trigger.

        Raises:
            ScientificError: if the search found none.
        """
        from tbar_ray.triggers.proxy import Proxy

        found = self._found(store)["trigger"]
        if found is None:
            raise ScientificError(
                f"the search {self.search.search!r} did not converge: it found no trigger, which does not make the "
                "model clean; try another search, or more images"
            )
        return Proxy(**found, seed=self.seed)

    def target_in(self, store: Store) -> str:
        """The class that the proxy leads to.

        Raises:
            ScientificError: if it leads to none.
        """
        target = self._found(store)["target"]
        if target is None:
            raise ScientificError(
                f"the trigger that {self.search.search!r} found leads to no class in particular: no target found"
            )
        return str(target)

    def _found(self, store: Store) -> dict[str, Any]:
        found: dict[str, Any] = store.read_json(f"artifacts/{self.search.artifact}/{PROXY}")
        return found
