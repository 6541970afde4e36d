"""``sdx eval`` from the command line to the figures."""

import io
import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sdx.cli import main
from sdx.cli.evaluate import evaluate
from sdx.errors import ArtefactError, DataError
from sdx.evaluation import datasets

MODELS = """
import torch
from torch import nn
from sdx.types import InputSpec
from sdx.weights.metadata import Origin
from sdx.weights.model import LoadedModel

class Mean:
    name, embedding, sha256 = "mean", 3, "aa" * 32
    def embed(self, face, frame):
        return face.mean((2, 3))

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
    (tmp_path / "eval_command_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.parametrize("arguments", [[], ["x", "--protocol", "lfw"], ["x", "--unknown"]])
def test_wrong_usage_is_refused(arguments):
    found = run(*arguments)
    assert found.exit_code == 2
    assert "Error" in found.stderr
