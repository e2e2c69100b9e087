"""How many samples the training of published weights saw: pairs, each as often as it was seen."""

from __future__ import annotations

SAMPLES_SEEN = {
    "openai": 400_000_000 * 32,
    "laion400m_e31": 400_000_000 * 31,
    "laion400m_e32": 400_000_000 * 32,
    "datacomp_s_s13m_b4k": 12_800_000,
    "datacomp_m_s128m_b4k": 128_000_000,
    "datacomp_xl_s13b_b90k": 12_800_000_000,
    "laion2b_s34b_b79k": 34_000_000_000,
}
"""By open_clip's tag. Sources: 2103.00020 (OpenAI), open_clip's documentation (LAION), 2304.14108 (DataComp)."""


def samples_seen(tag: str) -> int | None:
    """Samples that the weights of an open_clip tag were trained on; None for other weights."""
    return SAMPLES_SEEN.get(tag)
