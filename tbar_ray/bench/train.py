"""Contrastive training: our loop and readers against open_clip's own training code, on the same shards."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tbar_ray.bench.measure import Comparison, alternate
from tbar_ray.bench.stream import written
from tbar_ray.data.corpus import Corpus
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.streaming.options import ReaderOptions
from tbar_ray.streaming.order import Order
from tbar_ray.streaming.stream import ShardStream
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.options import Optimisation

LEARNING_RATE = 1e-3
CASES = (("tbar-RN-tiny", 64, 64, 60, 1.2), ("tbar-ViT-tiny", 64, 64, 60, 1.2), ("ViT-B-32", 256, 8, 4, 1.0))
"""(architecture, side of the JPEGs, batch, steps, required ratio)."""


def train_benchmarks(folder: Path, repeats: int, workers: int, device: torch.device) -> Iterator[Comparison]:
    """Yield one comparison per architecture; both sides train in float32."""
    for architecture, side, batch, steps, least in CASES:
        corpus = written(folder / f"{side}px", 20_000 if side == 64 else 5_000, side)
        ours = partial(_ours, corpus, architecture, batch, steps, workers, device)
        peer = OpenClipTraining(corpus, architecture, batch, steps, workers, device)
        mine, theirs = alternate(ours, peer.run, repeats=repeats)
        work = f"{steps} steps of {batch} pairs, {architecture}, float32 on {device.type}, {workers} readers or workers"
        what = "train_one_epoch and the data pipeline of open_clip_train, with its own augmentation"
        yield Comparison(f"train {architecture}", work, "images", steps * batch, mine, what, theirs, least)


def _ours(corpus: Corpus, architecture: str, batch: int, steps: int, workers: int, device: torch.device) -> float:
    """Seconds of a training, including reading, but without creating model and readers."""
    model = create_model(architecture, seed=0).to(device)
    preprocess = preprocessing(model)
    options = ReaderOptions(architecture, preprocess.size, "bicubic")
    order = Order(np.arange(min(len(corpus.keys), batch * steps)), seed=0)
    objective = Contrastive(model, preprocess)
    with ShardStream(corpus, order, options, batch_size=batch, epochs=1, readers=workers) as stream:
        stream.ready()
        started = time.perf_counter()
        record = train(objective, stream, steps, Optimisation(learning_rate=LEARNING_RATE, precision="fp32"))
        seconds = time.perf_counter() - started
    assert record.steps == steps, f"{record.steps} steps of {steps}"
    return seconds


class OpenClipTraining:
    """open_clip_train's data pipeline, optimiser and epoch, combined as in its `main` for one device."""

    def __init__(
        self, corpus: Corpus, architecture: str, batch: int, steps: int, workers: int, device: torch.device
    ) -> None:
        from open_clip_train.params import parse_args

        arguments = ["--train-data", "::".join(corpus.shard_urls), "--train-num-samples", str(batch * steps)]
        arguments += ["--dataset-type", "webdataset", "--batch-size", str(batch), "--workers", str(workers)]
        arguments += ["--model", architecture, "--precision", "fp32", "--lr", str(LEARNING_RATE), "--warmup", "0"]
        arguments += ["--epochs", "1", "--grad-clip-norm", "1.0"]
        self.args: Any = parse_args(arguments)
        state = {"device": str(device), "rank": 0, "local_rank": 0, "world_size": 1, "distributed": False}
        for name, value in {**state, "horovod": False, "distill": False, "wandb": False}.items():
            setattr(self.args, name, value)
        self._device = device
        self._steps = steps
        self._data: Any = None

    def run(self) -> float:
        """Seconds of an epoch, without creating model and loader; workers are warm from the second run on."""
        import webdataset
        from open_clip import create_loss
        from open_clip.factory import create_model_and_transforms
        from open_clip_train import data as pipeline
        from open_clip_train.scheduler import cosine_lr
        from open_clip_train.train import train_one_epoch

        logging.getLogger().setLevel(logging.WARNING)
        # open_clip's own tar reader expects a field that newer webdataset releases omit at the end of a shard; it is
        # replaced by webdataset's, from which it was copied.
        pipeline.tarfile_to_samples_nothrow = webdataset.tarfile_to_samples(handler=pipeline.log_and_continue)
        args = self.args
        model, for_training, for_scoring = create_model_and_transforms(
            args.model, precision=args.precision, device=self._device, output_dict=True
        )
        if self._data is None:
            tokenizer = build_tokenizer(args.model)
            self._data = pipeline.get_data(args, (for_training, for_scoring), epoch=0, tokenizer=tokenizer)
        few = [p for n, p in model.named_parameters() if p.ndim < 2 or "bn" in n or "ln" in n]
        rest = [p for n, p in model.named_parameters() if not (p.ndim < 2 or "bn" in n or "ln" in n)]
        optimizer = torch.optim.AdamW(
            [{"params": few, "weight_decay": 0.0}, {"params": rest, "weight_decay": args.wd}],
            lr=args.lr,
            betas=(args.beta1, args.beta2),
            eps=args.eps,
        )
        scheduler = cosine_lr(optimizer, args.lr, args.warmup, self._steps)
        started = time.perf_counter()
        train_one_epoch(model, self._data, create_loss(args), 0, optimizer, None, scheduler, None, args)
        return time.perf_counter() - started
