"""Profile of a campaign: its stages on a timeline, the time between them, and a trace."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from tbar_ray.bench.speed import TrainingSpeed, training_speeds
from tbar_ray.campaign.launch import launch
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Policy
from tbar_ray.stages.runtime import device_for
from tbar_ray.store.store import Store


@dataclass(frozen=True)
class Span:
    """One stage: start and end, in seconds since the campaign's start, and its number of cores."""

    kind: str
    title: str
    began: float
    ended: float
    cores: int

    @property
    def seconds(self) -> float:
        """Duration of the stage."""
        return self.ended - self.began


@dataclass(frozen=True)
class CampaignProfile:
    """A campaign's timeline.

    Attributes:
        name: the campaign's name.
        seconds: total wall clock.
        cores: number of cores of the machine.
        spans: its stages, by start.
        trainings: the speed of its trainings on shards.
        records: its trials.
    """

    name: str
    seconds: float
    cores: int
    spans: tuple[Span, ...]
    trainings: tuple[TrainingSpeed, ...] = ()
    records: list[TrialRecord] = field(default_factory=list)

    @property
    def before(self) -> float:
        """Seconds before the first stage: checks, MLflow, start of Ray, imports of the first worker."""
        return min(span.began for span in self.spans)

    @property
    def after(self) -> float:
        """Seconds after the last stage: records, figures, report, end of Ray."""
        return self.seconds - max(span.ended for span in self.spans)

    @property
    def busy(self) -> float:
        """Core-seconds inside stages over cores × wall clock."""
        return sum(span.cores * span.seconds for span in self.spans) / (self.cores * self.seconds)

    def summary(self) -> dict[str, str | float]:
        """The summary numbers, for JSON."""
        numbers = {"seconds": self.seconds, "cores": self.cores, "busy": self.busy}
        return {"campaign": self.name, **numbers, "before_stages": self.before, "after_stages": self.after}

    def by_kind(self) -> dict[str, tuple[int, float, float]]:
        """Number of stages, seconds and core-seconds by kind, the costliest first."""
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.kind].append(span)
        rows = {
            kind: (len(spans), sum(s.seconds for s in spans), sum(s.cores * s.seconds for s in spans))
            for kind, spans in found.items()
        }
        return dict(sorted(rows.items(), key=lambda row: -row[1][2]))

    def trace(self) -> dict[str, Any]:
        """The timeline in the Trace Event format, which Perfetto and Chrome's about:tracing open."""
        events = [
            {"name": span.title, "cat": span.kind, "ph": "X", "pid": 0, "tid": lane}
            | {"ts": 1e6 * span.began, "dur": 1e6 * span.seconds}
            for span, lane in zip(self.spans, self.lanes(), strict=True)
        ]
        return {"traceEvents": events, "displayTimeUnit": "ms"}

    def lanes(self) -> list[int]:
        """Lane of every span: the lowest one that is free when the span starts."""
        ends: list[float] = []
        lanes: list[int] = []
        for span in self.spans:
            lane = next((number for number, end in enumerate(ends) if end <= span.began + 0.05), len(ends))
            ends[lane : lane + 1] = [span.ended]
            lanes.append(lane)
        return lanes


def profile_campaign(spec: CampaignSpec, folder: Path, cores: int) -> CampaignProfile:
    """Run a campaign from an empty store under `folder`, with MLflow and report, and profile it."""
    store = Store(str(folder / "store"))
    began = time.time()
    found = launch(spec, store, f"sqlite:///{folder / 'mlflow.db'}", folder / "report", None, Console(quiet=True))
    seconds = time.time() - began
    stages = [store.facts(name) for name in store.artifacts()]
    spans = []
    for record in stages:
        ended = float(record["ended"]) - began
        spans.append(Span(record["kind"], record["title"], ended - record["seconds"], ended, record["threads"]))
    spans.sort(key=lambda span: span.began)
    speeds = training_speeds(stages, device_for(Policy.of(spec.resources)))
    return CampaignProfile(spec.name, seconds, cores, tuple(spans), tuple(speeds), found.records)


def draw_profile(profile: CampaignProfile, path: Path) -> None:
    """Draw the timeline and the core-seconds of each kind of stage."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    kinds = profile.by_kind()
    colours = {kind: colormaps["tab20"](number % 20) for number, kind in enumerate(kinds)}
    lanes = profile.lanes()
    figure = Figure(figsize=(11, 1.6 + 0.5 * (max(lanes) + 1) + 0.28 * len(kinds)), layout="constrained")
    line, bars = figure.subplots(2, 1, height_ratios=[max(lanes) + 2, max(3, len(kinds))])
    for span, lane in zip(profile.spans, lanes, strict=True):
        line.barh(lane, span.seconds, left=span.began, color=colours[span.kind], edgecolor="white", linewidth=0.5)
        if span.seconds > 0.0057 * len(span.title) * profile.seconds:  # if the title fits
            line.text(span.began + span.seconds / 2, lane, span.title, ha="center", va="center", fontsize=7)
    line.axvspan(0, profile.before, color="0.9")
    line.axvspan(profile.seconds - profile.after, profile.seconds, color="0.9")
    line.set(xlim=(0, profile.seconds), xlabel="seconds", yticks=[], ylabel="stages at a time")
    line.set_title(
        f"{profile.name}: {profile.seconds:.0f} s, {profile.busy:.0%} of {profile.cores} cores inside stages"
    )
    names = list(kinds)
    bars.barh(names[::-1], [kinds[name][2] for name in names[::-1]], color=[colours[name] for name in names[::-1]])
    for place, name in enumerate(names[::-1]):
        count, _, core_seconds = kinds[name]
        bars.text(core_seconds, place, f" {core_seconds:.0f} s in {count}", va="center", fontsize=8)
    bars.set(xlabel="core-seconds", xlim=(0, 1.15 * max(row[2] for row in kinds.values())))
    figure.savefig(path, dpi=110)


def save_trace(profile: CampaignProfile, path: Path) -> None:
    """Write the timeline for a trace viewer, as JSON."""
    path.write_text(json.dumps(profile.trace()))
