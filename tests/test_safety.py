"""No line of the package can run code that a file holds: what could is looked for in its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "tbar_ray"
NEVER = {
    "pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads", "yaml.unsafe_load", "yaml.full_load",
    "eval", "exec", "os.system", "os.popen", "extractall", "extract", "unpack_archive", "joblib.load",
}  # fmt: skip
"""Calls that read objects with code, run text, or write files where an archive says."""
ONLY_WITH: dict[str, tuple[str, object]] = {
    "torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False),
}  # fmt: skip
"""Calls that are safe with one argument alone."""
OF_RAY = {("execution/stage_task.py", "cloudpickle.loads")}
"""A stage, which its coordinator sent: whoever can talk to Ray can run code anyway."""


def dangers(source: str) -> Iterator[str]:
    """The calls of a text that may run what they read."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rsplit(".", 1)[-1]
        if name in NEVER or (last in NEVER and last not in ("eval", "exec", "load", "loads")):
            yield name
        given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
        if name in ONLY_WITH and given.get(ONLY_WITH[name][0]) is not ONLY_WITH[name][1]:
            yield name
        if name == "yaml.load" and "Safe" not in ast.unparse(node):
            yield name
        if given.get("shell") is True:
            yield f"{name} with a shell"


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)", "np.load(f, allow_pickle=True)",
        "pickle.loads(content)", "yaml.load(text, Loader=yaml.Loader)", "tar.extractall(folder)", "eval(text)",
        "subprocess.run(text, shell=True)", "shutil.unpack_archive(file)",
    ],
)  # fmt: skip
def test_what_may_run_code_is_found(line: str) -> None:
    assert list(dangers(line)) != []


@pytest.mark.parametrize(
    "line", ["torch.load(path, weights_only=True)", "model.eval()", "yaml.safe_load(text)", "json.loads(text)"]
)
def test_what_is_safe_is_left_alone(line: str) -> None:
    assert list(dangers(line)) == []


def test_nothing_in_the_package_can_run_what_a_file_holds() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 100
    found = {(str(file.relative_to(ROOT)), call) for file in files for call in dangers(file.read_text())}
    assert found == OF_RAY
