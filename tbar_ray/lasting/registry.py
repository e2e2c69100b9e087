"""All downstream changes by name. A new one is a file in `changes`, a line here, and its name in `ChangeName`."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.lasting.change import Change
from tbar_ray.lasting.changes.bf16 import BF16
from tbar_ray.lasting.changes.int8 import Int8
from tbar_ray.lasting.changes.linear_probe import LinearProbe
from tbar_ray.lasting.changes.merged import Merged
from tbar_ray.lasting.changes.pruned import Pruned
from tbar_ray.lasting.changes.wise_ft import WiseFT

CHANGES: Mapping[str, type[Change]] = {
    change.name: change for change in (Int8, BF16, Pruned, WiseFT, LinearProbe, Merged)
}
