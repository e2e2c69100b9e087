from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tbar_ray.models.inspection import finite
from tbar_ray.models.inspection.contents import read_contents
from tbar_ray.models.inspection.finite import not_finite


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_nan_and_infinities_are_counted_apart(
    dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finite, "PIECE", 64)  # several pieces
    broken = torch.randn(5, 41).to(dtype)
    broken[0, 3] = broken[4, 40] = float("nan")
    broken[2, 7] = float("inf")
    broken[2, 8] = -float("inf")
    broken[3, 3] = float("inf")
    tensors = {
        "fine": torch.full((7,), torch.finfo(dtype).max, dtype=dtype),
        "broken": broken,
        "count": torch.tensor(-1),
    }
    save_file(tensors, tmp_path / "m.safetensors")
    content = read_contents(tmp_path / "m.safetensors").content
    assert isinstance(content, dict)
    assert not_finite(tmp_path / "m.safetensors", content) == {"broken": (2, 3)}
