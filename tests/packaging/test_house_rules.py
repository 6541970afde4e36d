"""Files a reader can hold in mind, and a docstring on everything public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = sorted([*(ROOT / "python" / "sdx").rglob("*.py"), *(ROOT / "kernels" / "sdx_kernels").rglob("*.py")])
RUST = sorted(path for crate in ("core", "py") for path in (ROOT / "rust" / crate / "src").rglob("*.rs"))
MOST_LINES, MEDIAN_LINES = 400, 200

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


@pytest.mark.parametrize("path", [*PYTHON, *RUST], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    assert _lines(path) <= MOST_LINES


@pytest.mark.parametrize("paths", [PYTHON, RUST], ids=["python", "rust"])
def test_most_files_are_short(paths: list[Path]) -> None:
    assert len(paths) > 5
    assert median(_lines(path) for path in paths) <= MEDIAN_LINES


def _is_written_twice(node: ast.AST) -> bool:
    """An overload's or a setter's docstring is that of the function it belongs to."""
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(d).rsplit(".", 1)[-1] in ("overload", "setter", "deleter") for d in decorators)


def _undocumented(node: Documented, name: str) -> Iterator[str]:
    if ast.get_docstring(node) is None and not _is_written_twice(node):
        yield name
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and child.name[0] != "_":
                yield from _undocumented(child, f"{name}.{child.name}")


def test_the_rule_finds_what_lacks_a_docstring() -> None:
    text = '"""m"""\nclass A:\n    """a"""\n    def f(self): ...\n    def _g(self): ...\ndef h():\n    def k(): ...\n'
    assert list(_undocumented(ast.parse(text), "m")) == ["m.A.f", "m.h"]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_has_a_docstring(path: Path) -> None:
    assert list(_undocumented(ast.parse(path.read_text("utf-8")), path.stem)) == []
