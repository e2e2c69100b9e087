"""Ray's provider of fake nodes, which cannot start nodes of a kind whose memory is told."""

from __future__ import annotations

from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class FakeNodes(FakeMultiNodeProvider):  # type: ignore[misc]
    """Nodes on this machine, which find out their memory by themselves."""

    def create_node_with_resources_and_labels(
        self, node_config: Any, tags: Any, count: int, resources: dict[str, float], labels: Any
    ) -> Any:
        known = {name: amount for name, amount in resources.items() if name != "memory"}
        return super().create_node_with_resources_and_labels(node_config, tags, count, known, labels)
