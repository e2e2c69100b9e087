import open_clip

from tbar_ray.models.samples_seen import SAMPLES_SEEN, samples_seen


def test_every_tag_is_one_of_open_clips_vit_b_32() -> None:
    tags = {tag for name, tag in open_clip.list_pretrained() if name in ("ViT-B-32", "ViT-B-32-quickgelu")}
    assert SAMPLES_SEEN.keys() <= tags


def test_tags_that_name_their_samples_name_these() -> None:
    units = {"m": 10**6, "b": 10**9}
    named = {tag: part for tag in SAMPLES_SEEN for part in tag.split("_") if part[0] == "s" and part[1:-1].isdigit()}
    assert len(named) == 4
    for tag, part in named.items():
        assert round(SAMPLES_SEEN[tag] / units[part[-1]]) == int(part[1:-1])


def test_other_weights_have_an_unknown_number() -> None:
    assert samples_seen("scenes") is None
