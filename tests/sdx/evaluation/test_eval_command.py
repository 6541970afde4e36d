"""``sdx eval`` from the command line to the figures."""

import io
import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from sdx.cli import main, verification_tables
from sdx.cli.evaluate import evaluate
from sdx.errors import ArtefactError, ConfigError, DataError
from sdx.evaluation import comparison, datasets
from sdx.evaluation.comparison import Comparison

MODELS = """
import torch
from torch import nn
from sdx.types import InputSpec
from sdx.weights.metadata import OperatingThreshold, Origin
from sdx.weights.model import LoadedModel

class Mean:
    name, embedding, sha256 = "mean", 3, "aa" * 32
    def embed(self, face, frame):
        return face.mean((2, 3))

class Biased(Mean):
    name = "biased"
    def embed(self, face, frame):
        return face.mean((2, 3)) + 2

class Operated(Mean):
    name = "operated"
    threshold = OperatingThreshold(
        threshold=0.99, flip=False, asked_fmr=0.25, attained_fmr=0.2, interval=(0.1, 0.3), interval_kind="pairs",
        false_matches=20, pairs=100, data="[other] data", data_sha256="ee" * 32,
    )

class Broken(Mean):
    name = "broken"
    def embed(self, face, frame):
        return super().embed(face, frame) * float("nan")

def loaded():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    seen = Origin(role="data", name="lfw_faces128", data="12 images, used without labels")
    return LoadedModel("[bold]student", network, InputSpec(8), "unknown", (seen,), "bb" * 32, 3)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a user's models and two verification files: an easy one and one of equal images."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, spread in (("easy", 4), ("hard", 300)):
        items, mated = [], []
        for pair in range(40):
            colour = random.uniform(0, 255, 3)
            other = colour if pair % 2 else random.uniform(0, 255, 3)
            for shade in (colour, other):
                pixels = np.clip(shade + random.normal(0, spread, (8, 8, 3)), 0, 255).astype(np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                items.append(file.getvalue())
            mated.append(bool(pair % 2))
        (tmp_path / f"{name}.bin").write_bytes(pickle.dumps((items, mated), 3))
    np.save("ids.npy", [person for pair in range(40) for person in (2 * pair, 2 * pair + 1 - pair % 2)])
    (tmp_path / "eval_command_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(evaluate, arguments, catch_exceptions=False)


def test_json_alone_on_standard_output_one_entry_a_model_and_set(folder):
    models = ["eval_command_models:Mean", "eval_command_models:loaded"]
    found = run(*models, "--data", "easy.bin", "--data", "hard.bin", "--json", "--protocol", "insightface", "--flip")
    assert found.exit_code == 0
    assert found.stderr == ""
    results = json.loads(found.stdout)["results"]
    assert {(r["model"], r["dataset"]) for r in results} == {
        (model, data) for model in ("mean", "[bold]student") for data in ("easy", "hard")
    }
    for result in results:
        assert result["protocol"] == "insightface"
        assert result["options"]["flip"] == "sum"
        assert (result["pairs"], result["mated"], result["nonmated"]) == (40, 20, 20)
        assert set(result["tar_at_far"]) == {"1e-1", "1e-2", "1e-3"}
        assert 0 <= result["accuracy"] <= 1
    by_name = {(r["model"], r["dataset"]): r["accuracy"] for r in results}
    assert by_name["mean", "easy"] > 0.9
    assert by_name["mean", "easy"] == by_name["[bold]student", "easy"]


def test_the_table_says_protocol_counts_support_and_what_was_seen(folder):
    found = run("eval_command_models:loaded", "--data", "easy.bin")
    assert found.exit_code == 0
    for text in ("protocol exact", "flip none", "[bold]student", "easy", "20", "±", "~", "fewer than 30"):
        assert text in found.stdout
    assert "[bold]student has seen LFW's images" in found.stdout
    assert "used without labels" in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 140


def test_intervals_are_over_people_where_they_are_known(folder):
    known = ("eval_command_models:Mean", "--data", "easy.bin", "--data", "sim-easy.bin", "--subjects", "ids.npy")
    (folder / "sim-easy.bin").write_bytes((folder / "hard.bin").read_bytes())
    found = run(*known, "--subjects", "ids.npy", "--json")
    for result in json.loads(found.stdout)["results"]:
        assert result["intervals"]["replicates"] == 1000
        assert result["intervals"]["eer"]["kind"] == "subjects"
        assert result["operating"] is None
        assert result["support"] == {"1e-1": "none", "1e-2": "none", "1e-3": "none"}  # of 20 non-mated pairs
    (result,) = json.loads(run("eval_command_models:Mean", "--data", "hard.bin", "--json").stdout)["results"]
    assert result["intervals"]["replicates"] == 0
    assert result["intervals"]["eer"] is None
    accuracy = result["intervals"]["accuracy"]
    assert accuracy["kind"] == "pairs"
    assert accuracy["low"] < result["accuracy"] < accuracy["high"]
    assert "p: pair-level" in run("eval_command_models:Mean", "--data", "hard.bin").stdout
    with pytest.raises(ConfigError, match=r"--subjects once for each of 2 \.bin files, got 1"):
        run(*known)


def test_a_threshold_fixed_beforehand_is_judged_in_a_table_of_its_own(folder):
    models = ("eval_command_models:Mean", "eval_command_models:Operated", "--data", "easy.bin")
    results = json.loads(run(*models, "--threshold", "0.9", "--json").stdout)["results"]
    assert [r["operating"]["cosine"] for r in results] == [0.9, 0.9]
    mean, operated = json.loads(run(*models, "--json").stdout)["results"]
    assert mean["operating"] is None
    assert (operated["operating"]["cosine"], operated["operating"]["chosen_on"]) == (0.99, "[other] data")
    rates = operated["operating"]
    assert rates["fmr"] == rates["false_matches"] / 20
    table = run(*models).stdout
    for text in ("At the threshold fixed beforehand", "0.9900", "0.0200", "[other] data", "for FMR 0.25"):
        assert text in table
    assert max(map(len, table.splitlines())) <= 140
    assert "fixed beforehand" not in run(*models[:1], *models[2:]).stdout
    assert "operated: not judged at the threshold it brings" in run(*models, "--flip").stdout


def test_models_are_compared_with_the_first(folder):
    models = [f"eval_command_models:{name}" for name in ("Mean", "Biased", "loaded")]
    data = ("--data", "hard.bin", "--subjects", "ids.npy", "--compare")
    found = json.loads(run(*models, *data, "--json").stdout)["comparisons"]
    assert [(one["first"], one["second"]) for one in found] == [("mean", "biased"), ("mean", "[bold]student")]
    assert not any(difference["differs"] for difference in found[1]["differences"])  # the same embedding
    assert "comparisons" not in json.loads(run(*models, *data[:2], "--json").stdout)
    table = run(*models, *data).stdout
    for text in ("Second model less first", "[bold]student less mean", "McNemar", "p = 1", "no difference shown"):
        assert text in table
    assert "subjects not known" in run(*models, *data[:2], "--compare").stdout
    with pytest.raises(ConfigError, match="two models or more to compare, got 1"):
        run(models[0], *data)


def test_a_p_beyond_floats_is_not_said_to_be_zero():
    beyond = Comparison("set", "one", "other", (), 4000, 0, comparison.mcnemar(4000, 0))
    out = Console(width=140, file=io.StringIO())
    out.print(verification_tables.comparisons([beyond]))
    assert "p < 1e-99" in out.file.getvalue()


def test_a_model_that_has_not_seen_lfw_gets_no_remark(folder):
    assert "LFW" not in run("eval_command_models:Mean", "--data", "easy.bin").stdout


def test_the_six_simface_sets_are_the_default(folder, monkeypatch):
    asked = []
    easy = datasets.load("easy.bin")
    monkeypatch.setattr(datasets, "load", lambda reference, subjects: asked.append(reference) or easy)
    assert run("eval_command_models:Mean").exit_code == 0
    assert asked == ["sim-easy", "sim-pose", "sim-age", "sim-hardpose", "sim-hardage", "sim-low"]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["eval_command_models:Mean", "--data", "sim-hard"], DataError, "did you mean"),
        (["eval_command_models:Mean", "--data", "none.bin"], DataError, "check the path"),
        (["eval_command_models:Broken", "--data", "easy.bin"], ArtefactError, "broken: expected finite"),
        (["no-such-model", "--data", "easy.bin"], ArtefactError, "no-such-model"),
        (["edgeface:missing.pt", "--data", "easy.bin"], ArtefactError, "missing.pt"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(folder, monkeypatch, capsys, arguments, error, text):
    with pytest.raises(error, match=text):
        run(*arguments)
    monkeypatch.setattr("sys.argv", ["sdx", "eval", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["x", "--protocol", "lfw"], ["x", "--unknown"], ["x", "--threshold", "2"]])
def test_wrong_usage_is_refused(arguments):
    found = run(*arguments)
    assert found.exit_code == 2
    assert "Error" in found.stderr
