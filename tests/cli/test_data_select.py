from __future__ import annotations

import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.data.subset import read_subset
from tbar_ray.errors import DataError, SpecError
from tests.data.test_subset import write_corpus


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "select", *map(str, words)])


def test_a_subset_is_chosen_and_found_in_another_copy(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", range(40))
    write_corpus(tmp_path / "copy", range(0, 40, 2))
    result = run(tmp_path / "corpus", tmp_path / "m.json", "--samples", 20, "--seed", 1)
    assert result.exit_code == 0, result.output
    subset = read_subset(tmp_path / "m.json")
    assert result.stdout.startswith(f"20 of 40 samples (seed 1, {subset.digest[:16]}) -> {tmp_path}/m.json (")
    same = run(tmp_path / "corpus", "--manifest", tmp_path / "m.json")
    assert (same.exit_code, same.stdout) == (0, "20 of 20 samples are here\n")
    odd = [key for key in subset.keys if int(key) % 2]
    other = run(tmp_path / "copy", tmp_path / "here.json", "--manifest", tmp_path / "m.json")
    assert other.exit_code == 1
    assert "this copy has 20 samples, the source 40" in other.stdout
    assert f"{20 - len(odd)} of 20 samples are here -> {tmp_path}/here.json" in other.stdout
    assert f"{len(odd)} are missing: {', '.join(odd[:5])}, …" in other.stdout
    assert len(json.loads((tmp_path / "here.json").read_text())["keys"]) == 20 - len(odd)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", range(4))
    for words, kind, said in (
        ((), SpecError, "give --samples, to choose, or --manifest"),
        (("m.json", "--samples", 2, "--manifest", "m.json"), SpecError, "give --samples, to choose, or --manifest"),
        (("--samples", 2), SpecError, "give OUT"),
        (("m.json", "--samples", 5), DataError, "5 samples asked for, but the corpus has 4"),
        (("--manifest", tmp_path / "none.json"), DataError, "cannot read"),
    ):
        result = run(tmp_path / "corpus", *words)
        assert isinstance(result.exception, kind)
        assert said in str(result.exception)
