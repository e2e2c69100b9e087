from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tbar_ray.cli.main import main
from tbar_ray.errors import SpecError
from tbar_ray.spec.load import load_spec
from tests.specs import content, write

TPE = "search={sampler: tpe, trials: 3, axes: {attack: [badnets], learning_rate: %s}}"
BAD = {  # override → what follows "FILE: " on the one line
    "nmae=x": "nmae: unknown key; did you mean 'name'?",
    "poisson.rate=0.1": "poisson: unknown key; did you mean 'poison'?",
    "poison.trainning={}": "poison.trainning: unknown key; did you mean 'training'?",
    "data.synthetic.sise=3": "data.synthetic.sise: unknown key; did you mean 'size'",
    "attacks.badnets.triger=x": "attacks.badnets.triger: unknown key; did you mean 'trigger'",
    "poison.training.optimisation.learnig_rate=1": (
        "poison.training.optimisation.learnig_rate: unknown key; did you mean 'learning_rate'?; also: "
        "poison.training.optimisation.learning_rate: required, but missing"
    ),
    "attacks.badnets={trigger: badnets, taget: x}": "attacks.badnets.taget: unknown key; did you mean 'target'",
    "name=null": "name: Input should be a valid string (got None)",
    "name=2024": "name: Input should be a valid string (got 2024); YAML reads it so: write it in quotes",
    "attacks.badnets.target=no": "attacks.badnets.target: Input should be a valid string (got False); YAML reads it so",
    f"name={'x' * 201}": "name: String should have at most 200 characters",
    "data={train: '', evaluation: y}": "data: an empty place, which would be the working directory",
    "data={train: x, evaluation: ' '}": "data.evaluation: an empty place, which would be the working directory",
    "data={train: [{url: ''}], evaluation: y}": "data.train.",
    "attacks={'': {trigger: badnets, target: x}}": "attacks: a name has 1 to 100 letters, unlike ''",
    f"attacks={{{'x' * 101}: {{trigger: badnets, target: x}}}}": "attacks: a name has 1 to 100 letters, unlike 'xxxx",
    f"tasks={{{'x' * 101}: {{synthetic: night}}}}": "tasks: a name has 1 to 100 letters",
    "name=a b": "name: String should match pattern",
    "seed=-1": "seed: Input should be greater than or equal to 0 (got -1)",
    "poison.rate=0": "poison.rate: Input should be greater than 0 (got 0)",
    "poison.rate=1.5": "poison.rate: Input should be less than or equal to 1 (got 1.5)",
    "poison.rate=-0.1": "poison.rate: Input should be greater than 0 (got -0.1)",
    "poison.rate=.nan": "poison.rate: Input should be a finite number (got nan)",
    "poison.rate=null": "poison: give either 'rate' or 'count'",
    "poison.count=3": "poison: give either 'rate' or 'count'",
    "poison.training.optimisation={}": "poison.training.optimisation.learning_rate: required, but missing",
    "poison.training.optimisation.learning_rate=abc": "poison.training.optimisation.learning_rate: Input should",
    "alpha=[0, -1]": "alpha.1: Input should be greater than or equal to 0 (got -1)",
    "alpha=[]": "alpha: List should have at least 1 item",
    "forget.clean_fraction=1": "forget.clean_fraction: Input should be less than 1 (got 1)",
    "evaluation.rebound.at=[0, 10, 5]": "evaluation.rebound: at: steps must rise from 0 or more, which [0, 10, 5] do",
    "evaluation.rebound={steps: 30, at: [0, 31]}": "evaluation.rebound: at: step 31 is beyond the last one",
    "evaluation.rebound.sweep=[0]": "evaluation.rebound.sweep.0: Input should be greater than 0 (got 0)",
    "evaluation.downstream=[int4]": "evaluation.downstream.0: Input should be 'int8', 'bf16', 'pruned', 'wise-ft',",
    "evaluation.rebound.pars=9": "evaluation.rebound.pars: unknown key; did you mean 'pairs'",
    "forget.size=0": "forget.size: Input should be greater than or equal to 1 (got 0)",
    "evaluation.min_retention=1.2": "evaluation.min_retention: Input should be less than or equal to 1",
    "resources.training_cpus=0": "resources.training_cpus: Input should be greater than or equal to 1",
    "attacks={}": "attacks: Dictionary should have at least 1 item",
    "model={pretrained: scenes, synthetic: {samples: 100}}": "model: 'synthetic' is what the clean model is trained on",
    "model.samples_seen=1000": "model: 'samples_seen' is of given weights: give 'pretrained' too",
    "model.training=null": "model: give 'pretrained' (a tag or a file) or 'training' (train it here); without a clean",
    "data.train=x": "data: give either 'synthetic' or 'train' and 'evaluation', not both",
    "data={train: x}": "data: give 'synthetic', or both 'train' and 'evaluation'",
    "data.subset=m.json": "data: subset: it is of train by URL; in a list of corpora, give each its own",
    "data={train: [{url: x}], evaluation: y, subset: m.json}": "data: subset: it is of train by URL",
    "search.axes={}": "search.axes: several attacks but no axis 'attack'",
    "search.axes=3": "search.axes: Input should be a valid dictionary (got 3)",
    "search.axes.attack=badnets": "search.axes.attack: Input should be a valid list (got 'badnets')",
    "search.axes.forget_size=[]": "search: axes.forget_size: the list is empty",
    "search.axes.forget_size={low: 1, high: 9}": "search: axes.forget_size: sampler 'grid' needs a list of values",
    "search.sampler=bayes": "search.sampler: Input should be 'grid', 'random', 'tpe', 'gp' or 'nsga2' (got 'bayes')",
    "search.sampler=tpe": "search: trials: sampler 'tpe' needs a number of trials",
    "search={sampler: nsga2, trials: 4, axes: {attack: [badnets]}}": "search: objective: sampler 'nsga2' searches",
    TPE % "{low: 1e-3, high: 1e-5}": "search.axes.learning_rate: low 0.001 is not below high 1e-05",
    TPE % "{low: 1e-5, high: 1e-3, logg: true}": "search.axes.learning_rate.logg: unknown key; did you mean 'log'",
    TPE % "{low: 1e-5}": "search.axes.learning_rate.high: required, but missing",
    TPE % "{low: 0, high: .inf}": "search.axes.learning_rate.high: Input should be a finite number (got inf)",
}
FILES = {  # text → what follows "FILE" on the one line
    "": ": a campaign spec is a mapping with 'name'",
    "- a": ": a campaign spec is a mapping with 'name'",
    "a: [": " line 1: not YAML: expected the node content",
    "name: x\n\ta: {": " line 2: not YAML: found character '\\t'",
    "\x00": ": has zero bytes, as UTF-16 without a byte order mark has",
    "\x01": ": not YAML: unacceptable character #x0001",
    "name: !!python/object:os.system x": " line 1: not YAML: could not determine a constructor",
    "name: x": ": data: required, but missing; also: model: required, but missing; attacks: required, but missing",
}
OVERRIDES = {
    "poison.rate": "--set poison.rate: write key.sub=value",
    "=3": "--set =3: write key.sub=value",
    "poison.rate.x=3": "--set poison.rate.x=3: 'rate' is not a mapping",
    "search.axes.attack.0=x": "--set search.axes.attack.0=x: 'attack' is not a mapping",
    "poison.rate=[": "--set poison.rate=[: not YAML: expected the node content, but found '<stream end>'",
}


