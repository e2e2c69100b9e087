"""Stages that take no time: they write a line, and note that they ran."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import ray

from tbar_ray.errors import ScientificError
from tbar_ray.stages.lost import StageLostError
from tbar_ray.stages.node import Policy, Stage, StageContext

DONE = 7
"""Progress that every noted stage reports."""


class Noted(Stage):
    """Leaves a file in `notes` every time that it runs; then fails, if it is to."""

    kind: ClassVar[str] = "noted"

    notes: str
    name: str
    needs: tuple[Stage, ...] = ()
    seconds: float = 0
    fails: bool = False

    @property
    def title(self) -> str:
        return f"noted {self.name}"

    def run(self, context: StageContext) -> dict[str, Any]:
        (Path(self.notes) / f"{self.name}-{time.monotonic_ns()}").touch()
        context.report({"done": DONE, "total": DONE})
        time.sleep(self.seconds)
        for needed in self.needs:
            context.store.fetch(needed.artifact)
        if self.fails:
            raise ScientificError(f"{self.name} did not work")
        (context.out / "line").write_text(self.name)
        return {}


class Held(Noted):
    """Ends once there is a file `go`."""

    kind: ClassVar[str] = "held"

    def run(self, context: StageContext) -> dict[str, Any]:
        facts = super().run(context)
        while not (Path(self.notes).parent / "go").exists():
            time.sleep(0.05)
        return facts


class Common(Held):
    """Is shared by campaigns."""

    kind: ClassVar[str] = "common"
    shared: ClassVar[bool] = True


class Failing(Common):
    """Fails then."""

    def run(self, context: StageContext) -> dict[str, Any]:
        super().run(context)
        raise ScientificError(f"{self.name} did not work")


class Working(Stage):
    """Tells after each pause that one more part is done."""

    kind: ClassVar[str] = "working"

    pauses: tuple[float, ...]

    def run(self, context: StageContext) -> dict[str, Any]:
        for done, pause in enumerate(self.pauses, start=1):
            time.sleep(pause)
            context.report({"done": done, "total": len(self.pauses)})
        return {}


class Knowing(Stage):
    """Tells how many functions Ray has brought to its process."""

    kind: ClassVar[str] = "knowing"

    number: int
    needs: tuple[Stage, ...] = ()

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - as every stage
        manager = ray._private.worker.global_worker.function_actor_manager
        return {"functions": sum(map(len, manager._function_execution_info.values())), "process": os.getpid()}


class Waiting(Stage):
    """Waits for an actor, as a training does for its readers, and meanwhile looks at the cluster's free CPUs."""

    kind: ClassVar[str] = "waiting"

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - as every stage
        reader = ray.remote(_Looking).options(num_cpus=0).remote()
        free = ray.get(reader.free.remote())
        return {"free": free.get("CPU", 0), "free_gpus": free.get("GPU", 0), "all": ray.cluster_resources()["CPU"]}


class WaitingOnModel(Waiting):
    """Does so with a part of a GPU, where the policy gives it one."""

    kind: ClassVar[str] = "waiting-on-model"
    on_model: ClassVar[bool] = True


class _Looking:
    def free(self) -> dict[str, float]:
        time.sleep(1)  # Ray tells its resources anew ten times a second
        found: dict[str, float] = ray.available_resources()
        return found


class OnGpu(Stage):
    """Tells its process and the GPUs that Ray gave it, after a pause."""

    kind: ClassVar[str] = "on-gpu"
    on_model: ClassVar[bool] = True

    number: int
    pause: float = 0
    needs: tuple[Stage, ...] = ()

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - as every stage
        time.sleep(self.pause)
        return {"process": os.getpid(), "gpus": ray.get_gpu_ids()}


class Crashing(Stage):
    """Fails as our own mistakes do."""

    kind: ClassVar[str] = "crashing"

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - as every stage
        raise AttributeError("no such thing")


class Losing(Stage):
    """Loses a worker, or a reader, when it runs for the first time."""

    kind: ClassVar[str] = "losing"

    notes: str
    reader: bool = False

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - as every stage
        note = Path(self.notes) / "losing"
        if not note.exists():
            note.touch()
            if self.reader:
                reader = ray.remote(_Looking).options(num_cpus=0).remote()
                ray.kill(reader)
                ray.get(reader.free.remote())
            raise StageLostError("process", "a worker of the training was lost")
        return {}


class Divided(Stage):
    """Tells of the room that its workers have, and of what is left beside them."""

    kind: ClassVar[str] = "divided"
    divisible: ClassVar[bool] = True

    number: int = 0

    def memory(self, policy: Policy) -> int:  # noqa: ARG002 - as every stage
        return 1 << 60

    def run(self, context: StageContext) -> dict[str, Any]:
        bundles = context.group.bundle_specs if context.group is not None else []
        time.sleep(1)  # Ray tells its resources anew ten times a second
        free, every = (resources().get("CPU", 0) for resources in (ray.available_resources, ray.cluster_resources))
        return {"bundles": bundles, "free": free, "all": every}
