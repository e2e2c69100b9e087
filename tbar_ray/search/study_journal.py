"""The studies of a search as a journal of Optuna's in the store, for `optuna-dashboard` and `optuna.load_study`.

The search itself needs none: it proposes the same trials again, whatever was kept. A study of the journal is a copy of
the one that is searched, to which the trials of every batch are added when the batch has ended.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tbar_ray.errors import StoreError
from tbar_ray.search.journal_place import FILE
from tbar_ray.store.store import Store

UNNAMED = "constraints"
"""Where Optuna kept constraints before they had names, and where optuna-dashboard 0.21 looks for them."""


class StudyJournal:
    """A journal that is written anew by each launch.

    Args:
        store: of the campaign.
        folder: of the campaign in it.
        scratch: a temporary folder; the journal is written there, and copied to the store as a whole.
    """

    def __init__(self, store: Store, folder: str, scratch: Path) -> None:
        self._store, self._path = store, f"{folder}/{FILE}"
        self._file = scratch / FILE
        self._storage = JournalStorage(JournalFileBackend(str(self._file)))
        self._kept: dict[str, optuna.Study] = {}

    def begin(self, study: optuna.Study, metrics: Sequence[str]) -> None:
        """Begin a copy of a study, whose objectives are some metrics."""
        copy = optuna.create_study(storage=self._storage, study_name=study.study_name, directions=study.directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            copy.set_metric_names(list(metrics))
        self._kept[study.study_name] = copy

    def add(self, study: optuna.Study, numbers: Sequence[int]) -> None:
        """Add trials of a study that have ended; a store that cannot be written keeps the records from being, too."""
        trials = study.get_trials()
        ended = [trials[number] for number in sorted(numbers)]
        for trial in ended:
            if trial.constraints:
                trial.system_attrs[UNNAMED] = list(trial.constraints.values())
        self._kept[study.study_name].add_trials(ended)
        moved = self._file.with_suffix(".copy")
        shutil.copyfile(self._file, moved)
        with suppress(StoreError):
            self._store.write_file(moved, self._path)
