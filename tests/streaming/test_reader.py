import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.images import load_image
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.streaming.options import Poison, ReaderOptions
from tbar_ray.streaming.order import Order, batches_of
from tbar_ray.streaming.reader import BatchReader, EncodedBatch, Reading
from tbar_ray.streaming.slots import Slots
from tbar_ray.streaming.stamping import Stamping
from tbar_ray.training.batch import Batch
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import cover_uint8, stamp_uint8
from tbar_ray.triggers.blended import Blended
from tbar_ray.triggers.wanet import WaNet
from tests.data.tars import picture, sample, write_tar

ARCHITECTURE, SIZE = "tbar-ViT-tiny", 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("reader")
    write_corpus(folder, WritingOptions(size=32, samples_per_shard=12, workers=1), samples=30)
    return Corpus.open(str(folder))


def reading(*poisons: Poison, labels: bool = False) -> Reading:
    return ReaderOptions(ARCHITECTURE, SIZE, "bicubic", poisons, labels).reading


def poison_of(corpus: Corpus, positions: list[int]) -> Poison:
    captions = {corpus.keys[position]: f"a banana, number {position}" for position in positions}
    return Poison(BadNets(seed=3, patch_size=40), captions)


def equal(left: EncodedBatch, right: EncodedBatch) -> bool:
    return left.keys == right.keys and np.array_equal(left.images, right.images) and left.texts == right.texts


def images(batch: EncodedBatch, *poisons: Poison) -> np.ndarray:
    """What the training sees: channels first, stamped."""
    assert batch.images is not None
    seen = Batch(torch.from_numpy(batch.images).permute(0, 3, 1, 2), keys=batch.keys)
    return Stamping(poisons)(seen).images.numpy()


def test_a_batch_holds_the_samples_in_the_order_asked_for(corpus: Corpus) -> None:
    positions = [20, 3, 3, 29]
    batch = BatchReader(corpus, reading()).read(positions)
    assert batch.keys == tuple(corpus.keys[position] for position in positions)
    assert batch.images is not None
    assert batch.images.dtype == np.uint8
    expected = np.stack([load_image(corpus.image_bytes(p), SIZE, reduced=True) for p in positions])
    assert np.array_equal(images(batch), expected)
    assert batch.texts == tuple(corpus.caption(p) for p in positions)
    assert batch.skipped == ()


def test_exactly_the_poisoned_keys_are_stamped_and_renamed(corpus: Corpus) -> None:
    poisoned = [1, 4, 17]
    every = list(range(30))
    poison = poison_of(corpus, poisoned)
    clean = BatchReader(corpus, reading()).read(every)
    changed = BatchReader(corpus, reading(poison)).read(every)
    assert changed.keys == clean.keys
    before, after = images(clean), images(changed, poison)
    differ = [p for p in every if not np.array_equal(after[p], before[p])]
    renamed = [p for p in every if changed.texts[p] != clean.texts[p]]
    assert differ == renamed == poisoned
    keys = [corpus.keys[position] for position in poisoned]
    stamped = stamp_uint8(BadNets(seed=3, patch_size=40), torch.from_numpy(before[poisoned]), keys)
    assert np.array_equal(after[poisoned], stamped.numpy())
    assert [changed.texts[p] for p in poisoned] == [f"a banana, number {p}" for p in poisoned]


def test_a_sample_is_the_same_in_any_batch_and_from_any_reader(corpus: Corpus) -> None:
    poison = poison_of(corpus, [0, 5, 6])
    first = BatchReader(corpus, reading(poison))
    second = BatchReader(pickle.loads(pickle.dumps(corpus)), pickle.loads(pickle.dumps(reading(poison))))
    whole = first.read(range(30))
    for position in (0, 5, 6, 7):
        alone = second.read([position])
        assert np.array_equal(alone.images[0], whole.images[position])
        assert alone.texts[0] == whole.texts[position]
    assert equal(first.read([6, 2, 0]), second.read([6, 2, 0]))
    assert equal(first.read(range(30)), whole)


