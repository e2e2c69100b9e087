from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.reference import LONG_LIST, SCHEMA_FILE, reference, schema, schema_text
from tests.specs import spec

REFERENCE_FILE = Path(__file__).parents[2] / "docs" / "spec.md"
STALE = "is stale: run `make docs-reference`"


def models() -> dict[str, dict[str, Any]]:
    root = schema()
    return {root["title"]: root, **root["$defs"]}


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), f"{SCHEMA_FILE.name} {STALE}"


def test_the_committed_reference_is_that_of_the_models() -> None:
    assert REFERENCE_FILE.read_text(encoding="utf-8") == reference(), f"{REFERENCE_FILE.name} {STALE}"


def test_every_field_says_what_it_is() -> None:
    silent = [
        f"{name}.{key}"
        for name, model in models().items()
        for key, field in model["properties"].items()
        if not field.get("description")
    ]
    assert silent == []


def test_every_model_and_field_stands_in_the_reference() -> None:
    sections = {part.partition("\n")[0]: part for part in reference().split("\n## ")[1:]}
    assert set(sections) == set(models())
    for name, model in models().items():
        rows = [line.split(" | ")[0] for line in sections[name].splitlines() if line.startswith("| `")]
        assert rows == [f"| `{key}`" for key in model["properties"]]


@pytest.mark.parametrize(
    ("section", "row"),
    [
        ("CampaignSpec", "| `data` | [Data](#data) | **required** |"),
        ("CampaignSpec", "| `attacks` | mapping of names to [Attack](#attack) (at least 1) | **required** |"),
        ("CampaignSpec", "| `methods` | mapping of names to [Method](#method) | `{}` |"),
        ("CampaignSpec", "| `forget` | [Forget](#forget) | its defaults |"),
        (
            "Training",
            '| `optimisation` | [Optimisation](#optimisation) | `{"learning_rate": 1e-05, "warmup_steps": 50}` |',
        ),
        ("PoisonSpec", "| `rate` | number > 0, ≤ 1 or null | `null` |"),
        ("Optimisation", '| `schedule` | `cosine` or `constant` | `"cosine"` |'),
        ("Augmentation", "| `crop` | [number, number] | `[0.9, 1.0]` |"),
    ],
)
def test_a_row_gives_type_bounds_and_default(section: str, row: str) -> None:
    (part,) = (part for part in reference().split("\n## ") if part.startswith(f"{section}\n"))
    assert row in part


def test_a_model_that_stands_in_several_places_names_them_all() -> None:
    (part,) = (part for part in reference().split("\n## ") if part.startswith("Training\n"))
    places = "`model.training`, `attacks.NAME.poison.training`, `poison.training`, `disentanglement.training`"
    assert f"At {places}." in part


def test_a_long_default_shows_its_ends() -> None:
    alpha = CampaignSpec.model_fields["alpha"].default
    assert len(alpha) > LONG_LIST
    assert f"`[{alpha[0]}, {alpha[1]}, …, {alpha[-1]}]`, {len(alpha)} values" in reference()


def test_the_schema_is_valid_and_judges_as_the_models_do() -> None:
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    content = spec().model_dump(mode="json")
    assert validator.is_valid(content)
    assert not validator.is_valid({**content, "colour": "red"})
    assert not validator.is_valid({**content, "seed": -1})
    assert not validator.is_valid({key: value for key, value in content.items() if key != "attacks"})
