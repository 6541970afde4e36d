"""``sdx train``: every fault a user can make ends as one line and exit code 1, and nothing is lost."""

import errno
from pathlib import Path

import pytest
import torch
from PIL import Image

from sdx import cli, files, students
from sdx.cli.train import train
from sdx.weights import artefact

TINY = [
    "source=simface",
    "source.size=32",
    "students.small.size=32",
    "images=64",
    "batch=16",
    "eval=none",
    "baselines=false",
    "held_out=0",
]
TINY += ["baselines=false", "held_out=0", "validate_every=none", "checkpoint_every=32"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    artefact.save(path, students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT"))
    return f"teacher={path}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``sdx train`` as the console script does and return its exit code."""
    monkeypatch.setattr("sys.argv", ["sdx", "train", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    code = caught.value.code
    return 0 if code is None else int(code)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["iamges=3"], "did you mean images?"),
        (["optimizer.rl=3"], "did you mean optimizer.lr?"),
        (["images=many"], "got 'many'"),
        (["dmo"], "did you mean demo?"),
        (["demo", "folder"], "expected one recipe"),
        (["teacher=absent.safetensors"], "absent.safetensors"),
        (["teacher=cut.safetensors"], "cut.safetensors"),
        (["--run-dir", "file/run"], "use --run-dir"),
        (["source=faces", "sampler=resample"], "use sampler=fresh"),
        (["source=absent.zip"], "absent.zip"),
        ([f"images={2**48}", f"batch={2**47}"], "expected more memory than there is"),
        (["students.small.embedding=16"], "got 32 of the teacher and 16 of student small"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    words: str,
    teacher: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("file").write_text("in the way")
    Path("cut.safetensors").write_bytes(Path(teacher.removeprefix("teacher=")).read_bytes()[:5000])
    Path("faces").mkdir()
    for n in range(3):
        Image.new("RGB", (32, 32), (n, n, n)).save(f"faces/{n}.png")
    assert _run(monkeypatch, *TINY, teacher, *arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True], lines
    assert words in lines[0]


def test_changed_configuration_loses_nothing(
    teacher: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sdx", "train", *TINY, teacher])
    for number in (1, 2):
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert not caught.value.code
        assert Path("runs", f"demo-{number}", "students", "small", "model.safetensors").is_file()
    folder = Path("runs/demo-1")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    changed = ["optimizer.lr=0.5", "seed=9", "--run-dir", str(folder)]
    assert _run(monkeypatch, *TINY, teacher, *changed) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "optimizer.lr: " in message
    assert "seed: 0 in the run folder, 9 now" in message
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_in_a_folder_is_refused_while_the_first_goes_on(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    with files.alone(tmp_path / "run", AssertionError("taken")):
        assert _run(monkeypatch, *TINY, teacher, "--run-dir", "run") == 1
        assert "got one where a run goes on; wait for it or use another --run-dir" in capsys.readouterr().err
        assert not list((tmp_path / "run").iterdir())
    assert _run(monkeypatch, *TINY, "images=32", teacher, "--run-dir", "run") == 0
    with files.alone(tmp_path / "run", AssertionError("taken")):  # the run has let go of it
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        assert _run(monkeypatch, *TINY, teacher, "--run-dir", "run") == 1
        assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["config.toml", "summary.json", "curve.png", "samples.png"])
def test_a_file_of_the_run_folder_that_cannot_be_written_is_one_line(
    name: str, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", full)
    assert _run(monkeypatch, *TINY, "images=32", teacher, "--run-dir", "run") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    expected = f"error: {Path('run', name)}: cannot be written (No space left on device); free space or use --run-dir"
    assert errors == [expected]
    assert not list(tmp_path.rglob(f"*{name}*"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, *TINY, "images=32", teacher, "--run-dir", "run") == 0
    assert (tmp_path / "run" / name).exists()


def test_dry_run_writes_nothing(
    teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, *TINY, teacher, "--dry-run") == 0
    text = capsys.readouterr().out
    for word in ("parameters", "MMACs", "images/s", "minutes", "of memory", "of disk", "[optimizer]"):
        assert word in text
    assert list(tmp_path.iterdir()) == []


def test_help_lists_recipes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    for recipe in ("demo", "synthdistill", "folder", "simface-teacher"):
        assert f"{recipe}: " in text


def test_options_are_these_and_no_more() -> None:
    assert sorted(cli.cli.commands) == [
        "cache",
        "calibrate",
        "embed",
        "eval",
        "eval-scores",
        "eval-templates",
        "generate",
        "identify",
        "info",
        "pretrain",
        "replay",
        "train",
    ]
    assert sorted(parameter.name or "" for parameter in train.params) == ["arguments", "dry_run", "run_dir"]


def test_a_run_that_cannot_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, teacher: str) -> None:
    folder = tmp_path / "run"
    for keys in ((teacher, "sampler=resampel"), (teacher, "eval=missing.bin"), ("teacher=missing.safetensors",)):
        assert _run(monkeypatch, "demo", *TINY, *keys, "--run-dir", str(folder)) == 1
        assert not folder.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to\nallocate"), 1),
        (MemoryError(), 1),
        (RuntimeError("a"), None),
    ],
)
def test_a_lack_of_memory_is_one_line_and_a_fault_of_ours_is_not(
    error: Exception, code: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("sdx.training.run.train", fail)
    if code is None:
        monkeypatch.setattr("sys.argv", ["sdx", "train", *TINY])
        with pytest.raises(RuntimeError, match="a"):
            cli.main()
        return
    assert _run(monkeypatch, *TINY) == code
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: expected more memory than there is") for line in lines] == [True]
