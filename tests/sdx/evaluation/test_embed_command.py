"""``sdx embed``: loose crops on disk to a file that the commands on templates read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from ijb_folder import World
from numpy.typing import NDArray
from PIL import Image

from sdx.align import ARCFACE_TEMPLATE
from sdx.cli import cli
from sdx.errors import ConfigError, DataError
from sdx.evaluation import ijb
from sdx.evaluation.crops import AlignedCrops
from sdx.evaluation.template_file import TemplateFile

MODEL = """
import torch
from torch.nn.functional import adaptive_avg_pool2d

class Grid:
    name, embedding, sha256 = "grid", 27, "aa" * 32
    def embed(self, face, frame):
        assert frame == "aligned" and face.shape[1:] == (3, 112, 112)
        return adaptive_avg_pool2d(face, 3).flatten(1)
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world of photographs with a gradient of their subject's colours, placed and turned as their landmarks say."""
    made = World(subjects=6, probes=20)
    made.landmarks = np.empty((len(made.template), 10))
    folder = tmp_path / "loose_crop"
    folder.mkdir()
    random = np.random.default_rng(1)
    colours = random.uniform(0, 255, (6, 2, 3))
    whose = dict(zip(made.ids.tolist(), made.subject.tolist(), strict=True))
    for number, template in enumerate(made.template.tolist()):
        face = np.linspace(*colours[whose[template]], 140)[None].repeat(150, 0) + random.normal(0, 2, (150, 140, 3))
        shift = random.integers(0, 20, 2)
        photograph = np.zeros((180, 170, 3), np.uint8)
        photograph[shift[1] : shift[1] + 150, shift[0] : shift[0] + 140] = face.clip(0, 255)
        made.landmarks[number] = (np.array(ARCFACE_TEMPLATE) + shift).ravel().round(6)
        Image.fromarray(photograph).save(folder / f"{number + 1}.jpg", quality=95)
    made.write(tmp_path)
    (tmp_path / "embed_command_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return made


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def _pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def test_from_crops_to_figures(world: World, tmp_path: Path) -> None:
    count = len(world.template)
    told = _run("embed", "embed_command_model:Grid", ".", "--out", "e.npz")
    assert told == f"{count} images embedded by grid (27 numbers each) in e.npz\n"
    assert sorted(path.name for path in tmp_path.glob("*e.npz*")) == ["e.npz"]
    images, known = TemplateFile(tmp_path / "e.npz").images(), TemplateFile(tmp_path / "e.npz").templates()
    assert images.mirrored is not None
    # A whole-pixel shift is undone exactly, so the embedding is that of the photograph's own pixels.
    for number in (0, count - 1):
        x, y = (world.landmarks[number, :2] - ARCFACE_TEMPLATE[0]).round().astype(int)
        face = _pixels(tmp_path / f"loose_crop/{number + 1}.jpg")[y : y + 112, x : x + 112] / 127.5 - 1
        whole = torch.from_numpy(face).permute(2, 0, 1)[None]
        for found, want in ((images.face, whole), (images.mirrored, whole.flip(3))):
            pooled = torch.nn.functional.adaptive_avg_pool2d(want, 3).flatten()
            np.testing.assert_allclose(found[number], pooled, atol=1e-4)
    np.testing.assert_array_equal(known.template, world.template)
    np.testing.assert_array_equal(known.media, world.media)
    np.testing.assert_array_equal(known.detector_score, world.score.astype(np.float32))
    verified = json.loads(_run("eval-templates", "e.npz", "--meta", ".", "--json"))
    assert verified["auc"] > 0.9  # colours tell most of these people apart
    assert json.loads(_run("identify", "e.npz", "--meta", ".", "--json"))["cmc"]["1"] > 0.5


def test_mirror_images_may_be_left_out(world: World, tmp_path: Path) -> None:
    _run("embed", "embed_command_model:Grid", "meta", "--images", "loose_crop", "--out", "e.npz", "--no-flip")
    assert TemplateFile(tmp_path / "e.npz").images().mirrored is None
    with pytest.raises(ConfigError, match="set flip to none"):
        _run("eval-templates", "e.npz", "--meta", ".")


def test_crops_that_cannot_be_aligned(world: World, tmp_path: Path) -> None:
    listed, folder = ijb.read_images(tmp_path), tmp_path / "loose_crop"
    assert AlignedCrops(folder, listed).read(1, 3).shape == (2, 112, 112, 3)
    (folder / "2.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2\.jpg: expected a JPEG or PNG image"):
        AlignedCrops(folder, listed).read(1, 3)
    (folder / "2.jpg").unlink()
    with pytest.raises(DataError, match=r"2\.jpg: expected an image, found none"):
        AlignedCrops(folder, listed)
    for name in ("../meta/x.jpg", "/etc/hostname"):
        listed.names[0] = name
        with pytest.raises(DataError, match="expected images within"):
            AlignedCrops(folder, listed)
    listed.names[0] = "1.jpg"
    listed.landmarks[0] = 3.0
    with pytest.raises(DataError, match=r"1\.jpg: expected five distinct landmarks"):
        AlignedCrops(folder, listed)


def test_a_folder_that_cannot_be_written_to(world: World) -> None:
    with pytest.raises(ConfigError, match=r"none/e\.npz: cannot be written"):
        _run("embed", "embed_command_model:Grid", ".", "--out", "none/e.npz")
