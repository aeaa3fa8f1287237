"""The functions behind ``ozzo check``, ``ozzo schema`` and ``ozzo reference``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ozzo.commands_check import FINE, WRONG_INPUT, check, reference, schema

ROOT = Path(__file__).parents[2]
GOOD = str(ROOT / "configs" / "minimal.yaml")
BAD = str(ROOT / "tests" / "bad" / "misspelt_unit.yaml")


def test_nothing_wrong() -> None:
    """A good file gives exit code 0 and one sentence."""
    assert check([GOOD], environment={}) == ("1 file checked, nothing wrong found.", FINE)


def test_findings_of_all_files_for_people() -> None:
    """Every finding stands in a line that begins with file and line; the last line counts; the code is 2."""
    text, code = check([GOOD, BAD, BAD, str(ROOT / "none.yaml")], environment={})
    lines = text.splitlines()
    assert code == WRONG_INPUT
    assert lines[0].startswith(f"{BAD}:20: sites[1].battery.energy_kwh: ")
    assert "none.yaml: found no such file" in lines[1]
    assert lines[2] == "2 findings in 2 files."


def test_findings_for_machines() -> None:
    """The JSON form has every part of a finding."""
    text, code = check([BAD], as_json=True, environment={})
    (finding,) = json.loads(text)["findings"]
    assert code == WRONG_INPUT
    assert finding["file"] == BAD
    assert (finding["line"], finding["field"], finding["nearest"]) == (20, "sites[1].battery.energy_kwh", "kWh")


def test_schema_and_reference_are_texts() -> None:
    """The schema is JSON, the reference is Markdown."""
    assert json.loads(schema())["title"] == "ozzo scenario"
    assert reference().startswith("# The scenario document\n")


def test_check_imports_nothing_heavy() -> None:
    """Checking loads none of the libraries that take seconds, so it answers at once."""
    code = (
        "import sys; from ozzo.commands_check import check; print(check([sys.argv[1]])[1]); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & "
        "{'pandapower', 'simbench', 'pandas', 'pvlib', 'windpowerlib', 'pyomo', 'scipy', 'plotly', 'pyarrow', 'fastapi'}))"
    )
    for name in ("minimal", "almere"):
        path = str(ROOT / "configs" / f"{name}.yaml")
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.split("\n")[:2] == ["0", "[]"]
