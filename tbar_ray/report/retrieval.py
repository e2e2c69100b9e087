"""Retrieval: recall both ways and caption-ASR of the clean model, the infected one and after removal."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import one_per_cell
from tbar_ray.report.text import Record, factors, heads, rate, section, share, table, values

WAYS = (("image_to_text", "image → text"), ("text_to_image", "text → image"))
RANKS = (1, 5, 10)
ROLES = (("clean", "_clean"), ("infected", "_infected"))
NOTE = (
    "A caption that is found counts if its text equals one of the image's own. Caption-ASR: share of triggered images, "
    "of those whose own captions do not name the target, whose nearest caption names it."
)


def retrieval(records: Sequence[Record]) -> str:
    """Return the scores of the retrieval set; '' for a campaign without one.

    Rows of the clean and the infected model precede those after removal, once per infected model.
    """
    shown = [r for r in one_per_cell(records) if r.get("caption_asr_infected") is not None]
    names = factors(shown, always=()) if shown else []
    rows = []
    seen: set[tuple[object, ...]] = set()
    for record in shown:
        planted = (record["attack"], record["seed"], record.get("poisoning_rate"))
        if planted not in seen:
            seen.add(planted)
            blank = [value if name in ("seed", "poisoning_rate") else "" for name, value in _cell(record, names)]
            rows += [[record["attack"], role, *blank, *_scores(record, suffix)] for role, suffix in ROLES]
        rows.append([record["attack"], "after removal", *values(record, names), *_scores(record, "")])
    recalls = [f"{way} R@{k}" for _, way in WAYS for k in RANKS]
    head = ["attack", "model", *heads(names), *recalls, "caption-ASR"]
    return section("Retrieval", NOTE, table(head, rows) if rows else "")


def _cell(record: Record, names: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(names, values(record, names), strict=True))


def _scores(record: Record, suffix: str) -> list[str]:
    recalls = [share(record.get(f"{way}_at_{k}{suffix}")) for way, _ in WAYS for k in RANKS]
    return [*recalls, rate(record, f"caption_asr{suffix}")]