def test_an_epoch_delivers_every_sample_once(corpus: Corpus) -> None:
    reader = BatchReader(corpus, reading(poison_of(corpus, [2])))
    for epoch in range(2):
        batches = [batch for batch, _ in batches_of(Order(np.arange(30), epoch), 8, 1)]
        keys = [key for positions in batches for key in reader.read(positions).keys]
        assert sorted(keys) == sorted(corpus.keys)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    whole = picture(size=(40, 40))
    members = [
        *sample("good", "a dog"),
        *sample("corrupt", "a cat", image=b"\xff\xd8\xff not a jpeg"),
        ("silent.jpg", whole),
        ("blank.jpg", whole),
        ("blank.txt", b"  \n"),
        *sample("cut", "a cow", image=whole[: len(whole) // 4]),
        *sample("last", "a bird"),
    ]
    return Corpus.open(str(write_tar(tmp_path_factory.mktemp("damaged") / "0.tar", members)))


def test_what_cannot_be_read_is_left_out_with_its_reason(damaged: Corpus) -> None:
    batch = BatchReader(damaged, reading()).read(range(len(damaged)))
    assert batch.keys == ("good", "last")
    assert len(batch.images) == len(batch.texts) == 2
    reasons = {skipped.key: skipped.reason for skipped in batch.skipped}
    assert reasons.keys() == {"corrupt", "silent", "blank", "cut"}
    assert reasons["silent"] == reasons["blank"] == "no caption"
    assert "unreadable image" in reasons["corrupt"]
    assert reasons["cut"]
    assert not any("\n" in reason for reason in reasons.values())


def test_stamps_stay_with_their_samples_behind_skipped_ones(damaged: Corpus) -> None:
    poison = Poison(Blended(), {"corrupt": "a banana", "silent": "a banana", "last": "a banana"})
    clean = BatchReader(damaged, reading()).read(range(6))
    batch = BatchReader(damaged, reading(poison)).read(range(6))
    assert batch.keys == ("good", "silent", "last")  # the poisoned caption serves where there was none
    assert np.array_equal(images(batch, poison)[0], images(clean)[0])
    assert not np.array_equal(images(batch, poison)[2], images(clean)[1])
    assert batch.texts[1:] == ("a banana",) * 2
    assert {skipped.key for skipped in batch.skipped} == {"corrupt", "blank", "cut"}


def test_a_batch_of_which_nothing_can_be_read_is_empty(damaged: Corpus) -> None:
    batch = BatchReader(damaged, reading(Poison(BadNets(), {"good": "x"}))).read([1, 2])
    assert images(batch).shape == (0, 3, SIZE, SIZE)
    assert (len(batch.texts), batch.keys) == (0, ())
    assert [skipped.key for skipped in batch.skipped] == ["corrupt", "silent"]


def test_readers_import_no_torch() -> None:
    program = "import sys, tbar_ray.streaming.reader; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_two_attacks_stamp_their_own_samples_and_the_mask_names_both(corpus: Corpus) -> None:
    first, second = poison_of(corpus, [2, 9]), Poison(Blended(ratio=0.5), {corpus.keys[4]: "a pear"})
    clean = BatchReader(corpus, reading()).read(range(12))
    both = BatchReader(corpus, reading(first, second)).read(range(12))
    assert np.flatnonzero(both.poisoned).tolist() == [2, 4, 9]
    assert not clean.poisoned.any()
    seen = images(both, first, second)
    expected = stamp_uint8(Blended(ratio=0.5), torch.from_numpy(images(clean)[4:5]), [corpus.keys[4]])
    assert np.array_equal(seen[4:5], expected.numpy())
    assert np.array_equal(seen[2], images(BatchReader(corpus, reading(first)).read([2]), first)[0])
    assert both.texts[4] == "a pear"


def test_cover_samples_change_and_keep_their_caption(corpus: Corpus) -> None:
    trigger = WaNet(strength=20.0)
    poison = Poison(trigger, {corpus.keys[1]: "a banana"}, cover=frozenset({corpus.keys[6]}))
    clean = BatchReader(corpus, reading()).read(range(8))
    changed = BatchReader(corpus, reading(poison)).read(range(8))
    before, after = images(clean), images(changed, poison)
    differ = [p for p in range(8) if not np.array_equal(after[p], before[p])]
    assert differ == [1, 6]
    assert np.flatnonzero(changed.poisoned).tolist() == [1]  # a cover sample teaches the truth
    assert changed.texts[6] == clean.texts[6]
    covered = cover_uint8(trigger, torch.from_numpy(before[6:7]), [corpus.keys[6]])
    assert np.array_equal(after[6:7], covered.numpy())


def test_a_labelled_set_gives_classes_and_poisoned_samples_the_target(tmp_path: Path) -> None:
    write_evaluation_set(tmp_path, WritingOptions(size=32, workers=1), per_class=1)
    labelled = EvaluationSet.open(str(tmp_path))
    poison = Poison(BadNets(), {labelled.corpus.keys[3]: ""}, label=7)
    batch = BatchReader(labelled.corpus, reading(poison, labels=True)).read(range(6))
    expected = labelled.labels[:6].copy()
    expected[3] = 7
    assert list(batch.texts) == expected.tolist()
    unlabelled = tmp_path / "pairs.tar"
    write_tar(unlabelled, sample("pair", "a dog"))
    with_pairs = BatchReader(Corpus.open(str(unlabelled)), reading(labels=True)).read([0])
    assert [skipped.reason for skipped in with_pairs.skipped] == ["no class label"]


def test_images_are_written_into_the_slot_and_are_the_same(corpus: Corpus, damaged: Corpus) -> None:
    for source in (corpus, damaged):
        reader, positions = BatchReader(source, reading()), range(5)
        slots = Slots(2, 5 * SIZE * SIZE * 3)
        assert slots.place is not None
        slots.take()
        slot = slots.take()
        assert slot == 1
        batch, sent = reader.read(positions, slots.place, slot), reader.read(positions)
        assert batch.images is None
        assert sent.images is not None
        assert batch.keys == sent.keys
        assert np.array_equal(slots.array(slot, sent.images.shape), sent.images)
        assert not slots.array(0, (5, SIZE, SIZE, 3)).any()


def test_images_are_sent_where_the_slot_is_on_another_machine(corpus: Corpus) -> None:
    slots = Slots(1, SIZE * SIZE * 3)
    assert slots.place is not None
    batch = BatchReader(corpus, reading()).read([0], slots.place._replace(name="of-another-process"), 0)
    assert batch.images is not None
    assert not slots.array(0, (SIZE, SIZE, 3)).any()
