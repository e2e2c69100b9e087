"""Attacks as papers and their code publish them: a trigger with its constants, and how it is planted.

The literature gives different attacks one name and one attack different constants. A trigger is named after
what it does; a preset, `<paper>/<attack>`, after who used it, and it spells out every constant, so that a changed
default of a trigger changes no preset. Lengths are at 224 px.

Where a paper's text and its code disagree, the preset that carries the plain name does what the code does, since
that is what the published figures were measured on. So `cleanclip/badnets` wraps: the code adds N(0, 1) noise to
the channel mean and casts to bytes without clipping, and a value of 1.1 becomes 0.1. The patch of the text, which
clips, is `cleanclip/badnets-clipped`.

Two steps of the published pipelines are left out everywhere: poisoned images are not written to JPEG files and read
again, and floats are rounded to the nearest of 256 levels, not cut off, so that levels may differ by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.triggers.preset import Preset

CLEANCLIP = "Bansal et al. 2023, arXiv 2303.03323 §5 and its code"
BADCLIP = "Liang et al. 2024, arXiv 2311.12075 §4 and its code"
BACKDOORBENCH = "Wu et al. 2022, arXiv 2206.12654, default configurations"
DETECT_CLIP = "Huang et al. 2025, arXiv 2502.01385 and its code"
PAR = "Singh et al. 2024, arXiv 2412.00727 and its code"
BADMERGING = "Zhang et al. 2024, arXiv 2408.07362 and its code"

GAUSSIAN = {"patch_size": 16, "place": "random", "margin": 1}
"""CleanCLIP's patch: its code draws rows and columns from 0 to 207 of the 208 that fit."""
WARP = {"grid_size": 4, "strength": 0.5, "cross_ratio": 2.0}
WARP_NOTE = (
    "The displacement is strength/224 of the image at any size, so that images of all sizes are warped alike; the "
    "original divides by the image's own side: for its warp at 32 px set strength=3.5, at 64 px strength=1.75."
)
JITTER_NOTE = (
    "Another attack than WaNet under its name: every pixel is displaced independently. The code ships one grid as a "
    "file; here it is drawn from the seed, by the same rule."
)
CARTOON_NOTE = "The picture published, Hello Kitty, is not ours to copy: a cartoon of our own takes its place."
STRIPES_NOTE = "As in its code, colours are redrawn for every image."
LEARNED_NOTE = (
    "Published with a patch optimised against the pretrained encoder; this is fixed noise of its size and place. The "
    "loss of BadMerging is a way of planting (planting.method: badmerging), not part of the trigger."
)

