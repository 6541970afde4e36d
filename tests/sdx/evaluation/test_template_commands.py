"""``sdx eval-templates`` and ``sdx identify``: from files to figures, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ijb_folder import World

from sdx.cli import cli, main
from sdx.errors import DataError
from sdx.evaluation.template_file import TemplateFile


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose lists stand in the current folder, and its embeddings in a file under the field's names."""
    made = World()
    made.write(tmp_path)
    np.savez(tmp_path / "e.npz", embs=made.face, embs_f=made.mirrored)
    monkeypatch.chdir(tmp_path)
    return made


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def test_options_counts_and_both_answers_are_told(world: World) -> None:
    found = json.loads(_run("eval-templates", "e.npz", "--meta", ".", "--json"))
    assert found["name"] == "ijbc"
    assert found["options"] == {
        "norm_weighting": True,
        "detector_weighting": True,
        "flip": "sum",
        "called": {"eval_ijbc": "N1D1F1", "ijb_evals": "N0D1F1"},
    }
    assert (found["images"], found["templates"]) == (len(world.face), 160)
    assert (found["mated"], found["nonmated"]) == (120, 120 * 39)
    exact, field = found["rates"]["1e-3"]
    assert (exact["policy"], field["policy"]) == ("at most", "nearest")
    assert exact["attained"] <= 1e-3
    table = _run("eval-templates", "e.npz", "--meta", "meta")
    for text in ("norm weighting on", "eval_ijbc.py: N1D1F1", "120 mated, 4,680 non-mated", "160 templates", "EER"):
        assert text in table
    assert max(map(len, table.splitlines())) <= 140


def test_a_file_may_hold_everything(world: World, tmp_path: Path) -> None:
    same = {"template": world.template, "media": world.media, "detector_score": world.score.astype(np.float32)}
    pairs = {"p1": world.first, "p2": world.second, "label": world.mated.astype(np.uint8)}
    np.savez(tmp_path / "apart.npz", embedding=world.face, mirrored=world.mirrored, **same, **pairs)
    halves = np.concatenate([world.face, world.mirrored], 1)
    np.savez(tmp_path / "halves.npz", img_feats=halves.astype(np.float64), **same, **pairs)
    lists = json.loads(_run("eval-templates", "e.npz", "--meta", ".", "--json"))
    for arguments in (("apart.npz",), ("halves.npz", "--halves")):
        found = json.loads(_run("eval-templates", *arguments, "--json"))
        assert {**found, "name": "ijbc"} == lists


def test_options_and_scripts_names_lead_to_the_same(world: World) -> None:
    def rates(command: str, *options: str) -> object:
        found = json.loads(_run(command, "e.npz", "--meta", ".", *options, "--json"))
        return [value for key, value in found.items() if key != "name"]

    for command in ("eval-templates", "identify"):
        bare = rates(command, "--no-norms", "--no-detector", "--flip", "none")
        assert bare == rates(command, "--as", "eval_ijbc:N0D0F0") == rates(command, "--as", "ijb_evals:N1D0F0")
        assert bare != rates(command)
        assert rates(command) == rates(command, "--norms", "--detector", "--flip", "sum")
        assert rates(command, "--flip", "concat") != rates(command)


def test_each_gallery_and_the_mean_are_told(world: World) -> None:
    found = json.loads(_run("identify", "e.npz", "--meta", ".", "--json"))
    assert [one["name"] for one in found["galleries"]] == ["ijbc_1N_gallery_G1", "ijbc_1N_gallery_G2"]
    assert [one["subjects"] for one in found["galleries"]] == [20, 20]
    assert all(one["mated"] + one["nonmated"] == found["probes"] == 120 for one in found["galleries"])
    assert found["cmc"]["1"] == np.mean([one["cmc"]["1"] for one in found["galleries"]])
    assert found["options"]["called"]["ijb_evals"] == "N0D1F1"
    table = _run("identify", "e.npz", "--meta", ".", "--rank", "2")
    for text in ("closed set: 120 probes", "open set: rank 2", "mean", "not supported", "ijb_evals.py: N0D1F1"):
        assert text in table
    assert max(map(len, table.splitlines())) <= 140


def test_galleries_may_be_named(world: World) -> None:
    parts = [f"meta/ijbc_1N_{part}.csv" for part in ("gallery_G2", "probe_mixed")]
    found = json.loads(_run("identify", "e.npz", "--meta", ".", "--gallery", parts[0], "--probes", parts[1], "--json"))
    whole = json.loads(_run("identify", "e.npz", "--meta", ".", "--json"))
    assert found["galleries"] == whole["galleries"][1:]


