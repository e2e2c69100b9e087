"""What a shell completes: names of methods, searches, triggers and shipped specs (`tbar --install-completion`).

Each takes what was typed so far, and is called when Tab is pressed.
"""

from __future__ import annotations

from collections.abc import Iterable


def method_names(incomplete: str) -> list[str]:
    """Names of `tbar method list`."""
    from tbar_ray.unlearning.registry import UNLEARNERS

    return _beginning(UNLEARNERS, incomplete)


def inversion_names(incomplete: str) -> list[str]:
    """Names of `tbar inversion list`."""
    from tbar_ray.inversion.registry import INVERTERS

    return _beginning(INVERTERS, incomplete)


def trigger_names(incomplete: str) -> list[str]:
    """Names of `tbar trigger list`: triggers and presets."""
    from tbar_ray.triggers.presets import PRESETS
    from tbar_ray.triggers.registry import TRIGGERS

    return _beginning([*TRIGGERS, *PRESETS], incomplete)


def spec_names(incomplete: str) -> list[str]:
    """Names of `tbar init --list`."""
    from tbar_ray.spec.shipped import shipped_specs

    return _beginning(shipped_specs(), incomplete)


def bench_names(incomplete: str) -> list[str]:
    """Names of the measurements of `tbar bench`."""
    from tbar_ray.cli.bench import BENCHES

    return _beginning(BENCHES, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