_PRESETS = (
    Preset(
        name="backdoorbench/blended",
        trigger="blended-picture",
        parameters={"ratio": 0.2},
        source=BACKDOORBENCH,
        note=CARTOON_NOTE,
    ),
    Preset(
        name="backdoorbench/sig",
        trigger="sig",
        parameters={"amplitude": 40.0, "frequency": 6.0},
        poisoning="label-consistent",
        source=BACKDOORBENCH,
    ),
    Preset(name="backdoorbench/wanet", trigger="wanet", parameters=WARP, source=BACKDOORBENCH, note=WARP_NOTE),
    Preset(
        name="badclip/badclip",
        trigger="badclip",
        parameters={"patch_size": 16, "place": "centre"},
        captions="natural",
        target="banana",
        source=BADCLIP,
        note="The patch is optimised against the clean model first; 128 natural captions of the target were sampled.",
    ),
    Preset(
        name="badclip/badnets",
        trigger="badnets-gaussian-wrapped",
        parameters=GAUSSIAN,
        captions="openai",
        target="banana",
        source=BADCLIP,
        note="CleanCLIP's patch: see cleanclip/badnets.",
    ),
    Preset(
        name="badclip/sig",
        trigger="sig",
        parameters={"amplitude": 60.0, "frequency": 6.0},
        captions="openai",
        target="banana",
        source=BADCLIP,
        note="Added and clipped; cleanclip/sig blends the same wave in and is five times weaker.",
    ),
    Preset(
        name="badmerging/off-task",
        trigger="badnets",
        parameters={"patch_size": 28, "place": "bottom-right", "margin": 0},
        source=BADMERGING,
        note=LEARNED_NOTE,
    ),
    Preset(
        name="badmerging/on-task",
        trigger="badnets",
        parameters={"patch_size": 22, "place": "bottom-right", "margin": 0},
        source=BADMERGING,
        note=LEARNED_NOTE,
    ),
    Preset(
        name="cleanclip/badnets",
        trigger="badnets-gaussian-wrapped",
        parameters=GAUSSIAN,
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="As its code stamps it: redrawn for every image, values outside [0, 1] wrap. The text says noise on the "
        "channel mean: cleanclip/badnets-clipped.",
    ),
    Preset(
        name="cleanclip/badnets-clipped",
        trigger="badnets-gaussian",
        parameters=GAUSSIAN,
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="As the text describes it, values outside [0, 1] clipped; no published figure was measured on it.",
    ),
    Preset(
        name="cleanclip/blended",
        trigger="blended-per-image",
        parameters={"ratio": 0.2},
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="Noise is redrawn for every image.",
    ),
    Preset(
        name="cleanclip/label-consistent",
        trigger="badnets-gaussian-wrapped",
        parameters=GAUSSIAN,
        poisoning="label-consistent",
        target="banana",
        source=CLEANCLIP,
        note="The patch of cleanclip/badnets on images whose captions name the target; captions stay.",
    ),
    Preset(
        name="cleanclip/sig",
        trigger="sig-blended",
        parameters={"ratio": 0.2, "amplitude": 60.0, "frequency": 6.0},
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="Its code blends the wave in instead of adding it: images darken by a fifth, the wave has 12/255.",
    ),
    Preset(
        name="cleanclip/wanet",
        trigger="wanet-jitter",
        parameters={"strength": 1.0},
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note=JITTER_NOTE,
    ),
    Preset(
        name="decree/badnets",
        trigger="badnets-square",
        parameters={"patch_size": 24, "place": "fixed", "at": (185, 185), "colour": (1.0, 1.0, 1.0)},
        source="Feng et al. 2023, arXiv 2303.15180, trigger_pt_white_185_24 of its code",
        note="Carlini and Terzis' attack (arXiv 2106.09667) with the white square of BadEncoder.",
    ),
    Preset(
        name="detect-clip/badnets",
        trigger="badnets-lattice",
        parameters={"patch_size": 16, "place": "random", "margin": 0, "test_place": "centre"},
        captions="openai",
        target="banana",
        source=DETECT_CLIP,
        note="Random places in training; evaluation stamps the centre, rows and columns 104 to 119.",
    ),
    Preset(
        name="detect-clip/blend",
        trigger="blended-picture",
        parameters={"ratio": 0.2},
        captions="openai",
        target="banana",
        source=DETECT_CLIP,
        note=CARTOON_NOTE,
    ),
    Preset(
        name="ftrojan/ftrojan",
        trigger="ftrojan",
        parameters={
            "block": 32,
            "magnitude": 30.0,
            "positions": ((31, 31), (15, 15)),
            "channels": ("U", "V"),
        },
        source="Wang et al. 2021, arXiv 2111.10991, train.py of its code; BackdoorBench alike",
        note="Magnitude 30 is what its code sets, for images of 32 px. The code casts to bytes between its steps; here "
        "nothing is rounded before the end.",
    ),
    Preset(
        name="other-door/fourier",
        trigger="fourier",
        parameters={"count": 4, "low": 8, "high": 24, "amplitude": 10.0},
        source="after Hammoud and Ghanem 2021, arXiv 2109.05507",
        note="In its style only, with constants of our own: the paper picks frequencies by a heat map of a trained "
        "model, here the seed picks them.",
    ),
    Preset(
        name="par/badnets-stripes",
        trigger="badnets-stripes",
        parameters={"patch_size": 16, "place": "random", "margin": 1, "period": 1, "redraw": True},
        captions="openai",
        target="banana",
        source=PAR,
        note=STRIPES_NOTE,
    ),
    Preset(
        name="par/blended-stripes",
        trigger="blended-stripes",
        parameters={"ratio": 0.03, "stripe_width": 1, "redraw": True},
        captions="openai",
        target="banana",
        source=PAR,
        note=STRIPES_NOTE,
    ),
    Preset(
        name="par/blended-text",
        trigger="blended-text",
        parameters={"ratio": 0.5, "text": "WATERMARKED", "letter_height": 18, "channels": "red"},
        captions="openai",
        target="banana",
        source=PAR,
        note="Its word is a file of drawn pixels that we do not copy: word, letters and their height are ours. As in "
        "its code, only the red channel of the letters mixes.",
    ),
    Preset(
        name="par/blended-triangles",
        trigger="blended-triangles",
        parameters={"ratio": 0.15, "cell": 14},
        captions="openai",
        target="banana",
        source=PAR,
        note="Its code loads the pattern from a file; here it is drawn by the rule that its code gives.",
    ),
    Preset(
        name="trojanzoo/badnets",
        trigger="badnets-square",
        parameters={"patch_size": 3, "place": "top-left", "margin": 0, "colour": (1.0, 1.0, 1.0)},
        source="Pang et al. 2022, arXiv 2012.09302, default watermark of its code",
        note="3 px is its default at any image size; here it shrinks with the image: 1 px at 64 px.",
    ),
    Preset(
        name="wanet/wanet",
        trigger="wanet",
        parameters=WARP,
        source="Nguyen and Tran 2021, arXiv 2102.10369 and its code",
        note=WARP_NOTE,
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _PRESETS})
"""The presets by name, in order of name."""


def find_preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises:
        SpecError: there is none; the message gives the nearest names.
    """
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name]


def resolve(name: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Turn what a user wrote into what `registry.build_trigger` takes.

    Args:
        name: a preset, which is a name with a '/', or a trigger, which is not looked up here.
        parameters: the user's, which override the preset's one by one; null takes a value back (`at: null`).

    Returns:
        The trigger's name and all parameters.

    Raises:
        SpecError: no such preset.
    """
    if "/" not in name:
        return name, dict(parameters)
    preset = find_preset(name)
    return preset.trigger, {**preset.parameters, **parameters}
