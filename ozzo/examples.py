"""The scenarios that ship with ozzo, for people who installed the wheel and have no checkout."""

from __future__ import annotations

from pathlib import Path

from grid.errors import Finding, InputError

_PACKAGE = Path(__file__).parent


def shipped() -> Path:
    """Folder of the shipped scenarios: inside the wheel, or ``configs`` of a checkout."""
    inside = _PACKAGE / "_shipped" / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def names() -> tuple[str, ...]:
    """Names of the shipped scenarios."""
    return tuple(sorted(path.stem for path in shipped().glob("*.yaml")))


def write_examples(out: Path) -> tuple[Path, ...]:
    """Copy the shipped scenarios, with the data and events that they name, into ``out``; returns the scenario files.

    Raises:
        InputError: a file of that name is there already; then nothing is written.
    """
    source = shipped()
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    there = [out / path.relative_to(source) for path in files if (out / path.relative_to(source)).exists()]
    if there:
        raise InputError([Finding(str(path), None, "", "a file of that name", "nothing there yet") for path in there])
    for path in files:
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tuple(out / f"{name}.yaml" for name in names())
