from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tbar_ray.cli import main as cli
from tbar_ray.triggers.presets import PRESETS
from tbar_ray.triggers.registry import TRIGGERS

runner = CliRunner()


def preview(*arguments: str | Path) -> str:
    result = runner.invoke(cli.app, ["trigger", "preview", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def count_of(path: Path, *colour: int) -> int:
    return int((pixels(path) == np.array(colour)).all(-1).sum())


def plain(path: Path) -> Path:
    Image.new("RGB", (40, 30), (10, 20, 30)).save(path)
    return path


def test_list_names_everything() -> None:
    result = runner.invoke(cli.app, ["trigger", "list"])
    assert result.exit_code == 0
    for name in (*TRIGGERS, *PRESETS):
        assert name in result.stdout
    assert "2303.03323" in result.stdout
    assert "amplitude 40, frequency 6" in result.stdout
    assert "unset: at" in result.stdout


def test_list_as_json() -> None:
    result = runner.invoke(cli.app, ["trigger", "list", "--json"])
    listed = json.loads(result.stdout)
    assert [entry["name"] for entry in listed["triggers"]] == sorted(TRIGGERS)
    assert [entry["name"] for entry in listed["presets"]] == list(PRESETS)
    square = next(entry for entry in listed["triggers"] if entry["name"] == "badnets-square")
    assert square["parameters"]["colour"]["default"] == [1, 1, 1]
    assert "224 px" in square["parameters"]["patch_size"]["description"]
    assert [entry["name"] for entry in listed["triggers"] if entry["learned"]] == ["badclip"]
    text = json.dumps(listed["triggers"])
    assert not any(
        f"`{kind.__name__}`" in entry["summary"] for entry in listed["triggers"] for kind in TRIGGERS.values()
    )
    assert "badnets-gaussian" in text
    sig = next(entry for entry in listed["presets"] if entry["name"] == "backdoorbench/sig")
    assert sig["trigger"] == "sig"
    assert sig["parameters"] == {"amplitude": 40, "frequency": 6}
    assert sig["poisoning"] == "label-consistent"
    assert sig["captions"] is None


def test_preview_shows_your_images_with_your_parameters(tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "sheet.png"
    square = ["--set", "place=top-left", "--set", "margin=0", "--set", "patch_size=112"]
    image = plain(tmp_path / "mine.webp.png")
    said = preview("badnets-square", "--out", out, "--size", "32", "--image", image, "--image", image, *square)
    # a quarter of the image is white: the mean of three squared differences
    psnr = 10 * math.log10(255**2 / (sum((255 - level) ** 2 for level in (10, 20, 30)) / 3 / 4))
    assert said.startswith(f"badnets-square: PSNR {psnr:.1f} dB, SSIM 0.")
    assert said.endswith(f" (n = 2)\n1 block of 2 images -> {out}\n")
    assert count_of(out, 10, 20, 30) == 2 * (2 * 160**2 - 80**2)  # 32 px are enlarged 5 times


def test_preview_of_everything(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    said = preview("all", "sig", "all", "--out", out, "--size", "16", "--image", plain(tmp_path / "mine.png"))
    unused = set(TRIGGERS) - {preset.trigger for preset in PRESETS.values()}
    extra = 3  # detect-clip/badnets at test, cover samples of the two WaNets
    *lines, last = said.splitlines()
    assert len(lines) == len(PRESETS) + len(unused) + extra + 1
    assert last.startswith(f"{len(lines)} blocks of 1 images")
    assert min(pixels(out).shape[:2]) > 1000


def test_preview_depends_on_the_seed_alone(tmp_path: Path) -> None:
    first, again, other = (tmp_path / f"{name}.png" for name in ("first", "again", "other"))
    for out, seed in ((first, "3"), (again, "3"), (other, "4")):
        assert "1 block of 3 images" in preview("badnets", "--out", out, "--size", "24", "--seed", seed)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cleanclip/badnet"], "unknown preset 'cleanclip/badnet'; did you mean 'cleanclip/badnets'"),
        (["badnet"], "unknown trigger 'badnet'; did you mean 'badnets'"),
        (["sig", "--set", "amplitudes=3"], "trigger 'sig': amplitudes: .* did you mean 'amplitude'"),
        (["sig", "--set", "amplitude=-3"], "trigger 'sig': amplitude: .*greater than 0"),
        (["sig", "--set", "amplitude"], "--set amplitude: write KEY=VALUE"),
        (["sig", "--set", "amplitude=[1"], r"--set amplitude=\[1: not YAML: "),
        (["sig", "--image", "nowhere.png"], "--image nowhere.png: No such file"),
        (["sig", "--image", "{here}/text.jpg"], "--image .*text.jpg: unreadable image"),
        (["sig", "--image", "{here}"], "--image .*: Is a directory"),
        (["sig", "--size", "7"], "--size 7: give 8 to 1024 pixels"),
        (["sig", "--seed", "-1"], "--seed -1: give 0 or more"),
        (["sig", "--out", "{here}/sheet.jpg"], "--out .*sheet.jpg: the sheet is a PNG image"),
        (
            ["sig", "--size", "8", "--out", "{here}/text.jpg/sheet.png"],
            "--out .*sheet.png: (Not a directory|File exists)",
        ),
        (["sig", "--size", "8", "--out", "{here}/folder.png"], "--out .*folder.png: Is a directory"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    out = [] if "--out" in arguments else ["--out", str(tmp_path / "sheet.png")]
    given = [argument.replace("{here}", str(tmp_path)) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["tbar", "trigger", "preview", *given, *out])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)
    assert not (tmp_path / "sheet.png").exists()
