from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.subset import Subset, write_subset
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.data.synthetic.tasks import write_task
from tbar_ray.errors import DataError, SpecError
from tbar_ray.planning.foundation import Foundation, lay_foundation
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.attack import Attack
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.data import GivenData, Mixture
from tbar_ray.stages.models import CleanModel, PretrainedModel
from tests.specs import spec


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two shards, and an evaluation, a retrieval and a task set."""
    out = tmp_path_factory.mktemp("sets")
    write_corpus(out / "train", WritingOptions(size=16, samples_per_shard=3, workers=1), samples=6)
    write_evaluation_set(out / "eval", WritingOptions(size=16, samples_per_shard=30, workers=1), per_class=1)
    write_retrieval_set(out / "pairs", WritingOptions(size=16, workers=1), pairs=4)
    write_task(
        out / "task",
        WritingOptions(size=16, samples_per_shard=9, workers=1),
        task="night",
        per_class_train=1,
        per_class_test=1,
    )
    return out


class FilesOnly(SimpleHTTPRequestHandler):
    """A web server that lists no folders."""

    def list_directory(self, path: Any) -> None:  # noqa: ARG002 - the base class's name
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(sets: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(FilesOnly, directory=str(sets))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def given(train: Any, place: str, **changes: Any) -> CampaignSpec:
    data = {"train": train, "evaluation": f"{place}/eval", "retrieval": f"{place}/pairs"}
    return spec(data=data, tasks={"night": {"url": f"{place}/task"}}, **changes)


def prints(base: Foundation) -> list[str]:
    assert base.retrieval is not None
    return [node.fingerprint for node in (base.corpus, base.evaluation, base.retrieval, base.tasks["night"])]


def places(base: Foundation) -> list[str]:
    found = []
    for node in (base.corpus, base.evaluation, base.retrieval, base.tasks["night"]):
        assert isinstance(node, GivenData)
        found.append(node.place)
    return found


def test_home_and_variables_mean_the_same_everywhere(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(sets))
    monkeypatch.setenv("SETS", str(sets))
    plain = lay_foundation(given(str(sets / "train"), str(sets)))
    for start in ("~", "$SETS", f"file://{sets}"):
        other = lay_foundation(given(f"{start}/train", start))
        assert prints(other) == prints(plain)
        assert places(other) == places(plain)
    listed = lay_foundation(given([{"url": "~/train"}, {"url": "$SETS/train/{00000..00001}.tar"}], "~"))
    assert isinstance(listed.corpus, Mixture)
    assert [part.place for part in listed.corpus.parts] == [f"{sets}/train", f"{sets}/train/{{00000..00001}}.tar"]


def test_a_server_that_lists_no_folders_is_enough(web: str, sets: Path, tmp_path: Path) -> None:
    there = lay_foundation(given(f"{web}/train/{{00000..00001}}.tar", web))
    assert prints(there) == prints(lay_foundation(given(f"{sets}/train/{{00000..00001}}.tar", str(sets))))
    assert len(EvaluationSet.open(f"{web}/eval", cache=tmp_path).labels) == 60
    with pytest.raises(DataError, match=r"none/classnames\.txt cannot be read"):
        lay_foundation(spec(data={"train": f"{web}/train/00000.tar", "evaluation": f"{web}/none"}))


def test_shards_that_are_not_counted_do_not_count(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets / "eval", tmp_path / "eval")
    before = lay_foundation(spec(data={"train": str(sets / "train"), "evaluation": str(tmp_path / "eval")}))
    (tmp_path / "eval" / "test" / "7.tar").write_bytes(b"another file")
    after = lay_foundation(spec(data={"train": str(sets / "train"), "evaluation": str(tmp_path / "eval")}))
    assert before.evaluation.fingerprint == after.evaluation.fingerprint


def test_a_command_stays_a_command(sets: Path) -> None:
    command = f"pipe:cat {sets}/train/{{00000..00001}}.tar"
    base = lay_foundation(given(command, str(sets)))
    assert places(base)[0] == command
    other = lay_foundation(given(f"pipe:head -c 9 {sets}/train/{{00000..00001}}.tar", str(sets)))
    assert base.corpus.fingerprint != other.corpus.fingerprint


def test_a_signature_is_no_part_of_what_data_are(web: str, sets: Path) -> None:
    shards = f"{web}/train/{{00000..00001}}.tar"
    plain, first, second = (
        lay_foundation(given(f"{shards}{query}", str(sets))) for query in ("", "?se=1&sig=A", "?se=2&sig=B")
    )
    assert prints(plain) == prints(first) == prints(second)
    assert "sig=A" in places(first)[0]


def test_classes_of_one_name_are_warned_of_and_no_targets(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets / "eval", tmp_path / "eval")
    names = (tmp_path / "eval" / "classnames.txt").read_text().splitlines()
    names[7] = names[3].upper() + " "
    (tmp_path / "eval" / "classnames.txt").write_text("\ufeff" + "\r\n".join(names))
    made = spec(data={"train": str(sets / "train"), "evaluation": str(tmp_path / "eval")}, forget__size=1)
    planner = Planner(made)
    check_campaign(planner)
    (line,) = planner.warnings
    assert line.startswith(
        f"{tmp_path}/eval: classes have the same name: {names[3]!r} (3) and {names[3].upper()!r} (7)"
    )
    attack = Attack(trigger="badnets", target=names[3])
    with pytest.raises(SpecError, match=rf"^attacks\.one\.target: {names[3]!r} is ambiguous: "):
        check_campaign(Planner(made.model_copy(update={"attacks": {**made.attacks, "one": attack}})))


def test_a_loss_that_ends_a_stage_makes_other_results(sets: Path) -> None:
    made = given(str(sets / "train"), str(sets))
    strict = made.model_copy(update={"data": made.data.model_copy(update={"on_error": "error"})})
    usual, other = lay_foundation(made), lay_foundation(strict)
    assert usual.corpus.fingerprint == other.corpus.fingerprint  # the stages that train on it have the policy
    assert not set(prints(usual)[1:]) & set(prints(other)[1:])
    assert (usual.evaluation.policy, other.evaluation.policy) == ("warn", "error")


def test_a_checkpoint_is_its_content_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clean.pt").write_bytes(b"1")

    def clean(weights: str) -> PretrainedModel:
        found = lay_foundation(spec(model={"architecture": "tbar-RN-tiny", "pretrained": weights})).clean
        assert isinstance(found, PretrainedModel)
        return found

    home, absolute = clean("~/clean.pt"), clean(str(tmp_path / "clean.pt"))
    assert home == absolute
    assert home.weights == str(tmp_path / "clean.pt")
    (tmp_path / "clean.pt").write_bytes(b"22")
    assert clean("~/clean.pt").fingerprint != home.fingerprint
    with pytest.raises(SpecError, match=rf"^model\.pretrained: no file {tmp_path}/none\.pt$"):
        clean("~/none.pt")


def test_a_subset_is_what_its_manifest_names(sets: Path, tmp_path: Path) -> None:
    corpus = Corpus.open(str(sets / "train"))
    for name, samples in (("three", 3), ("four", 4)):
        write_subset(Subset.choose(corpus, samples, seed=0), tmp_path / f"{name}.json")

    def laid(subset: str | None) -> Foundation:
        data = {"train": str(sets / "train"), "evaluation": f"{sets}/eval", "subset": subset}
        return lay_foundation(spec(data=data))

    whole, three, four = laid(None), laid(str(tmp_path / "three.json")), laid(str(tmp_path / "four.json"))
    assert (whole.samples, three.samples, four.samples) == (6, 3, 4)
    assert len({base.corpus.fingerprint for base in (whole, three, four)}) == 3
    shutil.copy(tmp_path / "three.json", tmp_path / "again.json")
    assert laid(str(tmp_path / "again.json")).corpus.fingerprint == three.corpus.fingerprint
    listed = lay_foundation(given([{"url": f"{sets}/train", "subset": str(tmp_path / "three.json")}], str(sets)))
    assert isinstance(listed.corpus, Mixture)
    assert listed.corpus.parts[0].fingerprint == three.corpus.fingerprint
    with pytest.raises(DataError, match=r"cannot read .*none\.json"):
        laid(str(tmp_path / "none.json"))


def test_a_clean_model_with_pairs_of_its_own_is_that_of_a_campaign_which_trains_on_them() -> None:
    def clean(drawn: dict[str, object], **model: object) -> CleanModel:
        training = spec().model.training
        made = spec(data={"synthetic": drawn}, model={"architecture": "tbar-RN-pico", "training": training, **model})
        found = lay_foundation(made).clean
        assert isinstance(found, CleanModel)
        return found

    rich: dict[str, object] = {"samples": 400, "size": 16, "scenes": "rich", "seed": 3}
    own, alone = clean({"samples": 100, "per_class": 2}, synthetic=rich), clean({**rich, "per_class": 9})
    assert own.fingerprint == alone.fingerprint
    assert own.samples == 400
    attacked = lay_foundation(spec(data={"synthetic": {"samples": 100}}, model__synthetic=rich))
    assert attacked.samples == 100
    assert own.corpus.fingerprint != attacked.corpus.fingerprint


def test_right_captions_leave_the_corpus_as_it_was_and_wrong_ones_make_another() -> None:
    def corpus(**synthetic: object) -> str:
        made = lay_foundation(
            spec(data={"synthetic": {"samples": 400, "size": 16, "per_class": 2, **synthetic}})
        ).corpus
        return made.fingerprint

    assert corpus() == corpus(wrong_captions=0.0)
    assert corpus(wrong_captions=0.1) != corpus()
    assert "wrong_captions" not in lay_foundation(spec()).corpus.identity()
