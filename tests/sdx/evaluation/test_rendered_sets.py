"""Rendered sets: rendered once, never read damaged, safe for two at a time."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from sdx.errors import DataError
from sdx.evaluation import datasets, rendered
from sdx.files import write_atomically
from sdx.random import Philox
from sdx.simface import protocols

PEOPLE = 6


def small_pairs(name, split, random):
    """Twelve images of six people, ten mated pairs and ten not."""
    identity = torch.arange(PEOPLE).repeat_interleave(2)
    mated = [(2 * i, 2 * i + 1) for i in range(5)]
    nonmated = [(2 * i, 2 * i + 2) for i in range(5)]
    pairs = torch.tensor(mated + nonmated)
    latent = torch.from_numpy(random.normals(0, np.arange(2 * PEOPLE), 3))
    view = torch.arange(2).repeat(PEOPLE)
    return protocols.ProtocolSet(name, split, identity, view, latent, pairs, torch.tensor([True] * 5 + [False] * 5))


def small_images(protocol_set, random):
    seed = sum(protocol_set.name.encode()) + len(protocol_set.split)
    return np.random.default_rng(seed).integers(0, 256, (2 * PEOPLE, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def renders(monkeypatch, tmp_path):
    """Cache in a folder of its own, a quick renderer in place of SimFace's, and the list of what was rendered."""
    done = []

    def render_set(protocol_set, random):
        done.append((protocol_set.name, protocol_set.split))
        return small_images(protocol_set, random)

    monkeypatch.setenv("SDX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(protocols, "pairs", small_pairs)
    monkeypatch.setattr(protocols, "render_set", render_set)
    return done


def files():
    return sorted((rendered.cache_folder() / "verification").iterdir())


def test_a_set_is_rendered_once_and_the_same_from_the_cache(renders):
    fresh = datasets.load("sim-pose")
    again = datasets.load("sim-pose")
    assert renders == [("sim-pose", "E-test")]
    assert fresh.sha256 == again.sha256
    assert (again.name, again.frame, again.size, len(again.images)) == ("sim-pose", "aligned", 8, 12)
    np.testing.assert_array_equal(again.images.read(0, 12), fresh.images.read(0, 12))
    layout = small_pairs("sim-pose", "E-test", Philox(0))
    np.testing.assert_array_equal(again.images.read(0, 12), small_images(layout, None))
    np.testing.assert_array_equal(again.pairs, layout.pairs)
    np.testing.assert_array_equal(again.mated, again.subjects[again.pairs[:, 0]] == again.subjects[again.pairs[:, 1]])
    assert (again.pairs.dtype, again.mated.dtype, again.subjects.dtype) == (np.int64, np.bool_, np.int64)


def test_every_set_and_split_is_a_file_of_its_own(renders):
    checksums = {datasets.load(name).sha256 for name in datasets.NAMES}
    assert len(checksums) == len(files()) == len(renders) == 12
    assert {split for _, split in renders} == {"E-test", "E-dev"}
    assert ("sim-low", "E-dev") in renders


def test_another_renderer_renders_again(renders, monkeypatch):
    datasets.load("sim-easy")
    monkeypatch.setattr(protocols, "RENDERER_VERSION", protocols.RENDERER_VERSION + 1)
    datasets.load("sim-easy")
    assert len(renders) == 2


def flip_a_pixel(data):
    return data[:-200] + bytes([data[-200] ^ 1]) + data[-199:]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(flip_a_pixel, id="one bit"),
        pytest.param(lambda data: b"\xff" * 16 + data[16:], id="header"),
        pytest.param(lambda data: data.replace(b'"identity"', b'"identify"'), id="renamed"),
    ],
)
def test_a_damaged_file_is_rendered_again_and_mended(renders, damage, caplog):
    good = datasets.load("sim-age")
    (file,) = files()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert file.read_bytes() != whole
    assert datasets.load("sim-age").sha256 == good.sha256
    assert len(renders) == 2
    assert "rendering again" in caplog.text
    assert file.read_bytes() == whole
    assert files() == [file]


def test_a_cache_that_cannot_be_written_costs_no_result(renders, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SDX_CACHE", str(tmp_path / "file"))
    assert len(datasets.load("sim-easy").pairs) == 10
    assert "SDX_CACHE" in caplog.text


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SDX_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert rendered.cache_folder() == tmp_path / ".cache" / "sdx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert rendered.cache_folder() == tmp_path / "xdg" / "sdx"
    monkeypatch.setenv("SDX_CACHE", str(tmp_path / "own"))
    assert rendered.cache_folder() == tmp_path / "own"


def test_readers_never_see_a_half_written_file(renders, monkeypatch, caplog):
    expected = datasets.load("sim-easy").sha256
    (file,) = files()
    stop = threading.Event()
    seen = []

    def read():
        while not stop.is_set():
            seen.append(datasets.load("sim-easy").sha256)

    reader = threading.Thread(target=read)
    reader.start()
    random = Philox(0)
    layout = small_pairs("sim-easy", "E-test", random)
    arrays = (tensor.numpy() for tensor in (layout.pairs, layout.mated, layout.identity))
    again = rendered.RenderedSet(small_images(layout, random), *arrays)
    for _ in range(60):
        write_atomically(file, save(again.arrays(), {"sha256": expected}))
    stop.set()
    reader.join()
    assert len(seen) > 5
    assert set(seen) == {expected}
    assert len(renders) == 1
    assert not caplog.records


TWO = """
import sys, time
sys.path.insert(0, {folder!r})
import test_rendered_sets as t
from sdx.evaluation import datasets
from sdx.simface import protocols
def slow(protocol_set, random):
    print("rendering", flush=True)
    sys.stdin.readline()
    return t.small_images(protocol_set, random)
protocols.pairs, protocols.render_set = t.small_pairs, slow
print(datasets.load("sim-low").sha256, flush=True)
"""


def test_two_processes_at_once_leave_one_good_file(renders, request):
    code = TWO.format(folder=str(request.path.parent))
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "rendering\n"  # both found the cache empty
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    checksums = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert checksums == {datasets.load("sim-low").sha256}
    assert not renders
    assert len(files()) == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sim-eazy", "did you mean 'sim-easy'"),
        ("sim-pose@def", "did you mean 'sim-pose@dev'"),
        ("sym", "did you mean 'sim'"),
        ("zzzzzzz", "expected sim-easy"),
        ("sim", "several"),
        ("nowhere/lfw.bin", "found none at nowhere/lfw.bin"),
        ("lfw.bin", "check the path"),
    ],
)
def test_an_unknown_set_is_an_error_that_helps(renders, name, hint):
    with pytest.raises(DataError, match=hint):
        datasets.load(name)


def test_groups_stand_for_their_sets_each_once_and_in_order():
    assert datasets.expand(["sim-low", "sim", "x.bin"]) == [
        "sim-low",
        "sim-easy",
        "sim-pose",
        "sim-age",
        "sim-hardpose",
        "sim-hardage",
        "x.bin",
    ]
    assert datasets.expand(["sim@dev"]) == [f"{name}@dev" for name in datasets.expand(["sim"])]
