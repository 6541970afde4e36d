"""The import contract, read from the source: who may import whom, wherever in a file the import stands."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = {"sdx": ROOT / "python" / "sdx", "sdx_kernels": ROOT / "kernels" / "sdx_kernels"}

# From the top. A part imports its own layer and those below it. An artefact checks itself through its whole input
# specification, so align is below weights; a source may crop, so align is below sources too.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("report", "export", "pretrain", "training"),
    ("evaluation",),
    ("teachers", "students"),
    ("sources",),
    ("weights",),
    ("align",),
    ("networks", "simface"),
    (
        "assets",
        "pictures",
        "plugins",
        "recipes",
        "config",
        "devices",
        "files",
        "slices",
        "precision",
        "random",
        "types",
        "errors",
    ),
)
RANK = {part: len(LAYERS) - rank for rank, parts in enumerate(LAYERS) for part in parts}
MAY_IMPORT_CORE = {"random", "training", "sources", "evaluation", "weights"}
SIMFACE_MAY_IMPORT = {"simface", "types", "errors"}


def _sources() -> dict[str, Path]:
    found = {}
    for package, folder in TREES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


SOURCES = _sources()
MODULES = set(SOURCES) | {"sdx._core"}


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _resolve(tree: ast.AST, module: str, *, is_package: bool) -> set[str]:
    """The modules of ours that ``module`` names in imports, at the top of the file or inside functions."""
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                above = here[: len(here) - node.level + is_package]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                named.add(deeper if deeper in MODULES else base)
    return {name for name in named if name.split(".")[0] in TREES}


def _imports(module: str) -> set[str]:
    path = SOURCES[module]
    return _resolve(ast.parse(path.read_text("utf-8")), module, is_package=path.name == "__init__.py")


def _part(module: str) -> str:
    if module.endswith(".__main__"):  # a command, like cli, whichever package it stands in
        return "__main__"
    return module.split(".")[1] if "." in module else ""


IMPORTS = {module: _imports(module) for module in SOURCES}
OF_SDX = sorted(module for module in SOURCES if module.split(".")[0] == "sdx" and module != "sdx")


def test_the_reader_sees_every_form_of_import() -> None:
    text = "import sdx.files as f\nfrom . import errors\ndef g():\n    from sdx import types\n    import sdx._core"
    assert _resolve(ast.parse(text), "sdx.plugins", is_package=False) == {
        "sdx.files",
        "sdx.errors",
        "sdx.types",
        "sdx._core",
    }
    assert _resolve(ast.parse("from .errors import SdxError"), "sdx", is_package=True) == {"sdx.errors"}
    assert len(OF_SDX) > 20


@pytest.mark.parametrize("module", OF_SDX)
def test_imports_go_down(module: str) -> None:
    assert _part(module) in RANK, f"{module}: give it a layer in LAYERS"
    for target in IMPORTS[module]:
        if target.split(".")[0] == "sdx_kernels" or target in ("sdx", "sdx._core"):
            continue
        assert target in MODULES, f"{module} imports {target}, which does not exist"
        assert RANK[_part(target)] <= RANK[_part(module)], f"{module} imports {target}, which lies above it"


@pytest.mark.parametrize("module", OF_SDX)
def test_only_the_root_package_is_imported_from_outside(module: str) -> None:
    # `from sdx import InputSpec` inside sdx would make the package import itself while it is being imported.
    assert "sdx" not in IMPORTS[module], f"{module} imports names from the package sdx: take them from their module"


def test_the_root_package_imports_the_lowest_layer_alone() -> None:
    assert {_part(target) for target in IMPORTS["sdx"]} <= {"types", "errors"}


@pytest.mark.parametrize("module", sorted(module for module in SOURCES if module.split(".")[0] == "sdx_kernels"))
def test_kernels_know_nothing_of_sdx(module: str) -> None:
    assert not {target for target in IMPORTS[module] if target.split(".")[0] == "sdx"}


def test_simface_is_a_pure_world() -> None:
    for module in OF_SDX:
        if _part(module) == "simface":
            assert {_part(target) for target in IMPORTS[module]} <= SIMFACE_MAY_IMPORT, module
            assert not {target for target in IMPORTS[module] if target.split(".")[0] == "sdx_kernels"}, module


def test_the_rust_core_is_imported_where_it_may_be() -> None:
    users = {_part(module) for module in OF_SDX if "sdx._core" in IMPORTS[module]}
    assert users
    assert users <= MAY_IMPORT_CORE


def _graph() -> dict[str, set[str]]:
    """Importing a.b.c runs a and a.b first, unless the importer lives in them."""
    graph = {}
    for module in SOURCES:
        reached = set(IMPORTS[module])
        for target in IMPORTS[module]:
            reached.update(parent for parent in _parents(target) if parent not in (module, *_parents(module)))
        graph[module] = (reached & set(SOURCES)) - {module}
    return graph


def test_no_import_cycle() -> None:
    try:
        TopologicalSorter(_graph()).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))
