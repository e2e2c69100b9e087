"""Retrieval: recall both ways and caption-ASR of the clean model, the infected one and after removal."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tbar_ray.records.cells import one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.infected import is_of_model, model_of
from tbar_ray.report.text import Markdown, rate, section, share, table

WAYS = (("image_to_text", "image → text"), ("text_to_image", "text → image"))
RANKS = (1, 5, 10)
ROLES: tuple[Role, ...] = ("clean", "infected")
NOTE = (
    "A caption that is found counts if its text equals one of the image's own. Caption-ASR: share of triggered images, "
    "of those whose own captions do not name the target, whose nearest caption names it."
)


def retrieval(records: Sequence[TrialRecord]) -> Markdown:
    """Scores of the retrieval set; '' for a campaign without one.

    Rows of the clean and the infected model precede those after removal, once per infected model.
    """
    shown = [r for r in one_per_cell(records) if r.value("caption_asr", "infected") is not None]
    axes = columns_of(shown, always=())
    rows = []
    seen: set[Hashable] = set()
    for record in shown:
        if (model := model_of(record)) not in seen:
            seen.add(model)
            planted = [axis.text(record) if is_of_model(axis.name) else "" for axis in axes]
            rows += [[record.attack, role, *planted, *_scores(record, role)] for role in ROLES]
        rows.append([record.attack, "after removal", *values(record, axes), *_scores(record, "removed")])
    recalls = [f"{way} R@{k}" for _, way in WAYS for k in RANKS]
    head = ["attack", "model", *heads(axes), *recalls, "caption-ASR"]
    return section("Retrieval", NOTE, table(head, rows) if rows else "")


def _scores(record: TrialRecord, role: Role) -> list[str]:
    recalls = [share(record.value(f"{way}_at_{k}", role)) for way, _ in WAYS for k in RANKS]
    return [*recalls, rate(record.rate("caption_asr", role))]
