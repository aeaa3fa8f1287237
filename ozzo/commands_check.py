"""The functions behind ``ozzo check``, ``ozzo schema`` and ``ozzo reference``; they return text, ``ozzo.cli`` prints it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from grid.errors import Finding

FINE = 0
WRONG_INPUT = 2


def check(files: Sequence[str], *, as_json: bool = False, environment: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Check every file once; what to print, and the exit code (2 when there is a finding).

    The JSON form is ``{"files": [...], "findings": [{"file", "line", "field", "found", "expected", "nearest"}, ...],
    "notes": [...]}``; notes are repairs and stale answers of feeds, which are no faults.
    """
    from scheduler.document import check_notes

    files = list(dict.fromkeys(files))
    checked = [check_notes(file, environment=environment) for file in files]
    findings = [finding for found, _ in checked for finding in found]
    notes = [f"{file}: {note}" for file, (_, said) in zip(files, checked, strict=True) for note in said]
    code = WRONG_INPUT if findings else FINE
    if as_json:
        found = {"files": files, "findings": [asdict(finding) for finding in findings], "notes": notes}
        return json.dumps(found, indent=2, ensure_ascii=False), code
    return "\n".join([*notes, told(files, findings)]), code


def told(files: Sequence[str], findings: Sequence[Finding]) -> str:
    """Findings for people: one a line, then a line that sums up."""
    if not findings:
        return f"{_counted(len(files), 'file')} checked, nothing wrong found."
    wrong = len({finding.file for finding in findings})
    return "\n".join([*map(str, findings), f"{_counted(len(findings), 'finding')} in {_counted(wrong, 'file')}."])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def schema(*, protocol: bool = False) -> str:
    """The JSON Schema of the scenario document, or of the command protocol."""
    if protocol:
        from ozzo.protocol_schema import text

        return text()
    from scheduler.document.reference import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False)


def reference(*, as_json: bool = False) -> str:
    """The reference page of the scenario document, in Markdown, or its fields as JSON."""
    from scheduler.document.reference import field_rows
    from scheduler.document.reference import reference as page

    return json.dumps({"fields": field_rows()}, indent=2, ensure_ascii=False) if as_json else page()
