"""Every image of a run is drawn again as it was trained on, to the bit, and what no run wrote is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sdx import config as configuration
from sdx import recipes, students
from sdx.errors import ConfigError, DataError
from sdx.training import ledger, run, sampling
from sdx.training.frozen import Frozen
from sdx.training.replay import Replay
from sdx.types import Batch, Proposal
from sdx.weights import artefact

BATCH, IMAGES = 16, 208
KEYS = {
    "batch": str(BATCH),
    "images": str(IMAGES),
    "eval": "none",
    "baselines": "false",
    "held_out": "0",
    "validate_every": "none",
    "checkpoint_every": str(3 * BATCH),
    "students.small.size": "32",
}
RENDERED = {"source": "simface", "source.size": "32"}
GENERATED = {"source": "stylegan2"}
POOL = {"sampler": "pool", "sampler.revisit": "1", "sampler.exploration": "1", "sampler.capacity": "16"}
"""Chains of more than eight hops within few batches."""


class StoppedError(Exception):
    """Stands for a kill."""


class Recorder:
    """Keeps what a trainer drew: faces, parents and similarities by image number."""

    def __init__(self) -> None:
        self.face: dict[int, Tensor] = {}
        self.parent: dict[int, int] = {}
        self.cosine: dict[int, float] = {}
        self.stop_before: int | None = None

    def attach(self, patch: pytest.MonkeyPatch) -> None:
        draw, observe = Frozen.__call__, sampling.observe

        def drawn(frozen: Frozen, proposal: Proposal) -> Any:
            if proposal.index[0] == self.stop_before:
                raise StoppedError
            batch = draw(frozen, proposal)
            for row, index in enumerate(proposal.index.tolist()):
                self.face[index] = batch.face[row].clone()
                self.parent[index] = int(proposal.parent[row])
            return batch

        def observed(sampler: Any, proposal: Proposal, similarity: Tensor, evidence: Any) -> None:
            self.cosine |= dict(zip(proposal.index.tolist(), similarity.mean(0).tolist(), strict=True))
            observe(sampler, proposal, similarity, evidence)

        patch.setattr(Frozen, "__call__", drawn)
        patch.setattr(sampling, "observe", observed)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("teacher") / "model.safetensors"
    torch.manual_seed(1)
    artefact.save(path, students.build("teacher", "small", 32, size=32).to_artefact(licence="MIT"))
    return str(path)


def _train(folder: Path, teacher: str, keys: dict[str, str], *, stop_before: int | None = None) -> Recorder:
    """Train, if asked as far as the batch that begins with an image, and return what was drawn."""
    recorder = Recorder()
    recorder.stop_before = stop_before
    with pytest.MonkeyPatch.context() as patch:
        recorder.attach(patch)
        run.train(configuration.override(recipes.get("demo"), {**KEYS, "teacher": teacher, **keys}), folder)
    return recorder


def _check(folder: Path, recorder: Recorder, images: list[int]) -> None:
    replay = Replay(folder)
    for index in images:
        line = replay.ancestry(index)
        assert line[-1].index == index
        for portrait in line:
            assert torch.equal(portrait.face, recorder.face[portrait.index]), (index, portrait.index)
            assert portrait.cosine == pytest.approx(recorder.cosine[portrait.index], abs=1e-6)
        assert recorder.parent[line[0].index] == -1
        assert line[0].scale == 0
        if 1 < len(line) < 9:
            assert [recorder.parent[portrait.index] for portrait in line[1:]] == [p.index for p in line[:-1]]


@pytest.mark.parametrize(
    "keys",
    [
        RENDERED | {"sampler": "fresh", "augment.flip": "true"},
        RENDERED | POOL,
        GENERATED | {"sampler": "resample", "augment.flip": "true"},
        GENERATED | POOL | {"sampler.reliability": "0.5", "augment.flip": "true"},
    ],
    ids=["fresh", "pool", "resample of a generator", "pool of a generator"],
)
def test_what_was_trained_on_is_drawn_again_also_after_a_kill(
    tmp_path: Path, teacher: str, keys: dict[str, str]
) -> None:
    folder = tmp_path / "run"
    before = 4 * BATCH if keys["sampler"] == "resample" else 5 * BATCH  # beyond the checkpoint
    with pytest.raises(StoppedError):
        _train(folder, teacher, keys, stop_before=before)
    size = (folder / ledger.NAME).stat().st_size
    with (folder / ledger.NAME).open("ab") as file:
        file.write(b"half")  # of a record
    rest = _train(folder, teacher, keys)
    whole = _train(tmp_path / "whole", teacher, keys)
    assert (folder / ledger.NAME).read_bytes() == (tmp_path / "whole" / ledger.NAME).read_bytes()
    assert size < (folder / ledger.NAME).stat().st_size == 16 + 16 * IMAGES
    assert min(rest.face) > 0  # it was resumed
    assert all(torch.equal(face, whole.face[index]) for index, face in rest.face.items())
    assert len(whole.face) == IMAGES
    _check(folder, whole, [0, 1, 47, 48, 100, 127, *sorted(whole.face)[-3:]])


def test_chains_beyond_eight_hops(tmp_path: Path, teacher: str) -> None:
    recorder = _train(tmp_path, teacher, RENDERED | POOL)

    def depth(index: int) -> int:
        return 0 if recorder.parent[index] < 0 else 1 + depth(recorder.parent[index])

    deepest = max(recorder.parent, key=depth)
    assert depth(deepest) > 9
    line = Replay(tmp_path).ancestry(deepest)
    assert len(line) == 9
    assert recorder.parent[deepest] not in [portrait.index for portrait in line]  # its place was taken
    _check(tmp_path, recorder, [deepest])


def test_images_of_a_folder_have_no_ancestors(tmp_path: Path, teacher: str) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    for n in range(12):
        Image.fromarray(np.random.default_rng(n).integers(0, 255, (32, 32, 3), np.uint8)).save(faces / f"{n}.png")
    keys = {"source": str(faces), "source.size": "32", "sampler": "fresh", "images": "48"}
    recorder = _train(tmp_path / "run", teacher, keys)
    assert not Replay(tmp_path / "run").has_latents
    _check(tmp_path / "run", recorder, [0, 17, 47])


@pytest.mark.parametrize("kind", ["fresh", "resample", "pool"])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_number_and_place(kind: str, batch: int) -> None:
    place = np.arange(6 * batch)
    number = sampling.numbers(kind, batch, place)
    assert sorted(number.tolist()) == place.tolist()
    assert (sampling.places(kind, batch, number) == place).all()
    if kind == "resample":
        assert number[:batch].tolist() == [2 * k for k in range(batch)]
        assert number[batch : 2 * batch].tolist() == [2 * k + 1 for k in range(batch)]


@pytest.fixture(scope="module")
def finished(teacher: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    _train(folder, teacher, RENDERED | {"sampler": "pool", "images": "64"})
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    for name in ("config.toml", "metrics.jsonl", ledger.NAME):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("index", [64, -1, 10**6, 2**63 - 1])
def test_an_image_that_was_not_drawn(finished: Path, index: int) -> None:
    with pytest.raises(DataError, match=f"image {index}: expected one of the 64 that the run drew, got none"):
        Replay(finished).ancestry(index)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-5], "expected records of 16 bytes, got 11 bytes over"),
        (lambda data: data[:9], "expected a file that begins with"),
        (lambda data: b"", "expected a file that begins with"),
        (lambda data: b"PK" + data[2:], "expected a file that begins with"),
        (lambda data: data[:8] + b"\xff" * 8 + data[16:], "expected a file that begins with"),
        (lambda data: data[:-32], "expected a whole batch of 16 images, got 14 of the last"),
        (lambda data: data[:16], "expected one of the 0"),
    ],
    ids=["cut", "short", "empty", "other", "negative", "two less", "none"],
)
def test_a_damaged_file_is_one_line(copy: Path, damage: Any, words: str) -> None:
    path = copy / ledger.NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=words) as caught:
        Replay(copy).ancestry(60)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parent", "scale"),
    [(63, 0.1), (62, 0.1), (48, 0.1), (10**12, 0.1), (-2, 0.1), (2**63 - 1, 0.1), (3, math.nan), (3, math.inf)],
)
def test_a_lineage_that_cannot_be(copy: Path, parent: int, scale: float) -> None:
    path = copy / ledger.NAME
    records = np.frombuffer(path.read_bytes()[16:], ledger.RECORD).copy()
    records[63]["parent"], records[63]["scale"] = parent, scale
    path.write_bytes(path.read_bytes()[:16] + records.tobytes())
    with pytest.raises(DataError, match="expected image 63 to be a finite step away from an image of an earlier batch"):
        Replay(copy).ancestry(63)


def test_folders_that_cannot_be_replayed(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a TOML configuration"):
        Replay(tmp_path / "absent")
    (copy / ledger.NAME).unlink()
    with pytest.raises(DataError, match="runs of earlier versions have none"):
        Replay(copy)
    text = (copy / "config.toml").read_text().replace('kind = "pool"', 'kind = "mine:Sampler"')
    (copy / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match="got mine:Sampler, whose latents are its own"):
        Replay(copy)


class Grey:
    """A source of the user's: grey faces, a shade a number."""

    frame, size, name, statement, licence, classes = "aligned", 32, "grey", "grey squares", "CC0-1.0", 0

    def __init__(self, settings: Any, random: Any) -> None:
        self.skipped: list[str] = []

    def draw(self, index: Tensor) -> Batch:
        noise = torch.from_numpy(np.stack([np.random.default_rng(int(i)).uniform(-1, 1, (3, 32, 32)) for i in index]))
        return Batch(index, noise.float())


