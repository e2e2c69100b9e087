from __future__ import annotations

import pytest

from tbar_ray.data.class_names import find_class, warning_of
from tbar_ray.errors import DataError

NAMES = ["red circle", "missile", "Sunglasses", "dog", "missile", "sun glasses", "sunglasses ", "STRASSE", "straße"]
NAMES += ["caf\u00e9", "cafe\u0301", "owl", "o\u200bwl", "\uff4fwl"]


def test_a_class_with_a_name_of_its_own_is_found() -> None:
    assert (find_class("red circle", NAMES), find_class("dog", NAMES), find_class("sun glasses", NAMES)) == (0, 3, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missile", r"^'missile' is ambiguous: 'missile' \(class 1\), 'missile' \(class 4\); "),
        ("Sunglasses", r"^'Sunglasses' is ambiguous: 'Sunglasses' \(class 2\), 'sunglasses ' \(class 6\); "),
        ("straße", "is ambiguous: 'STRASSE'"),
        ("caf\u00e9", r"is ambiguous: 'caf\u00e9' \(class 9\), 'cafe\u0301' \(class 10\)"),
        ("owl", r"is ambiguous: 'owl' \(class 11\), 'o\\u200bwl' \(class 12\), '\uff4fwl' \(class 13\)"),
        ("Dog", r"^'Dog' is not a class of the evaluation set; did you mean 'dog'"),
    ],
)
def test_a_target_that_is_none_or_several_is_refused(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_class(name, NAMES)


def test_others_are_warned_of() -> None:
    assert warning_of(["red circle", "dog", "hot dog"], "set") is None
    told = warning_of(NAMES, "set") or ""
    assert told.startswith("set: classes have the same name: 'missile' (1) and 'missile' (4), 'Sunglasses' (2) and ")
    assert " and 2 more; " in (warning_of([*"abcde", *"ABCDE"], "set") or "")


def test_an_accent_may_be_written_as_one_sign_or_two() -> None:
    assert find_class("cafe\u0301", ["dog", "caf\u00e9"]) == find_class("caf\u00e9", ["dog", "cafe\u0301"]) == 1
