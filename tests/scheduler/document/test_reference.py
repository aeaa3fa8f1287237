"""Reference page and JSON Schema: complete, up to date, and in agreement with the checks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from scheduler.document.fieldbook import model_in
from scheduler.document.fields import Unit
from scheduler.document.model import Document
from scheduler.document.reference import json_schema, reference
from scheduler.document.tree import read_tree
from scheduler.document.units import units_like

ROOT = Path(__file__).parents[3]
SCHEMA = json_schema()
written = cache(reference)  # the page is the same for every model: written once a process


def models(model: type[BaseModel], found: dict[str, type[BaseModel]] | None = None) -> dict[str, type[BaseModel]]:
    """Every model of the document, by name."""
    found = {} if found is None else found
    if model.__name__ not in found:
        found[model.__name__] = model
        for info in model.model_fields.values():
            child = model_in(info.annotation)
            if child is not None:
                models(child, found)
    return found


def test_reference_page_is_up_to_date() -> None:
    """docs/reference.md is what the models say now; write it with: ozzo reference --out docs/reference.md."""
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == written()


@pytest.mark.parametrize("model", models(Document).values(), ids=models(Document))
def test_every_field_says_what_it_is(model: type[BaseModel]) -> None:
    """Every field has a description, every number with a unit in its name carries that unit as data, and is in the page."""
    endings = {
        "_kw": "kW",
        "_kwh": "kWh",
        "_eur_per_mwh": "EUR/MWh",
        "_eur_per_kw": "EUR/kW",
        "_eur_per_kwh": "EUR/kWh",
        "_eur_per_kg": "EUR/kg",
        "_g_per_kwh": "g/kWh",
        "_tb": "TB",
        "_gb": "GB",
        "_mbit_per_s": "Mbit/s",
        "_minutes": "min",
        "_deg": "deg",
        "_pu": "pu",
        "_pu_per_kw": "pu/kW",
        "_pct": "pct",
        "_eur_per_h": "EUR/h",
        "_h": "h",
        "_eur": "EUR",
    }
    page = written()
    for name, info in model.model_fields.items():
        assert info.description, name
        assert info.description.rstrip().endswith("."), name
        assert f"| `{info.alias or name}` |" in page
        units = [mark.name for mark in info.metadata if isinstance(mark, Unit)]
        ending = max((ending for ending in endings if name.endswith(ending)), key=len, default="")
        if ending:
            assert units == [endings[ending]], name
        for unit in units:
            assert unit in units_like(unit)


def test_schema_is_a_schema() -> None:
    """The JSON Schema is valid under its own draft."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_scenarios_fit_the_schema(path: Path) -> None:
    """Editors find nothing wrong in the shipped scenarios."""
    errors: list[Any] = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(read_tree(path).data))
    assert errors == []


@pytest.mark.parametrize(
    "name",
    [
        "unknown_field",
        "misspelt_unit",
        "negative_capacity",
        "unknown_tier",
        "missing_field",
        "wrong_unused_template",
        "bad_time_of_day",
        "no_sites",
    ],
)
def test_schema_finds_what_the_check_finds(name: str) -> None:
    """Mistakes in single fields are wrong in editors too."""
    data = read_tree(ROOT / "tests" / "bad" / f"{name}.yaml").data
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data))
