"""Cells of a leaderboard, made up but plausible."""

from __future__ import annotations

from typing import Any

from tbar_ray.leaderboard.cell import After, Cell, Held, ModelScores
from tests.records.records import rate

BEFORE = ModelScores(ca=rate(1.0), asr=rate(0.95), pa=rate(0.05))


def cell(
    method: str = "tbar",
    attack: str = "sig",
    seed: int = 0,
    *,
    ca: float = 1.0,
    asr: float = 0.0,
    pa: float = 0.9,
    a_post: float | None = None,
    **changes: Any,
) -> Cell:
    """A measured cell; `changes` replace fields."""
    after = None
    if a_post is not None:
        after = After(highest=rate(a_post), infected=0.95, steps=300, learning_rate=1e-4, ca=rate(ca))
    fields: dict[str, Any] = {
        "data": "scenes", "method": method, "attack": attack, "seed": seed, "status": "done",
        "clean": BEFORE, "infected": BEFORE, "cleaned": ModelScores(ca=rate(ca), asr=rate(asr), pa=rate(pa)),
        "after": after, "seconds": 2.5, "samples": 2000, "alpha": 1.5, "tuned_on": "no", "proposals": 10,
        "held": Held(images=300, clean_pairs=0, training_pairs=0, labels=False, knows=("trigger", "target")),
        "fingerprint": f"{method}-{attack}-{seed}", "ended": 1.0,
        "command": f"tbar leaderboard run --method {method} --attacks {attack} --seeds {seed}",
    }  # fmt: skip
    return Cell(**{**fields, **changes})


def missing(method: str = "tbar", attack: str = "sig", seed: int = 0, **changes: Any) -> Cell:
    """A cell that was not measured."""
    return Cell(
        data="scenes", method=method, attack=attack, seed=seed, status="missing", tuned_on="no", fingerprint="f",
        command="tbar leaderboard run", **changes,
    )  # fmt: skip


def board(methods: int = 4, attacks: int = 3, seeds: int = 2) -> list[Cell]:
    """A whole table: a method is the worse, the later in the alphabet; the second seed of the first attack is tied."""
    return [
        cell(
            chr(97 + m), f"attack-{a}", s, pa=0.9 if (a, s) == (0, 1) else 0.95 - 0.05 * m,
            a_post=0.01 * m if a else None,
        )
        for m in range(methods) for a in range(attacks) for s in range(seeds)
    ]  # fmt: skip
