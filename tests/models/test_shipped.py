import json
import time
from pathlib import Path

import pytest
import torch

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_evaluation_set
from tbar_ray.errors import CheckpointError
from tbar_ray.evaluation.zeroshot import predict, zero_shot_head
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.shipped import WEIGHTS, file_name, load_shipped, pack, shipped_hash, shipped_hashes
from tbar_ray.models.tokenizer import build_tokenizer
from tests.models.tiny import RESNET, VIT, same, snapshot, tiny, tokenizer

SHIPPED = [(architecture, tag) for architecture, tags in shipped_hashes().items() for tag in tags]
WORDS = tokenizer()(["a red circle", "two stars"]).flatten().tolist()


@pytest.mark.parametrize("architecture", [VIT, RESNET])
def test_packed_weights_come_back_to_half_precision_and_unknown_words_say_nothing(
    architecture: str, tmp_path: Path
) -> None:
    state = snapshot(tiny(architecture, seed=4))
    digest = pack(state, WORDS, architecture, "mine", tmp_path)
    assert shipped_hash(architecture, "mine", tmp_path) == digest
    found = load_shipped(architecture, "mine", tmp_path)
    embedding = found["token_embedding.weight"]
    seen = torch.zeros(len(embedding), dtype=torch.bool)
    seen[WORDS] = True
    assert not embedding[~seen].any()
    state["token_embedding.weight"][~seen] = 0
    assert found.keys() == state.keys()
    for name, value in found.items():
        assert value.dtype == state[name].dtype
        torch.testing.assert_close(value, state[name], rtol=5e-4, atol=1e-7)
    whole = sum(value.numel() for value in state.values()) * 2
    assert (tmp_path / file_name(architecture, "mine")).stat().st_size < whole / 2


def test_a_second_tag_joins_the_index(tmp_path: Path) -> None:
    state = snapshot(tiny())
    first = pack(state, WORDS, VIT, "one", tmp_path)
    second = pack({**state, "logit_scale": torch.tensor(1.0)}, WORDS, VIT, "two", tmp_path)
    assert json.loads((tmp_path / "index.json").read_text()) == {VIT: {"one": first, "two": second}}
    assert first != second
    assert pack(state, reversed(WORDS), VIT, "one", tmp_path) == first


def test_a_weight_that_half_precision_cannot_hold_is_one_line(tmp_path: Path) -> None:
    state = {**snapshot(tiny()), "text_projection": torch.full((64, 64), 1e6)}
    with pytest.raises(CheckpointError, match="text_projection does not fit float16"):
        pack(state, WORDS, VIT, "mine", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_file_is_one_line(damage: str, tmp_path: Path) -> None:
    pack(snapshot(tiny()), WORDS, VIT, "mine", tmp_path)
    path = tmp_path / file_name(VIT, "mine")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:-4] if damage == "truncated" else content)
    with pytest.raises(CheckpointError, match=f"{path} is truncated or was altered") as caught:
        load_shipped(VIT, "mine", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    pack(snapshot(tiny()), WORDS, VIT, "mine", tmp_path)
    (tmp_path / file_name(VIT, "mine")).unlink()
    with pytest.raises(CheckpointError, match="No such file or directory; install the package again"):
        load_shipped(VIT, "mine", tmp_path)


def test_the_folder_holds_what_the_index_says() -> None:
    assert {path.name for path in WEIGHTS.glob("*.safetensors")} == {file_name(*entry) for entry in SHIPPED}
    sizes = [(WEIGHTS / file_name(*entry)).stat().st_size for entry in SHIPPED]
    assert max(sizes) <= 8e6
    assert sum(sizes) <= 16e6


@pytest.mark.parametrize("architecture", sorted({architecture for architecture, _ in SHIPPED}))
def test_an_unknown_tag_names_the_shipped_ones(architecture: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{architecture} has no pretrained tag 'scene' \(known: scenes\)"):
        create_model(architecture, pretrained="scene")


@pytest.mark.parametrize(("architecture", "tag"), SHIPPED)
def test_a_shipped_tag_loads_fast_whatever_the_seed(architecture: str, tag: str) -> None:
    first = snapshot(create_model(architecture, pretrained=tag, seed=0))
    started = time.process_time()
    again = snapshot(create_model(architecture, pretrained=tag, seed=1))
    assert time.process_time() - started < 0.5
    assert same(first, again)


CARDS: dict[str, dict[Scenes, float]] = {
    "tbar-GN-pico": {"plain": 1.0, "rich": 0.952},
    "tbar-ViT-pico": {"plain": 0.902, "rich": 0.622},
    "tbar-ConvNeXt-tiny": {"plain": 0.92, "rich": 0.568},
    "tbar-RN-tiny": {"plain": 0.865, "rich": 0.464},
}
"""CA of docs/models.md, of 2,400 and 4,800 images."""


@pytest.fixture(scope="module", params=[("plain", 2), ("rich", 1)], ids=lambda param: param[0])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenes, EvaluationSet]:
    """A set that is written once for all models."""
    scenes, per_class = request.param
    folder = tmp_path_factory.mktemp(scenes)
    write_evaluation_set(folder, WritingOptions(seed=99, workers=1), per_class=per_class, scenes=scenes)
    return scenes, EvaluationSet.open(str(folder))


@pytest.mark.parametrize(("architecture", "tag"), SHIPPED)
def test_a_shipped_model_has_the_accuracy_of_its_card(
    architecture: str, tag: str, data: tuple[Scenes, EvaluationSet]
) -> None:
    scenes, shown = data
    model = create_model(architecture, pretrained=tag).eval()
    wanted = preprocessing(model)
    images = torch.from_numpy(shown.images(range(len(shown.labels)), wanted.size, wanted.interpolation))
    head = zero_shot_head(model, build_tokenizer(architecture), shown.classnames, shown.templates)
    right = predict(model, head, images, wanted) == torch.from_numpy(shown.labels)
    card = CARDS[architecture][scenes]
    # three standard errors of these fewer images, and a little
    assert abs(float(right.double().mean()) - card) <= 3 * (card * (1 - card) / len(right) + 1e-4) ** 0.5
