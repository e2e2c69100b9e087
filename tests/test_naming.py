from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.naming import nearest


def test_a_close_name_is_proposed() -> None:
    assert nearest("blend", ["badnets", "blended"]) == "; did you mean 'blended'?"


def test_several_close_names_are_joined_by_or_nearest_first() -> None:
    assert nearest("red circl", ["red circle", "red circles", "zebra"]) == (
        "; did you mean 'red circle' or 'red circles'?"
    )


def test_without_a_close_name_the_known_ones_are_listed_in_order() -> None:
    assert nearest("zzz", ["b", "a"]) == "; known: a, b"


def test_a_long_list_is_cut() -> None:
    names = [f"{letter}{letter}" for letter in "abcdefghij"]
    assert nearest("0000", names) == "; known: aa, bb, cc, dd, ee, ff, gg, hh, …"
    assert nearest("0000", names, most=2) == "; known: aa, bb, …"
    assert nearest("0000", names[:8]).endswith("hh")


@given(st.text(max_size=20), st.lists(st.sampled_from(["badnets", "blended", "wanet", "sig"]), min_size=1))
def test_the_hint_ends_one_line_and_names_only_known_ones(name: str, known: list[str]) -> None:
    hint = nearest(name, iter(known))
    assert hint.startswith(("; did you mean '", "; known: "))
    assert "\n" not in hint
    assert any(candidate in hint for candidate in known)
    assert not any(other in hint for other in {"badnets", "blended", "wanet", "sig"} - set(known))
