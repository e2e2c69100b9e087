import gc

import numpy as np
import torch

from tbar_ray.streaming.slots import Place, Slots, piece


def test_a_slot_is_free_again_when_every_view_of_it_is_gone() -> None:
    slots = Slots(1, 24)
    slot = slots.take()
    assert slot is not None
    assert slots.take() is None
    array = slots.array(slot, (2, 3, 4))
    tensor = torch.from_numpy(array).permute(0, 2, 1)[1:]
    del array
    gc.collect()
    assert slots.take() is None
    del tensor
    gc.collect()
    assert slots.take() == slot


def test_another_process_sees_the_same_bytes() -> None:
    slots = Slots(3, 8)
    assert slots.place is not None
    theirs = piece(slots.place, 1, (2, 4))
    assert theirs is not None
    theirs[:] = np.arange(8).reshape(2, 4)
    assert slots.array(1, (8,)).tolist() == list(range(8))
    assert not slots.array(0, (8,)).any()
    assert not slots.array(2, (8,)).any()


def test_memory_of_another_machine_or_of_none_is_not_mapped() -> None:
    slots = Slots(1, 8)
    assert slots.place is not None
    assert piece(slots.place._replace(name="tbar-stream-of-somebody-else"), 0, (8,)) is None
    assert piece(Place("/proc/1/fd/9999", "tbar-stream-x", 8), 0, (8,)) is None


def test_arrays_in_use_outlive_the_slots() -> None:
    slots = Slots(1, 8)
    slot = slots.take()
    assert slot is not None
    array = slots.array(slot, (8,))
    array[:] = 7
    slots.close()
    assert slots.take() is None
    assert array.tolist() == [7] * 8
