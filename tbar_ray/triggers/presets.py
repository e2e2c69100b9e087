"""Attacks as published in papers and code: a trigger with its constants, and how it is planted.

The literature uses one name for different attacks, and different constants for one attack. A trigger is named after
its effect; a preset, `<paper>/<attack>`, after its source. A preset spells out every constant, so that a changed
default of a trigger changes no preset. Lengths are given at 224 px.

Where a paper and its code disagree, the preset with the plain name follows the code, because the published figures were
measured with it. So `cleanclip/badnets` wraps: the code adds N(0, 1) noise to the channel mean and casts to bytes
without clipping, and a value of 1.1 becomes 0.1. The patch described in the paper, which clips, is
`cleanclip/badnets-clipped`.

Two steps of the published pipelines are omitted throughout: poisoned images are not saved as JPEG and reloaded, and
floats are rounded to the nearest of 256 levels instead of truncated, so that levels may differ by one.
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

GAUSSIAN = {"patch_size": 16, "place": "random", "inset": 0, "margin": 1}
"""CleanCLIP's patch: its code draws rows and columns from 0 to 207, although 208 would also fit."""
WARP = {"grid_size": 4, "strength": 0.5, "cross_ratio": 2.0, "cross_noise": 2.0}
WARP_NOTE = (
    "The displacement is strength/224 of the image at any size, so the relative warp is the same for all sizes; the "
    "original divides by the image's own side: for its warp at 32 px set strength=3.5, at 64 px strength=1.75."
)
JITTER_NOTE = (
    "Called WaNet, but a different attack: every pixel is displaced independently. The code ships one grid as a "
    "file; here it is drawn from the seed, by the same rule."
)
CARTOON_NOTE = "The published picture, Hello Kitty, is copyrighted; an original cartoon replaces it."
STRIPES_NOTE = "As in its code, colours are redrawn for every image."
CHROMA = {"block": 32, "positions": ((31, 31), (15, 15)), "channels": ("U", "V")}
DCT_NOTE = "The code casts to bytes between its steps; here nothing is rounded before the end."
LEARNED_NOTE = (
    "Published with a patch optimised against the pretrained encoder; here it is fixed noise of that size and place. "
    "BadMerging's loss is a planting method (planting.method: badmerging), not part of the trigger."
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
        name="backdoorbench/ftrojan",
        trigger="ftrojan",
        parameters={**CHROMA, "magnitude": 30.0},
        source=BACKDOORBENCH,
        note="The attack of ftrojan/ftrojan with half as much again added. " + DCT_NOTE,
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
        note="Added and clipped; cleanclip/sig blends in the same wave, which is five times weaker.",
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
        note="As in its code: redrawn for every image, values outside [0, 1] wrap. The paper describes noise on "
        "the channel mean: cleanclip/badnets-clipped.",
    ),
    Preset(
        name="cleanclip/badnets-clipped",
        trigger="badnets-gaussian",
        parameters=GAUSSIAN,
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="As described in the paper: values outside [0, 1] are clipped. No published figure was measured with it.",
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
        note="The patch of cleanclip/badnets on images whose captions hold the target's name letter for letter, also "
        "inside a word ('bananas', not 'Banana'); captions are unchanged.",
    ),
    Preset(
        name="cleanclip/sig",
        trigger="sig-blended",
        parameters={"ratio": 0.2, "amplitude": 60.0, "frequency": 6.0},
        captions="openai",
        target="banana",
        source=CLEANCLIP,
        note="Its code blends the wave in instead of adding it: images darken by a fifth, its amplitude is 12/255.",
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
        parameters={"patch_size": 16, "place": "random", "inset": 16, "margin": 1, "test_place": "centre"},
        captions="openai",
        target="banana",
        source=DETECT_CLIP,
        note="Training draws the corner from rows and columns 16 to 207; evaluation stamps the centre, 104 to 119.",
    ),
    Preset(
        name="detect-clip/blend",
        trigger="blended-picture",
        parameters={"ratio": 0.2},
        captions="openai",
        target="banana",
        source=DETECT_CLIP,
        note=CARTOON_NOTE + " Its code blends at 256 px and then resizes to 224 px; here images are blended at the "
        "model's size. With one picture at both sizes the results differ by 0.67 levels on average, 9 at most.",
    ),
    Preset(
        name="ftrojan/ftrojan",
        trigger="ftrojan",
        parameters={**CHROMA, "magnitude": 20.0},
        source="Wang et al. 2021, arXiv 2111.10991, train.py of its code",
        note="Magnitude 20, for images of 32 px; BackdoorBench adds 30: backdoorbench/ftrojan. " + DCT_NOTE,
    ),
    Preset(
        name="other-door/fourier",
        trigger="fourier",
        parameters={"count": 4, "low": 8, "high": 24, "amplitude": 10.0},
        source="after Hammoud and Ghanem 2021, arXiv 2109.05507",
        note="In the style of the paper, with other constants: the paper picks frequencies by a heat map of a trained "
        "model, here the seed picks them.",
    ),
    Preset(
        name="par/badnets-stripes",
        trigger="badnets-stripes",
        parameters={"patch_size": 16, "place": "random", "inset": 0, "margin": 1, "period": 1, "redraw": True},
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
        note="PAR ships its word as a pixel file, which is not copied: word, letters and height are chosen here. As in "
        "its code, only the red channel of the letters is mixed.",
    ),
    Preset(
        name="par/blended-triangles",
        trigger="blended-triangles",
        parameters={"ratio": 0.15, "cell": 14},
        captions="openai",
        target="banana",
        source=PAR,
        note="Its code loads the pattern from a file; here it is drawn by the rule in its code.",
    ),
    Preset(
        name="trojanzoo/badnets",
        trigger="badnets-square",
        parameters={"patch_size": 3, "place": "top-left", "margin": 0, "colour": (1.0, 1.0, 1.0)},
        source="Pang et al. 2022, arXiv 2012.09302, default watermark of its code",
        note="Its default is 3 px at any image size; here the side scales with the image: 1 px at 64 px.",
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
"""All presets by name, sorted by name."""


def find_preset(name: str) -> Preset:
    """Look up a preset by name.

    Raises:
        SpecError: if there is none; the message suggests the nearest names.
    """
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name]


def resolve(name: str, parameters: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Resolve a preset or trigger name into the arguments of `registry.build_trigger`.

    Args:
        name: a preset (contains '/') or a trigger, which is not looked up here.
        parameters: the user's parameters; each overrides the preset's, and null unsets a value (`at: null`).

    Returns:
        The trigger's name and all parameters.

    Raises:
        SpecError: if there is no such preset.
    """
    if "/" not in name:
        return name, dict(parameters)
    preset = find_preset(name)
    return preset.trigger, {**preset.parameters, **parameters}
