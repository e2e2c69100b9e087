"""The flat range of α: where the rule that selects it holds, as measured on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.planning.axes import percent
from tbar_ray.records.cells import Curve
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RULE = "ASR ≤ 1% and CA ≥ 95% of the infected model's"
"""The criterion of `evaluation.sensitivity`, the same in all campaigns; figures draw the campaign's own `Rule`."""


@dataclass(frozen=True)
class Rule:
    """What a campaign asks of α, as `evaluation` in its spec.

    Attributes:
        min_retention: share of the infected model's CA to keep.
        max_asr: ASR at which the backdoor counts as removed; None: the least ASR is selected.
    """

    min_retention: float = 0.95
    max_asr: float | None = None

    @property
    def text(self) -> str:
        """The rule in words."""
        kept = f"CA ≥ {percent(self.min_retention)} of the infected model's"
        return kept if self.max_asr is None else f"ASR ≤ {percent(self.max_asr)} and {kept}"


@dataclass(frozen=True)
class Flat:
    """The range that all trials of a curve (its seeds) share, or how many of them have one at all."""

    low: float | None
    high: float | None
    censored: bool
    found: int
    trials: int

    @property
    def width(self) -> float:
        """Its length, in units of α; 0 where the trials share none."""
        return 0.0 if self.low is None or self.high is None else self.high - self.low

    def text(self) -> str:
        """The range in words; '≥' where it meets an end of the path, so that it may be wider."""
        seeds = f" in all {self.trials} seeds" if self.trials > 1 else ""
        if self.low is not None:
            return f"rule met{seeds}, α width {'≥ ' if self.censored else ''}{self.width:.3g}"
        if self.trials == 1:
            return "no α meets the rule"
        if self.found < self.trials:
            return f"rule met in {self.found} of {self.trials} seeds"
        return f"no α meets the rule{seeds}"


def flat_of(curve: Curve, rule: Rule) -> Flat | None:
    """The range of a curve's α in which a rule holds; None where too few α were scored to say."""
    from tbar_ray.evaluation.sensitivity import alpha_sensitivity

    told = [
        alpha_sensitivity(
            record.path,
            record.reference_ca,
            record.alpha,
            max_asr=1.0 if rule.max_asr is None else rule.max_asr,
            min_retention=rule.min_retention,
        )
        for record in curve.records
        if len(record.path) > 1 and not record.path_falls and record.reference_ca is not None
    ]
    if not told:
        return None
    known = [(s.low, s.high, s) for s in told if s.low is not None and s.high is not None]
    if len(known) < len(told):
        return Flat(None, None, False, len(known), len(told))
    low, _, lowest = max(known, key=lambda found: found[0])
    _, high, highest = min(known, key=lambda found: found[1])
    if low > high:
        return Flat(None, None, False, len(known), len(told))
    return Flat(low, high, lowest.censored_low or highest.censored_high, len(known), len(told))


def shade(axes: Axes, flat: Flat | None) -> None:
    """Shade a flat range."""
    if flat is not None and flat.low is not None and flat.high is not None:
        axes.axvspan(flat.low, flat.high, color=style.FLAT, alpha=0.16, linewidth=0, zorder=0)


def bars(axes: Axes, flats: Sequence[tuple[Flat | None, dict[str, Any]]]) -> None:
    """Draw the flat ranges of several curves as bars under the upper edge, in the curves' looks."""
    found = [(flat.low, flat.high, look) for flat, look in flats if flat and flat.low is not None and flat.high]
    for place, (low, high, look) in enumerate(found):
        height = 0.985 - 0.028 * place
        axes.plot(
            [low, high], [height, height], transform=axes.get_xaxis_transform(), marker="|", markersize=5,
            solid_capstyle="butt", linewidth=2.6, zorder=6, **look,
        )  # fmt: skip


def in_words(flats: Sequence[Flat | None]) -> str:
    """One line on the flat ranges of a panel's curves; '' where none is known."""
    known = [flat for flat in flats if flat is not None]
    if len(known) <= 1:
        return known[0].text() if known else ""
    wide = [flat for flat in known if flat.low is not None]
    if not wide:
        return f"no α meets the rule in any of {len(known)} lines"
    low, high = min(wide, key=lambda f: f.width), max(wide, key=lambda f: f.width)
    end = f"{'≥ ' if high.censored else ''}{high.width:.3g}"
    widths = end if len(wide) == 1 else f"{low.width:.3g} to {end}"
    return f"rule met by {len(wide)} of {len(known)}, α width {widths}"
