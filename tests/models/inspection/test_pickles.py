from __future__ import annotations

import io
import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tbar_ray.models.formats.tensor_info import TensorInfo
from tbar_ray.models.inspection.contents import read_contents
from tbar_ray.models.inspection.pickles import PickleError, Unpickled, is_expected, read_pickle
from tests.models.formats.published import Malicious


def read(content: Any, protocol: int = 2) -> Unpickled:
    return read_pickle(io.BytesIO(pickle.dumps(content, protocol)))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_values_are_read_as_they_were(protocol: int) -> None:
    shared = [1, 2]
    content = {
        "a": [1, -2, 2**70, 0.5, "text", b"bytes", None, True, False],
        "b": ((), (1,), (1, 2), (1, 2, 3, 4)),
        3: {},
    }
    found = read({**content, "c": shared, "d": shared, "args": Namespace(model="RN50")}, protocol).content
    assert isinstance(found, dict)
    expected = {**content, "c": shared, "d": shared, "args": Namespace(model="RN50")}
    if protocol < 3:  # bytes are a call of _codecs.encode there
        expected["a"][5] = found["a"][5]
    assert found == expected


@pytest.mark.parametrize("protocol", range(6))
def test_what_a_pickle_would_call_is_named_and_not_called(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    found = read({"a": Malicious(mark), "lr": np.float64(1), "o": OrderedDict(a=1)}, protocol)
    assert found.unexpected() == ["posix.mkdir"]
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02",
        b"no pickle",
        pickle.dumps([1, 2])[:-1],
        b"\x80\x02t.",  # a tuple without a beginning
        b"\x80\x02h\x05.",  # what was never kept
        b"\x80\x04K\x01K\x02\x93.",  # a function named 1.2
    ],
)
def test_damage_is_an_error_of_its_own(content: bytes) -> None:
    with pytest.raises(PickleError):
        read_pickle(io.BytesIO(content))


def test_a_key_of_nested_tuples_is_not_spelt_out() -> None:
    key: tuple[Any, ...] = ()
    for _ in range(60):
        key = (key, key)  # 2⁶⁰ of them, in a hundred bytes
    raw = b"\x80\x02}" + pickle.dumps(key, 2)[2:-1] + b"K\x01s."
    assert read_pickle(io.BytesIO(raw)).content == {"<tuple>": 1}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_of_torch_have_type_shape_and_place(zipped: bool, tmp_path: Path) -> None:
    base = torch.arange(24, dtype=torch.float32)
    tensors = {
        "whole": base.reshape(2, 3, 4),
        "view": base[5:9],
        "half": torch.ones(3, dtype=torch.bfloat16),
        "scalar": torch.tensor(7),
        "parameter": torch.nn.Parameter(torch.zeros(2)),
    }
    path = tmp_path / "m.pt"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    found = read_contents(path).content
    assert isinstance(found, dict)
    raw = path.read_bytes()
    for name, value in tensors.items():
        info = found[name]
        assert isinstance(info, TensorInfo)
        assert (info.dtype, info.shape) == (str(value.dtype).removeprefix("torch."), tuple(value.shape))
        if zipped:
            numbers = value.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
            assert info.start is not None
            assert raw[info.start : info.start + len(numbers)] == numbers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch._utils._rebuild_tensor_v2", True),
        ("torch.FloatStorage", True),
        ("torch.bfloat16", True),
        ("torch.load", False),
        ("os.system", False),
        ("torch.FloatStorage.x", False),
        ("builtins.eval", False),
    ],
)
def test_which_names_checkpoints_need(name: str, expected: bool) -> None:
    assert is_expected(name) is expected
