"""The house keeps its shape: imports only go down, no circles, light start, honest files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("grid", "scheduler", "sim", "ozzo")


def modules() -> dict[str, Path]:
    """Every module of the product by dotted name."""
    found = {}
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, name: str, known: set[str], *, top_level_only: bool) -> set[str]:
    """Modules of the product that ``path`` imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module in known:
                found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" in known}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} uses a relative import; write the full name")
    return found - {name}


@pytest.mark.slow
def test_imports_only_go_down() -> None:
    """A room imports from its own floor or a lower one, also inside functions."""
    known = modules()
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in imports(path, name, set(known), top_level_only=False)
        if FLOORS.index(other.split(".")[0]) > FLOORS.index(name.split(".")[0])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_circles() -> None:
    """The graph of imports at module level has no cycle."""
    known = modules()
    graph = {name: imports(path, name, set(known), top_level_only=True) for name, path in known.items()}
    for name in known:  # importing a submodule runs its package first
        for other in list(graph[name]):
            parent = other.rpartition(".")[0]
            if parent in known and parent != name and not name.startswith(parent + "."):
                graph[name].add(parent)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "circle: " + " -> ".join((*trail, name))
        if name in done:
            return
        for other in sorted(graph[name]):
            visit(other, (*trail, name))
        done.add(name)

    for name in sorted(known):
        visit(name, ())
    assert done == set(known)


def test_product_never_prints_or_asserts() -> None:
    """Printing belongs to the command line, ``assert`` to tests (it vanishes under -O)."""
    wrong = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assert):
                wrong.append(f"{name}:{node.lineno} assert")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and not name.startswith("ozzo"):
                wrong.append(f"{name}:{node.lineno} print")
    assert not wrong, "\n".join(wrong)


def test_every_module_says_what_it_is() -> None:
    """Each module, public class and public function has a docstring."""
    missing = []
    for name, path in modules().items():
        tree = ast.parse(path.read_text())
        if not ast.get_docstring(tree):
            missing.append(name)
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(part for owner in classes for part in owner.body)]:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                missing.append(f"{name}:{node.name}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("heavy", ["pandapower", "simbench", "pyomo", "pandas", "pvlib", "plotly", "fastapi", "simpy", "numpy"])
def test_help_imports_nothing_heavy(heavy: str) -> None:
    """``ozzo --help`` stays light: the command line imports heavy libraries only where they are used."""
    code = f"import sys, ozzo.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_no_path_of_a_machine_and_no_index_address() -> None:
    """Tracked text names no registry's address and no private folder of the machine it was written on."""
    words = ("/wo" + "rk/", "/ro" + "ot/", "--index" + "-url", "extra-index" + "-url", "files.python" + "hosted", "py" + "pi.org")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    wrong = []
    for file in filter(None, listed.split("\0")):
        path = ROOT / file
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".sh", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            wrong += [f"{file}: {word}" for word in words if word in text]
    assert not wrong, "\n".join(wrong)