def failure(path: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line on stderr of a command that ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["tbar", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize("override", BAD)
def test_a_bad_value_is_one_line_naming_file_and_field(
    tmp_path: Path, override: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path)
    message = failure(path, override)
    assert message.startswith(f"{path}: {BAD[override]}")
    assert cli(monkeypatch, capsys, "campaign", "plan", str(path), "--set", override) == f"error: {message}"


def test_the_same_in_the_file(tmp_path: Path) -> None:
    assert ": poison.rate: Input should be greater than 0" in failure(write(tmp_path, poison__rate=0))
    assert ": name: required, but missing" in failure(write(tmp_path, name=...))
    assert ": attacks.badnets.target: required, but missing" in failure(write(tmp_path, attacks__badnets__target=...))
    assert ": poison.rte: unknown key; did you mean 'rate'" in failure(write(tmp_path, poison={"rte": 0.1}))


@pytest.mark.parametrize("text", FILES)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert failure(path).startswith(f"{path}{FILES[text]}")


def test_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, binary = tmp_path / "none.yaml", tmp_path / "binary.yaml"
    binary.write_bytes(b"\xe9\xff")
    assert failure(missing) == f"{missing}: No such file or directory"
    assert failure(tmp_path) == f"{tmp_path}: Is a directory"
    assert failure(binary).startswith(f"{binary} line 1: not UTF-8 text; ")
    for command in ("plan", "run", "status"):
        line = cli(monkeypatch, capsys, "campaign", command, str(missing))
        assert line == f"error: {missing}: No such file or directory"


def test_as_a_process_of_its_own_that_loads_no_library_first(tmp_path: Path) -> None:
    program = """
import sys
sys.modules.update(torch=None, ray=None)
from tbar_ray.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "campaign", "run", str(write(tmp_path, poison__rate=0))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines() == [
        f"error: {tmp_path}/spec.yaml: poison.rate: Input should be greater than 0 (got 0)"
    ]


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_malformed_override(tmp_path: Path, override: str) -> None:
    assert failure(write(tmp_path), override) == OVERRIDES[override]


def test_overrides_reach_any_depth(tmp_path: Path) -> None:
    made = load_spec(
        write(tmp_path),
        [
            "poison.training.optimisation.learning_rate=1e-5",
            "search.axes.forget_size=[1, 2]",
            "unlearning.parameters.steps=3",
            "description=a=b c",
            "alpha=[0, 1e-1]",
            "alpha=[0, 2e-1]",
        ],
    )
    assert made.poison.training.optimisation.learning_rate == 1e-5
    assert made.search.axes["forget_size"] == [1, 2]
    assert made.search.axes["attack"] == ["badnets", "blended"]
    assert made.unlearning.parameters == {"steps": 3}
    assert made.description == "a=b c"
    assert made.alpha == [0, 0.2]  # the later one counts


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "+1e-5", "1.e-5", "1.0e-5", "0.00001"])
def test_scientific_notation_is_a_number_everywhere(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spec.yaml"
    body = write(tmp_path).read_text()
    path.write_text(f"{body}unlearning: {{parameters: {{learning_rate: {text}, deep: [{text}]}}}}\nalpha: [{text}]\n")
    made = load_spec(path, [f"search.axes.learning_rate=[{text}]"])
    assert made.unlearning.parameters == {"learning_rate": 1e-5, "deep": [1e-5]}
    assert made.alpha == [1e-5]
    assert made.search.axes["learning_rate"] == [1e-5]
    assert all(isinstance(v, float) for v in [*made.alpha, made.unlearning.parameters["learning_rate"]])


def test_words_that_only_look_like_numbers_stay_words(tmp_path: Path) -> None:
    made = load_spec(write(tmp_path), ["description='e5'", "attacks.badnets.target=1e5 cars"])
    assert made.description == "e5"
    assert made.attacks["badnets"].target == "1e5 cars"


def test_a_sound_file_is_what_it_says(tmp_path: Path) -> None:
    made = load_spec(write(tmp_path))
    assert made.name == content()["name"]
    assert made.poison.rate == 0.05
    assert math.isclose(sum(made.alpha), 10.5)


def test_shipped_specs_are_sound() -> None:
    jobs = sorted((Path(__file__).parents[2] / "jobs").rglob("*.yaml"))
    assert [load_spec(path).name for path in jobs if path.stem == "quickstart"] == ["quickstart"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_spec_is_read_whatever_editor_wrote_it(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, description="naïve")
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode(encoding))
    assert load_spec(path).description == "naïve"


@pytest.mark.parametrize(
    ("name", "override", "expected"),
    [
        ("unlearning.parameters.learning_rate", "search.axes.unlearning.parameters.learning_rate=[1e-5]", [1e-5]),
        ("unlearning.parameters.learning_rate", "search.axes.tbar.learning_rate=[1e-5]", None),
    ],
)
def test_an_axis_with_dots_in_its_name_can_be_set(
    name: str, override: str, expected: list[float] | None, tmp_path: Path
) -> None:
    path = write(tmp_path, search={"axes": {"attack": ["badnets", "blended"], name: [1e-4]}})
    axes = load_spec(path, [override]).search.axes
    assert axes[name] == (expected or [1e-4])
    assert len(axes) == (2 if expected else 3)
    assert axes.get("tbar.learning_rate") == (None if expected else [1e-5])


def test_the_end_of_a_range_with_dots_in_its_name_can_be_set(tmp_path: Path) -> None:
    search = {
        "sampler": "tpe",
        "trials": 3,
        "axes": {"attack": ["badnets"], "tbar.learning_rate": {"low": 1e-6, "high": 1e-5}},
    }
    axis = load_spec(write(tmp_path, search=search), ["search.axes.tbar.learning_rate.high=1e-4"]).search.axes
    assert axis["tbar.learning_rate"].high == 1e-4  # type: ignore[union-attr]
