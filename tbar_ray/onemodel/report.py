"""The report on one model: a single HTML page that opens anywhere, without scripts and without a network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.scores import Scores
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.figures import alpha_curve, detectors_figure, layers_figure, rebound_figure
from tbar_ray.onemodel.manifest import described
from tbar_ray.onemodel.page import picture_url, render, write_page
from tbar_ray.onemodel.panels import Panels
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.verdict import rate_text, share, verdict
from tbar_ray.redaction import redact, redact_all
from tbar_ray.report.page import data_url

TEMPLATE = "report.html"
MOST_CLASSES = 8
"""Classes that lost most."""
NAMES = {
    "ca": "CA: right on clean images",
    "ca_top5": "true class among the best five",
    "asr": "ASR: stamped images of other classes answered with the target",
    "asr_all_images": "the same, of all stamped images",
    "pa": "PA: right on stamped images of other classes",
    "baseline": "unstamped images of other classes answered with the target",
}


@dataclass(frozen=True)
class Row:
    """A score before and after, in words."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Loss:
    """A class that is answered rightly less often than before."""

    name: str
    images: int
    before: str
    after: str
    points: str


def write_report(
    out: Path,
    examined: Examined,
    cleaned: Cleaned | None = None,
    *,
    panels: Panels | None = None,
    manifest: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
) -> Path:
    """Write the report.

    Args:
        out: the file; replaced if it is there.
        examined: the model before cleaning.
        cleaned: the model after it; None where it was not cleaned.
        panels: measurements of other parts of the package; a panel that is not given is left out.
        manifest: of the cleaned file.
        command: the words that were typed.

    Raises:
        DataError: if it cannot be written.
    """
    return write_page(out, report_html(examined, cleaned, panels=panels, manifest=manifest, command=command))


def report_html(
    examined: Examined,
    cleaned: Cleaned | None = None,
    *,
    panels: Panels | None = None,
    manifest: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
) -> str:
    """The report as HTML; everything that a user named is escaped."""
    shown = panels or Panels()
    return render(
        TEMPLATE,
        verdict=verdict(examined, cleaned, shown.detectors, shown.again),
        examined=examined,
        cleaned=cleaned,
        trigger=described(examined.backdoor.trigger),
        pictures=[(picture_url(p.pixels), p) for p in (cleaned.pictures if cleaned else examined.pictures)],
        numbers=_numbers(examined, cleaned),
        scores=score_rows(examined, cleaned),
        retrieval=retrieval_rows(examined, cleaned),
        losses=[] if cleaned is None else losses(examined, cleaned),
        curve=None if cleaned is None else data_url(alpha_curve(cleaned.walk, cleaned.alpha, _start(examined))),
        layers=data_url(layers_figure(cleaned.layers)) if cleaned is not None and cleaned.layers else None,
        panels=shown,
        detectors=data_url(detectors_figure(shown.detectors)) if shown.detectors else None,
        rescan=data_url(detectors_figure(shown.rescan)) if shown.rescan else None,
        rebound=data_url(rebound_figure(shown.rebound)) if shown.rebound else None,
        missing=_missing(shown, cleaned),
        command=redact(shlex.join(command)),
        manifest=None if manifest is None else json.dumps(redact_all(dict(manifest)), indent=1, ensure_ascii=False),
        lost=[*examined.gate.lost, *examined.before.lost],
    )


def score_rows(examined: Examined, cleaned: Cleaned | None) -> list[Row]:
    """Every rate before and after; '–' where there is no cleaned model."""
    after = {} if cleaned is None else cleaned.after.rates()
    return [Row(NAMES[name], rate_text(rate), _told(after.get(name))) for name, rate in examined.before.rates().items()]


def _numbers(examined: Examined, cleaned: Cleaned | None) -> list[Row]:
    """The three scores that count, without intervals."""
    before, after = examined.before.rates(), {} if cleaned is None else cleaned.after.rates()
    return [
        Row(NAMES[name], share(before[name]), share(after[name]) if name in after else "")
        for name in ("asr", "ca", "pa")
    ]


def retrieval_rows(examined: Examined, cleaned: Cleaned | None) -> dict[str, list[Row]]:
    """Recall and caption ASR before and after, by retrieval set."""
    return {
        redact(url): [
            Row(name.replace("_", " "), rate_text(rate), _told(cleaned.retrieval[url][name] if cleaned else None))
            for name, rate in rates.items()
        ]
        for url, rates in examined.retrieval.items()
    }


def losses(examined: Examined, cleaned: Cleaned) -> list[Loss]:
    """The classes whose CA fell most, largest loss first."""
    before, after = examined.before.by_class, cleaned.after.by_class
    fallen = [(before[name].value - after[name].value, name) for name in before]
    worst = sorted((pair for pair in fallen if pair[0] > 0), key=lambda pair: -pair[0])[:MOST_CLASSES]
    return [
        Loss(name, before[name].n, rate_text(before[name]), rate_text(after[name]), f"{100 * points:.1f}")
        for points, name in worst
    ]


def _start(examined: Examined) -> Scores:
    assert examined.gate.scores is not None  # it was measured with the backdoor
    return examined.gate.scores


def _told(rate: Rate | None) -> str:
    return "–" if rate is None else rate_text(rate)


def _missing(panels: Panels, cleaned: Cleaned | None) -> str:
    """One sentence on what was not measured; '' if nothing was left out."""
    parts = [] if panels.detectors else ["detectors that know no trigger"]
    if cleaned is not None:
        parts += [] if panels.rebound else ["whether the backdoor comes back in clean fine-tuning"]
        parts += [] if panels.rescan else ["a second scan of the cleaned file"]
    return f"Not measured for this report: {', '.join(parts)}." if parts else ""
