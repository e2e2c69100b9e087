"""A checkpoint whose tensors are read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from tbar_ray.models.checkpoint import load_checkpoint
from tbar_ray.models.formats.folders import INDEX, weights_in


class LazyCheckpoint(Mapping[str, Tensor]):
    """Tensors by open_clip's names, as `load_checkpoint` reads them.

    Those of a safetensors file are in memory only while they are used: the file is mapped anew for each. Those of a
    torch file are mapped together, and the system keeps what was read of them as long as it has room.

    Attributes:
        form: how the checkpoint is written.
        about: the tensors without their numbers, on the device `meta`.
    """

    def __init__(self, path: Path) -> None:
        """Read names and shapes.

        Raises:
            CheckpointError: as `load_checkpoint`.
        """
        state, self.form = load_checkpoint(path, mapped=True)
        self.about = {name: value.to("meta") for name, value in state.items()}
        self._file = weights_in(path) if path.is_dir() else path
        self._state = state if self._file.suffix != ".safetensors" or self._file.name == INDEX else None

    def __getitem__(self, name: str) -> Tensor:
        if self._state is not None:
            return self._state[name]
        form = self.form
        names = form.layout.parts(name, self.about[name])
        with safe_open(self._file, framework="pt") as file:
            read = {plain: file.get_tensor(form.written.get(plain, f"{form.prefix}{plain}")) for plain in names}
        return form.layout.own(read)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.about)

    def __len__(self) -> int:
        return len(self.about)
