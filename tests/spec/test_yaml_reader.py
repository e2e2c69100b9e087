from __future__ import annotations

import time

import pytest
import yaml

from tbar_ray.errors import SpecError
from tbar_ray.spec.yaml_reader import MOST_ALIASED, read_value, read_yaml

MERGED = """
base: &base {rate: 0.1, epochs: 2}
more: &more {<<: *base, epochs: 3}
again: {<<: *more, rate: 0.2}
both: {<<: [*base, *more], seed: 1}
list: &l [1, 2]
lists: [*l, *l]
"""


def test_merges_and_aliases_say_what_they_say_elsewhere() -> None:
    assert read_yaml(MERGED, "x.yaml") == yaml.safe_load(MERGED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attacks: 1\nb: 2\nattacks: 3\n", "x.yaml line 3: 'attacks' is there twice"),
        ("a:\n  b: {c: 1, d: 2,\n   c: 3}\n", "x.yaml line 3: 'c' is there twice"),
        ("- {a: 1}\n- {a: 1, 'a': 2}\n", "x.yaml line 2: 'a' is there twice"),
        ("base: &b {a: 1}\nx: {<<: *b, a: 2, a: 3}\n", "x.yaml line 2: 'a' is there twice"),
        ("1: a\n'1': b\n", "x.yaml line 2: '1' is there twice"),
        ("a: &a [1, *a]\n", "x.yaml line 1: an anchor that holds itself"),
        ("a: [", "x.yaml line 1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: 2001-99-99", "x.yaml: not YAML: month must be in 1..12"),
        ("[" * 5000, "x.yaml: nested too deeply"),
    ],
)
def test_refusals_name_the_line(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "x.yaml")
    assert str(caught.value) == message


def bomb(depth: int, kind: str) -> str:
    """Text of which each line holds the one above nine times."""
    lines = ["a0: &a0 [x]" if kind == "list" else "a0: &a0 {x: 1}"]
    for level in range(1, depth):
        if kind == "list":
            lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
        else:
            lines.append(f"a{level}: &a{level} {{{', '.join(f'k{n}: *a{level - 1}' for n in range(9))}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("kind", ["list", "mapping"])
def test_a_bomb_is_refused_at_once(kind: str) -> None:
    started = time.perf_counter()
    with pytest.raises(SpecError, match=rf"^x\.yaml line \d+: aliases unfold into more than {MOST_ALIASED:,} values"):
        read_yaml(bomb(60, kind), "x.yaml")
    assert time.perf_counter() - started < 1


def test_a_long_list_without_aliases_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.spec.yaml_reader.MOST_ALIASED", 1000)
    assert len(read_yaml(f"a: [{', '.join(['1'] * 2000)}]", "x.yaml")["a"]) == 2000


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1", "--set a=…: not YAML: "), ("{a: 1, a: 2}", "--set a=…: 'a' is there twice")],
)
def test_values_of_options(text: str, message: str) -> None:
    assert read_value("1.5", "--set a=…") == 1.5
    with pytest.raises(SpecError) as caught:
        read_value(text, "--set a=…")
    assert str(caught.value).startswith(message)


def test_keys_are_text_as_it_is_written() -> None:
    assert read_yaml("{2024: 1, no: 2, 1.50: 3, ~: 4, 0x1f: 5}", "x.yaml") == {
        "2024": 1, "no": 2, "1.50": 3, "~": 4, "0x1f": 5,
    }  # fmt: skip
    assert read_yaml("{&a 7: 1, b: *a}", "x.yaml") == {"7": 1, "b": 7}  # as a value it is what YAML says


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e3", 1000.0), ("-2.5E-4", -2.5e-4), ('"1e3"', "1e3"), ("'1e-5'", "1e-5"), ("1e", "1e"), ("a1e3", "a1e3")],
)
def test_a_number_in_quotes_is_text(text: str, value: object) -> None:
    assert read_yaml(f"a: [{text}]", "spec.yaml") == {"a": [value]}
    assert read_value(text, "--set a") == value
