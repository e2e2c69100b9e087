"""Artifacts that were made with losses, and data that have been repaired since."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tbar_ray.data.locate import shard_state
from tbar_ray.data.places import is_remote
from tbar_ray.errors import StoreError
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.stages.training import LOSSES
from tbar_ray.store.store import Store


class SourceChanges:
    """Finds artifacts that lost samples of shards which are not the same any more; looks at each stage once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._outdated: dict[str, bool] = {}

    def discard_outdated(self, outputs: Sequence[Stage]) -> list[str]:
        """Remove such artifacts among some stages and all that they need, and those made of them.

        Returns:
            A line for each shard that has changed.
        """
        lines: list[str] = []
        for stage in stages_in_order(outputs):
            if stage.fingerprint in self._outdated:
                continue
            changed = self._changed_shards(stage)
            under = any(self._outdated[needed.fingerprint] for needed in stage.needed_stages())
            self._outdated[stage.fingerprint] = bool(changed) or under
            lines += [
                f"{stage.title}: lost samples of {shard}, which has changed since; computed again" for shard in changed
            ]
            if self._outdated[stage.fingerprint]:
                self._store.discard(stage.artifact)
        return lines

    def _changed_shards(self, stage: Stage) -> list[str]:
        losses: dict[str, Sequence[int] | None] = {}
        with suppress(StoreError, LookupError, TypeError):  # a broken one is found to be so elsewhere
            if self._store.has(stage.artifact):
                found = self._store.facts(stage.artifact)["facts"].get(LOSSES)
                losses = found if isinstance(found, dict) else {}  # patches of earlier versions noted a curve there
        return [
            shard
            for shard, state in losses.items()
            if state is not None and not is_remote(shard) and shard_state(shard) != tuple(state)
        ]
