"""Checkpoints of PAR (2412.00727): epoch, state_dict, optimizer, scaler, best_acc1, args.

It fine-tunes what open_clip 2.22 makes of the tag `openai`, which computes with QuickGELU under every name. Names begin
with `module.`; its own loader passes over files whose names do not.
"""

from __future__ import annotations

from argparse import Namespace
from typing import ClassVar

from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found


class Par(Format):
    """`checkpoint.pt`."""

    name: ClassVar[str] = "PAR (epoch, state_dict, optimizer, scaler, best_acc1, args)"

    def fits(self, found: Found) -> bool:
        """Whether it has the entries that no other program writes together."""
        return found.entries == ("state_dict",) and found.has("epoch", "best_acc1", "args")

    def evidence(self, found: Found) -> Evidence:
        """QuickGELU, and the architecture that its arguments name (`ViT-B/32`)."""
        args = found.beside["args"]
        named = vars(args) if isinstance(args, Namespace) else args  # a dictionary once it was written back
        model = named.get("model") if isinstance(named, dict) else None
        return Evidence(
            quick_gelu=True,
            architecture=model.replace("/", "-") if isinstance(model, str) else None,
            because="PAR fine-tunes open_clip's tag openai, which computes with QuickGELU",
        )
