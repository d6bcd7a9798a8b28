import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from pocketfit.bundle import manifest
from pocketfit.contract import Contract

DOCS = Path(__file__).parents[2] / "docs"
DOC = (DOCS / "bundle.md").read_text(encoding="utf-8")


def fields() -> Iterator[str]:
    for name in manifest.__all__:
        kind = getattr(manifest, name)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from (f"{name}.{field}" for field in kind.model_fields)


@pytest.mark.parametrize("field", fields())
def test_every_field_is_documented(field: str) -> None:
    assert f"`{field.partition('.')[2]}`" in DOC


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Contract)])
def test_every_field_of_the_preprocessing_is_documented(field: str) -> None:
    assert f"`{field}`" in (DOCS / "preprocessing.md").read_text(encoding="utf-8")


def test_every_documented_field_exists() -> None:
    known = {field.partition(".")[2] for field in fields()}
    documented = set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", DOC, flags=re.MULTILINE))
    assert {name for pair in documented for name in pair if name} <= known


def test_the_example_is_a_manifest() -> None:
    example = DOC.partition("## An example")[2]
    shortened_hash = re.compile(r"([0-9a-f]{4})…")
    data = json.loads(shortened_hash.sub(lambda match: match[1] * 16, example))
    assert manifest.Manifest.model_validate(data).artifacts[0].golden == "int8-affine"