def test_a_gallery_of_everyone_has_no_open_set(world: World, tmp_path: Path) -> None:
    lines = [(tmp_path / f"meta/ijbc_1N_gallery_G{k}.csv").read_text().splitlines(keepends=True) for k in (1, 2)]
    (tmp_path / "all.csv").write_text("".join(lines[0] + lines[1][1:]))
    probes = "meta/ijbc_1N_probe_mixed.csv"
    table = _run("identify", "e.npz", "--meta", ".", "--gallery", "all.csv", "--probes", probes)
    assert "nothing sets a threshold" in table
    found = _run("identify", "e.npz", "--meta", ".", "--protocol", "insightface-legacy", "--json")
    older = json.loads(found)
    assert (older["subjects"], older["probes"]) == (40, 120)
    assert set(older["recall"]) == {"1e-1", "1e-2"}
    assert "it is no FPIR" in _run("identify", "e.npz", "--meta", ".", "--protocol", "insightface-legacy")


@pytest.mark.parametrize(
    ("asked", "arrays", "named"),
    [
        ("images", {"a": np.zeros(3)}, "embedding or embs or img_feats, got a"),
        ("images", {"embs": np.ones((2, 2)), "embedding": np.ones((2, 2))}, "got embedding and embs"),
        ("images", {"embs": np.ones((2, 2), int)}, "floats of 2 dimensions, got int64 [2, 2]"),
        ("images", {"embs": np.ones(2)}, "got float64 [2]"),
        ("images", {"embs": np.ones((0, 2))}, "got float32 [0, 2]"),
        ("images", {"embs": np.ones((2, 2)), "embs_f": np.ones((2, 3))}, "mirrored embeddings float32 [2, 2]"),
        ("images", {"embs": np.array([object()])}, "plain arrays"),
        ("templates", {"embs": np.ones((2, 2))}, "template or templates, got embs"),
        ("templates", {"template": np.zeros(2), "media": np.zeros(2, int)}, "template as whole numbers"),
        ("templates", {"template": np.zeros(2, int), "media": np.zeros(3, int)}, "[2, 3]"),
        ("pairs", {"label": np.zeros(1)}, "first or p1, got label"),
        ("pairs", {"label": np.full(1, 2), "p1": [1], "p2": [1]}, "a label, 0 or 1"),
        ("pairs", {"label": np.zeros(1, "V4"), "p1": [1], "p2": [1]}, "labels |V4 [1]"),
        ("pairs", {"label": np.ones(1, "m8[s]"), "p1": [1], "p2": [1]}, "labels timedelta64[s] [1]"),
        ("pairs", {"label": np.ones(1), "p1": np.array([2**64 - 1], np.uint64), "p2": [1]}, "got 18446744073709551615"),
        ("pairs", {"label": np.zeros(2), "p1": [1], "p2": [1]}, "got 1 and 1 templates and labels float64 [2]"),
    ],
)
def test_a_file_that_does_not_hold_what_is_asked(
    tmp_path: Path, asked: str, arrays: dict[str, Any], named: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError) as error:
        getattr(TemplateFile(tmp_path / "x.npz"), asked)()
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_halves_need_rows_of_even_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", embs=np.ones((2, 3)))
    with pytest.raises(DataError, match=r"of even length, got float32 \[2, 3\]"):
        TemplateFile(tmp_path / "x.npz").images(halves=True)


def test_numbers_beyond_float32_are_no_embeddings(world: World, tmp_path: Path) -> None:
    np.savez(tmp_path / "huge.npz", embs=world.face.astype(np.float64) * 1e300)
    with pytest.raises(DataError, match="NaN or infinity for image"):
        _run("eval-templates", "huge.npz", "--meta", ".", "--flip", "none")


def test_a_score_beyond_float32_ends_in_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    (marks,) = Path("meta").glob("*_name_5pts_score.txt")
    first, rest = marks.read_text().split("\n", 1)
    marks.write_text(f"{first.rpartition(' ')[0]} 1e300\n{rest}")
    monkeypatch.setattr("sys.argv", ["sdx", "eval-templates", "e.npz", "--meta", "."])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.count("\n") == 1
    assert not recwarn.list


def test_a_script_without_a_name_ends_in_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["sdx", "eval-templates", "e.npz", "--meta", ".", "--as", "N1D1F1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith("error: expected eval_ijbc:N1D1F1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval-templates"],
        ["eval-templates", "none.npz"],
        ["eval-templates", "e.npz", "--as", "eval_ijbc:N1D1F1", "--no-norms"],
        ["identify", "e.npz"],
        ["identify", "e.npz", "--meta", ".", "--gallery", "meta/ijbc_1N_gallery_G1.csv"],
        ["identify", "e.npz", "--meta", ".", "--probes", "meta/ijbc_1N_probe_mixed.csv"],
        ["identify", "e.npz", "--meta", ".", "--rank", "0"],
        ["identify", "e.npz", "--meta", ".", "--protocol", "insightface-legacy", "--rank", "2"],
    ],
)
def test_wrong_usage_is_refused(world: World, arguments: list[str]) -> None:
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 2
    assert "Error" in found.stderr