HERE = "tests.sdx.training.test_replay" if __name__.startswith("tests.") else __name__


def test_a_source_of_the_users_is_named_by_the_user_and_by_no_file(tmp_path: Path, teacher: str) -> None:
    own = f"{HERE}:Grey"
    recorder = _train(tmp_path, teacher, {"source": own, "sampler": "fresh", "images": "32"})
    for named in (None, "other:Grey"):
        with pytest.raises(ConfigError, match=f"which no file may ask for: if you trust it, .* --own {own}"):
            Replay(tmp_path, named)
    assert torch.equal(Replay(tmp_path, own).ancestry(20)[-1].face, recorder.face[20])


def test_a_batch_size_beyond_all_memory(copy: Path) -> None:
    path = copy / "config.toml"
    path.write_text(
        path.read_text().replace("batch = 16", f"batch = {10**14}").replace("images = 64", f"images = {10**14}")
    )
    with pytest.raises(DataError, match="expected a whole batch of 100000000000000 images, got 64 of the last"):
        Replay(copy).ancestry(5)


def test_another_number_of_threads_is_remarked(copy: Path) -> None:
    assert Replay(copy).remark is None
    path = copy / "metrics.jsonl"
    path.write_text(path.read_text().replace(f'"threads": {torch.get_num_threads()}', '"threads": 64'))
    assert (
        Replay(copy).remark
        == f"drawn with threads {torch.get_num_threads()}, trained with 64: the last bits may differ"
    )


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[1]\n", b"7\n", b"[" * 100_000], ids=["bytes", "list", "number", "deep"]
)
def test_metrics_that_are_none_are_not_remarked_on(copy: Path, content: bytes) -> None:
    (copy / "metrics.jsonl").write_bytes(content)
    assert Replay(copy).remark is None


def test_a_step_beyond_all_numbers_is_refused(copy: Path) -> None:
    path = copy / ledger.NAME
    records = np.frombuffer(path.read_bytes()[16:], ledger.RECORD).copy()
    records[63]["parent"], records[63]["scale"] = 3, 3e38
    path.write_bytes(path.read_bytes()[:16] + records.tobytes())
    with pytest.raises(DataError, match="expected steps to finite latents, got one beyond float32"):
        Replay(copy).ancestry(63)
