"""Every way of installing, tried on a clean copy of the tracked files: wheel, sdist, `pip install .` and `-e .`.

Nothing is downloaded: the build backend is the environment's own, and cargo works offline in the checkout's target
folder, so that what has been compiled is not compiled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import maturin
import pytest

ROOT = Path(__file__).parents[2]
DEPENDENCIES = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="building sdx needs cargo"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the clean copy is made of the files that git tracks"),
]

# The dependencies come last, and without their .pth files: a development install of sdx among them cannot help.
PROBE = """
import sys
sys.path += {dependencies!r}
from pathlib import Path
import sdx, sdx._core, sdx_kernels
{more}
inside = Path({inside!r}).resolve()
for module in (sdx, sdx._core, sdx_kernels):
    assert inside in Path(module.__file__).resolve().parents, (module.__file__, inside)
import numpy, torch
assert sdx._core.normals(1, 2, numpy.arange(3), 4).shape == (3, 4)
assert sdx_kernels.crop_resize(torch.ones(1, 3, 4, 4), 2).sum().item() == 12.0
from importlib.metadata import distribution
found = distribution("sdx")
assert Path(found.locate_file("")).resolve().is_relative_to({environment!r}), found.locate_file("")
assert [(entry.name, entry.value) for entry in found.entry_points] == [("sdx", "sdx.cli:main")]
"""


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_", "MAKE"))}
    environment |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]]),
        "CARGO_TARGET_DIR": str(ROOT / "rust" / "target"),
        "CARGO_NET_OFFLINE": "true",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _tracked() -> list[str]:
    names = _run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in names if name and os.path.lexists(ROOT / name)]


def _clone(folder: Path) -> Path:
    for name in _tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)  # with its time: cargo compiles what is newer
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _clone(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _wheel(clone, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    _run(sys.executable, "-m", "maturin", "sdist", "--out", folder, cwd=clone)
    (archive,) = folder.iterdir()
    return archive


def _wheel(source: Path, folder: Path) -> Path:
    _run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, source)
    (made,) = folder.iterdir()
    return made


def _install(folder: Path, *what: str | Path) -> Path:
    """An environment of its own that holds the build backend and ``what``; returns its Python."""
    venv.create(folder / "environment", with_pip=False)
    python = folder / "environment" / "bin" / "python"
    backend = folder / "backend"
    backend.mkdir()
    (backend / "maturin").symlink_to(Path(maturin.__file__).parent)
    purelib = _run(python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(purelib) / "backend.pth").write_text(f"{backend}\n")
    pip = (sys.executable, "-m", "pip", "--python", python)
    _run(*pip, "install", "--no-build-isolation", "--no-deps", *what)
    return python


def _probe(python: Path, inside: Path, more: str = "") -> None:
    environment = str(python.parents[1].resolve())
    code = PROBE.format(dependencies=DEPENDENCIES, inside=str(inside), environment=environment, more=more)
    _run(python, "-I", "-c", code)


def _contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _shipped() -> set[str]:
    """What the wheel must hold of the tracked files."""
    places = {"python/sdx/": "sdx/", "kernels/sdx_kernels/": "sdx_kernels/"}
    return {
        place + name.removeprefix(folder)
        for name in _tracked()
        for folder, place in places.items()
        if name.startswith(folder)
    }


def test_the_documents_of_the_package_exist() -> None:
    for name in ("README.md", "LICENSE"):
        assert (ROOT / name).stat().st_size > 500


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = _contents(wheel)
    assert "-cp311-abi3-" in wheel.name
    own = {name for name in names if ".dist-info/" not in name}
    assert own == _shipped() | {"sdx/_core.abi3.so"}
    assert {"sdx/py.typed", "sdx/_core/__init__.pyi", "sdx_kernels/py.typed", "sdx_kernels/__init__.py"} <= own
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_wheel_installs(wheel: Path, tmp_path: Path) -> None:
    python = _install(tmp_path, wheel)
    _probe(python, tmp_path / "environment", more="import sdx.cli")
    assert (python.parent / "sdx").exists()


def test_the_sdist_makes_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "rust/Cargo.lock", "PKG-INFO"} <= inside
    (tmp_path / "wheel").mkdir()
    made = _wheel(sdist, tmp_path / "wheel")
    assert _contents(made) == _contents(wheel)
    _probe(_install(tmp_path, made), tmp_path / "environment")


def test_pip_install_of_a_clean_clone(clone: Path, tmp_path: Path) -> None:
    _probe(_install(tmp_path, clone), tmp_path / "environment")


def test_editable_install_of_a_clean_clone(tmp_path: Path) -> None:
    source = _clone(tmp_path / "clone")  # its own: this one writes the extension into the sources
    python = _install(tmp_path, "--editable", source)
    _probe(python, source)


def test_without_the_install_the_environment_has_no_sdx(tmp_path: Path) -> None:
    venv.create(tmp_path / "environment", with_pip=False)
    with pytest.raises(AssertionError, match="No module named 'sdx'"):
        _probe(tmp_path / "environment" / "bin" / "python", tmp_path)
