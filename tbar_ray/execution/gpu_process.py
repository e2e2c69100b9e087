"""What a worker process keeps of a GPU from one stage to the next.

Ray gives a stage a process that is idle, and sets the GPUs that it may see. CUDA reads them once: a process that has
used one GPU goes on using it, whatever Ray gives it later. Ray itself reuses no process of a function that is declared
with GPUs; stages ask for theirs call by call, and starting a process for each would cost its imports each time. An
actor, such as a further worker of a training, has a new process anyway.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import cache

import ray


def is_of_another_gpu() -> bool:
    """Whether an earlier stage of this process had other GPUs than Ray gives it now."""
    return _first_given() != _given()


def free_gpu_memory() -> None:
    """Give memory that the process no longer uses back to the GPU, where other processes may need it."""
    import torch

    gc.collect()
    with suppress(RuntimeError):  # of a GPU that a stage has left in error, which is told already
        torch.cuda.empty_cache()  # nothing where CUDA has not been used


@cache
def _first_given() -> tuple[str, ...]:
    return _given()


def _given() -> tuple[str, ...]:
    return tuple(map(str, ray.get_gpu_ids()))
