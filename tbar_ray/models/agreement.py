"""Whether an architecture's name agrees with what a checkpoint says of its model."""

from __future__ import annotations

from tbar_ray.errors import CheckpointError
from tbar_ray.models.architectures import (
    NORMALISATIONS,
    QUICK_GELU,
    Normalisation,
    architecture_config,
    architecture_files,
    attention_heads,
    normalisation_of,
    variant,
)
from tbar_ray.models.formats.evidence import Evidence

ACTIVATION = {True: "QuickGELU", False: "GELU"}


def require_agreement(evidence: Evidence, architecture: str, source: str) -> None:
    """Refuse weights whose file says something else than the name under which they are to be loaded.

    Weights fit either way: only accuracy would show it. A normalisation that the name spells out (`…@clip`) is the
    user's word and counts before what follows from the program that wrote the file.

    Raises:
        CheckpointError: one line with the name that agrees.
        SpecError: if the architecture is unknown.
    """
    config = architecture_config(architecture)
    if evidence.quick_gelu is not None and evidence.quick_gelu != bool(config.get("quick_gelu", False)):
        other = with_activation(architecture, evidence.quick_gelu)
        otherwise = (
            ""
            if evidence.stated
            else (
                f"; if it was trained as {architecture} all the same, say so once: tbar model convert {source} "
                f"--architecture {architecture} --to safetensors --out FILE"
            )
        )
        raise CheckpointError(
            f"{source} is of a model with {ACTIVATION[evidence.quick_gelu]} ({evidence.because}), and {architecture} "
            f"computes with {ACTIVATION[not evidence.quick_gelu]}: name {other}{otherwise}"
        )
    if evidence.heads is not None and evidence.heads != (heads := attention_heads(config)):
        raise CheckpointError(
            f"{source} is of a model with {evidence.heads[0]} and {evidence.heads[1]} attention heads in image and "
            f"text encoder ({evidence.because}), and {architecture} has {heads[0]} and {heads[1]}: name another "
            "architecture"
        )
    _require_normalisation(evidence, architecture, source)


def require_text_tower(lacking: bool, architecture: str, source: str) -> None:
    """Refuse an image encoder alone, which would otherwise get a random text tower.

    Raises:
        CheckpointError: one line that says where it may come from.
    """
    if lacking:
        raise CheckpointError(
            f"{source} holds an image encoder alone: say where the text tower comes from: text_from: openai in a spec, "
            f"load_model(…, text_from='openai'), or once and for all: tbar model convert {source} --architecture "
            f"{architecture} --text-from openai --to safetensors --out FILE"
        )


def hint_against(evidence: Evidence, architecture: str) -> str | None:
    """What speaks against an architecture without stating another: which program writes such files. None: nothing."""
    if evidence.stated:
        return None
    try:
        require_agreement(evidence, architecture, "it")
    except CheckpointError as error:
        return str(error).partition(": name ")[0]
    return None


def with_activation(architecture: str, quick_gelu: bool) -> str:
    """The name of an architecture with another activation."""
    base, mark, normalisation = architecture.partition("@")
    plain = base.removesuffix(QUICK_GELU)
    if quick_gelu:
        return f"{plain}{QUICK_GELU}{mark}{normalisation}"
    if plain in architecture_files() and not architecture_config(plain).get("quick_gelu"):
        return f"{plain}{mark}{normalisation}"
    return "an architecture with GELU"


def name_of(normalisation: Normalisation) -> str | None:
    """The name that goes after `@`; None for a normalisation without one."""
    return next((name for name, known in NORMALISATIONS.items() if _close(known, normalisation)), None)


def _require_normalisation(evidence: Evidence, architecture: str, source: str) -> None:
    wanted, own = evidence.normalisation, normalisation_of(architecture)
    spelt_out = variant(architecture).normalisation is not None and not evidence.stated
    if wanted is None or spelt_out or _close(wanted, own):
        return
    base, known = architecture.partition("@")[0], name_of(wanted)
    advice = f"name {base}@{known}" if known else "no architecture here normalises so"
    keep = "" if evidence.stated else f", or {base}@clip if this one was not"
    raise CheckpointError(
        f"{source} is of a model whose images have mean {_told(wanted.mean)} and deviation {_told(wanted.std)} taken "
        f"off ({evidence.because}), and {architecture} normalises by {_told(own.mean)} and {_told(own.std)}: "
        f"{advice}{keep}"
    )


def _close(left: Normalisation, right: Normalisation) -> bool:
    """Whether two are one: configurations round."""
    pairs = zip((*left.mean, *left.std), (*right.mean, *right.std), strict=True)
    return all(abs(one - other) < 1e-3 for one, other in pairs)


def _told(channels: tuple[float, float, float]) -> str:
    shown = [f"{value:.3g}" for value in channels]
    return shown[0] if len(set(shown)) == 1 else "/".join(shown)
