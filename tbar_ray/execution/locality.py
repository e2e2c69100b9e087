"""Which node of a cluster holds which artifacts and given data, so that a stage runs where its inputs are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Locality:
    """What the stages of a campaign have fetched, node by node.

    A node keeps what one of its stages has fetched: as files where the store is remote, in the page cache where it is a
    shared disk. A vector's α path, say, needs the infected model that the node of the vector has read. Given data are
    noted alike: shards of a URL are in the cache of the node whose readers have read them. Readers are beside their
    training, so they too are where their shards are.
    """

    def __init__(self) -> None:
        self._held: dict[str, dict[str, int]] = {}

    def note(self, node: str, fetched: Mapping[str, int]) -> None:
        """Note the artifacts and data, with their bytes, that a stage has read on a node."""
        self._held.setdefault(node, {}).update(fetched)

    def nearest(self, artifacts: Iterable[str]) -> str | None:
        """The node that holds most bytes of some artifacts; None where none holds any."""
        wanted = frozenset(artifacts)
        shares = {node: sum(held[name] for name in held.keys() & wanted) for node, held in self._held.items()}
        node = max(shares, key=lambda node: shares[node], default=None)
        return node if node is not None and shares[node] else None
