"""``sdx calibrate`` from the command line to the threshold in a model file."""

import io
import json
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sdx import _core, sources
from sdx.cli.calibrate import calibrate
from sdx.cli.evaluate import evaluate
from sdx.config import SourceConfig
from sdx.errors import ArtefactError, ConfigError, DataError
from sdx.evaluation import calibration, datasets, models
from sdx.evaluation.embed import embed
from sdx.random import Philox
from sdx.weights import artefact, registry


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A verification file of thirty people, two images each, with who is in each."""
    folder, random = tmp_path_factory.mktemp("calibrate"), np.random.default_rng(0)
    items, subject = [], []
    for person in range(30):
        look = random.uniform(0, 255, (4, 4, 3))
        for _ in range(2):
            pixels = np.clip(np.kron(look, np.ones((8, 8, 1))) + random.normal(0, 60, (32, 32, 3)), 0, 255)
            file = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
            items.append(file.getvalue())
            subject.append(person)
    # Pairs of one person, then pairs of neighbours: each image comes up twice.
    around = [*range(60), *range(1, 60), 0]
    (folder / "people.bin").write_bytes(pickle.dumps(([items[i] for i in around], [True] * 30 + [False] * 30), 3))
    np.save(folder / "people.npy", np.array(subject)[around])
    return folder


def _run(*arguments, command=calibrate):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _faces(embedding, subject):
    return calibration.Faces("drawn", embedding.astype(np.float32), subject, "ab" * 32, False, "rows")


def _people(folder):
    return "--data", folder / "people.bin", "--subjects", folder / "people.npy"


@pytest.mark.parametrize("flip", [False, True])
def test_the_threshold_is_that_of_all_pairs_and_goes_into_the_file(folder, tmp_path, flip):
    out = tmp_path / "model.safetensors"
    options = ["--flip"] if flip else []
    result = _run("simface-teacher", *_people(folder), "--fmr", 0.05, "--out", out, "--json", *options)
    (told,) = json.loads(result.stdout)["results"]

    dataset = datasets.load(str(folder / "people.bin"), folder / "people.npy")
    (teacher,) = models.load("simface-teacher")
    views = embed(teacher, dataset.images, dataset.frame, flip=flip).sum(0, dtype=np.float64)
    unit = views / np.linalg.norm(views, axis=1, keepdims=True)
    first, second = np.triu_indices(60, 1)
    cosine, mated = (unit @ unit.T)[first, second], dataset.subjects[first] == dataset.subjects[second]
    candidates = np.sort(cosine)
    kept = [at for at in candidates if (cosine[~mated] >= at).mean() <= 0.05]
    assert told["threshold"] == pytest.approx(kept[0], abs=1e-6)
    accepted = int((cosine[~mated] >= kept[0]).sum())
    assert (told["false_matches"], told["pairs"], told["mated"]) == (accepted, (~mated).sum(), 30)
    assert told["attained_fmr"] == accepted / (~mated).sum()
    assert told["fnmr"] == (cosine[mated] < kept[0]).mean()
    assert told["fnmr_interval"]["low"] <= told["fnmr"] <= told["fnmr_interval"]["high"]
    assert told["interval"][0] < told["attained_fmr"] < told["interval"][1]
    assert told["interval_kind"] == "subjects"

    written, before = artefact.load(out), artefact.load(registry.builtin()["simface-teacher"])
    stored = written.meta.threshold
    assert stored.model_dump(mode="json") == {key: told[key] for key in stored.model_dump()}
    assert (stored.flip, stored.data, stored.data_sha256) == (flip, "people", dataset.sha256)
    assert written.meta.model_copy(update={"threshold": None}) == before.meta
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, written.network.state_dict()[name])


def test_a_calibrated_model_is_judged_at_its_threshold(folder, tmp_path):
    out = tmp_path / "model.safetensors"
    _run("simface-teacher", *_people(folder), "--fmr", 0.05, "--out", out)
    result = _run(out, *_people(folder), "--json", command=evaluate)
    (judged,) = json.loads(result.stdout)["results"]
    assert judged["operating"]["cosine"] == artefact.load(out).meta.threshold.threshold
    assert judged["operating"]["chosen_on"] == "people"


def test_drawn_faces_are_each_another_person_and_the_same_for_a_seed(tmp_path):
    ask = ("simface-teacher", "--source", "stylegan2", "--faces", 150, "--fmr", 1e-3, "--dry-run", "--json")
    one, again, other = (json.loads(_run(*ask, "--seed", seed).stdout)["results"][0] for seed in (3, 3, 4))
    assert one == again
    assert one["data_sha256"] != other["data_sha256"]
    assert (one["pairs"], one["mated"], one["fnmr"], one["false_matches"]) == (150 * 149 // 2, 0, None, 11)
    assert one["data"] == "150 faces drawn from simface-64, seed 3, each taken for another person"
    assert one["people"] == "each taken for another person"
    assert one["support"] == "low"
    assert not list(tmp_path.iterdir())


def test_a_source_of_few_faces_gives_none_twice(tmp_path):
    random = np.random.default_rng(2)
    for number in range(200):  # ten of which no run trains on
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / f"{number}.png")
    ask = ("simface-teacher", "--source", tmp_path, "--fmr", 0.1, "--dry-run", "--json")
    with pytest.raises(DataError, match="expected 12 faces that differ, got 10 among the first 12 that no run trains"):
        _run(*ask, "--faces", 12)
    (told,) = json.loads(_run(*ask, "--faces", 10).stdout)["results"]
    assert told["pairs"] == 45


def test_faces_of_one_label_are_one_person():
    source = sources.build(SourceConfig(kind="simface-labelled", size=64, identities=6, views=1), Philox(0))
    (teacher,) = models.load("simface-teacher")
    faces = calibration.of_source(teacher, source, 15, seed=0)
    assert faces.subject.tolist() == [*range(6), *range(6), 0, 1, 2]
    found = calibration.calibrate(faces, 0.05)
    assert (found.mated, found.operating.pairs) == (3 * 3 + 3, 15 * 14 // 2 - 12)
    assert found.operating.data.endswith("seed 0, a person for each of 6 labels")


def _photographs(folder, names):
    """Images of noise under these names; one of twenty is held out."""
    random = np.random.default_rng(5)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"{name}.png")


def test_a_sub_folder_is_a_person_and_that_is_said(tmp_path):
    _photographs(tmp_path / "faces", [f"{person}/{number}" for person in "ab" for number in range(200)])
    out = tmp_path / "model.safetensors"
    ask = ("simface-teacher", "--source", tmp_path / "faces", "--fmr", 0.1, "--faces", 20)
    told = _run(*ask, "--out", out)
    assert "20 faces drawn from faces, seed 0, a person for each of 2 sub-folders" in told.stdout
    assert told.stderr == ""
    assert artefact.load(out).meta.threshold.data.endswith("a person for each of 2 sub-folders")
    (as_json,) = json.loads(_run(*ask, "--dry-run", "--json").stdout)["results"]
    assert as_json["people"] == "a person for each of 2 sub-folders"
    assert as_json["mated"] > 0


@pytest.mark.parametrize("under", ["", "alice/"])
def test_images_that_nothing_tells_apart_are_remarked_on(tmp_path, under):
    _photographs(tmp_path / "faces", [f"{under}{number}" for number in range(200)])
    told = _run("simface-teacher", "--source", tmp_path / "faces", "--fmr", 0.1, "--faces", 10, "--dry-run")
    assert "10 faces drawn from faces, seed 0, each taken for another person" in told.stdout
    assert told.stderr.startswith("remark: faces: no two sub-folders tell who is who")


def test_faces_of_one_sub_folder_alone_are_refused(tmp_path):
    _photographs(tmp_path / "faces", ["b/0", *(f"a/{number}" for number in range(199))])
    ask = ("simface-teacher", "--source", tmp_path / "faces", "--fmr", 0.1, "--faces", 10, "--dry-run")
    with pytest.raises(DataError, match="expected faces of two people at least, got 10 of one sub-folder"):
        _run(*ask)


def test_the_report_names_what_it_rests_on(folder, tmp_path):
    out = tmp_path / "model.safetensors"
    result = _run("simface-teacher", *_people(folder), "--fmr", 0.05, "--out", out)
    assert f"written to {out}" in result.stdout
    for part in ("accept from cosine", "of 1,740 non-mated pairs", "other people drawn", "of 30 mated pairs", "people"):
        assert part in result.stdout
    dry = _run("simface-teacher", *_people(folder), "--fmr", 0.05, "--dry-run")
    assert "not written" in dry.stdout


def test_a_file_of_its_own_is_written_in_place(folder, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(registry.builtin()["simface-teacher"].read_bytes())
    _run(path, *_people(folder), "--fmr", 0.05)
    assert artefact.load(path).meta.threshold.asked_fmr == 0.05


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["simface-teacher", "--fmr", 0.1, "--dry-run"], ConfigError, "--data SET or --source SOURCE, one of them"),
        (["simface-teacher", "--fmr", 0.1, "--data", "x", "--source", "y"], ConfigError, "one of them"),
        (["simface-teacher", "--fmr", 0.1, "--data", "x", "--faces", 9], ConfigError, "--faces with --source"),
        (["simface-teacher", "--fmr", 0.1, "--data", "x", "--seed", 0], ConfigError, "--seed with --source"),
        (["simface-teacher", "--fmr", 0.1, "--source", "x", "--subjects", __file__], ConfigError, "--subjects with"),
        (["simface-teacher", "--fmr", 0.1, "--source", "simface"], ConfigError, "expected --out FILE, for a built-in"),
        (["edgeface:x.pt", "--fmr", 0.1, "--source", "simface"], ConfigError, "give --dry-run"),
        (["nobody", "--fmr", 0.1, "--source", "simface", "--dry-run"], ArtefactError, "no model 'nobody'"),
        (
            ["simface-teacher", "--fmr", 1e-3, "--source", "simface", "--faces", 20, "--dry-run"],
            DataError,
            "enough for 3 false matches at FMR 0.001, got 190 non-mated",
        ),
    ],
)
def test_what_cannot_be_calibrated_is_told(arguments, error, told):
    with pytest.raises(error, match=told):
        _run(*arguments)


def test_a_set_without_subjects_is_refused(folder):
    with pytest.raises(DataError, match="says who is in each image"):
        _run("simface-teacher", "--data", folder / "people.bin", "--fmr", 0.05, "--dry-run")


def test_one_file_for_several_students_is_refused(folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "students" / name).mkdir(parents=True)
        path = tmp_path / "students" / name / "model.safetensors"
        path.write_bytes(registry.builtin()["simface-teacher"].read_bytes())
    with pytest.raises(ConfigError, match="expected one model for --out, got 2"):
        _run(tmp_path, *_people(folder), "--fmr", 0.05, "--out", tmp_path / "x.safetensors")
    _run(tmp_path, *_people(folder), "--fmr", 0.05)
    assert all(artefact.load(path).meta.threshold for path in tmp_path.glob("students/*/model.safetensors"))


def test_without_mated_pairs_the_interval_still_draws_people():
    random = np.random.default_rng(1)
    faces = _faces(random.standard_normal((400, 16)), np.arange(400))
    found = calibration.calibrate(faces, 0.01)
    low, high = found.operating.interval
    assert found.operating.interval_kind == "subjects"
    assert low < found.operating.attained_fmr < high
    assert found.fnmr is None


@pytest.mark.parametrize("subjects", [90, 240])
@pytest.mark.parametrize("fmr", [0.05, 0.5, 1.0])
def test_more_false_matches_than_are_listed(monkeypatch, subjects, fmr):
    random = np.random.default_rng(3)
    subject = random.permutation(240) % subjects
    faces = _faces(random.standard_normal((240, 16)), subject)
    listed = calibration.calibrate(faces, fmr)
    monkeypatch.setattr(calibration, "LISTED", 10)
    monkeypatch.setattr(_core, "resample_all_pairs", None)
    found = calibration.calibrate(faces, fmr)
    assert found == listed

    unit = faces.descriptor / np.linalg.norm(faces.descriptor.astype(np.float64), axis=1, keepdims=True)
    first, second = np.triu_indices(240, 1)
    cosine, mated = (unit @ unit.T)[first, second], subject[first] == subject[second]
    lowest = next(at for at in np.sort(cosine) if (cosine[~mated] >= at).mean() <= fmr)
    assert found.operating.threshold == pytest.approx(lowest, abs=1e-13)
    assert (found.operating.false_matches, found.mated) == ((cosine[~mated] >= lowest).sum(), mated.sum())
    assert found.fnmr == ((cosine[mated] < lowest).mean() if mated.any() else None)


def test_half_of_millions_of_pairs():
    random = np.random.default_rng(4)
    faces = _faces(random.standard_normal((4_600, 8)), np.arange(4_600))
    assert 4_600 * 4_599 // 2 * 0.5 > 1 << 22  # more than could be listed
    found = calibration.calibrate(faces, 0.5).operating
    assert found.false_matches == found.pairs // 2
    assert found.interval[0] < 0.5 < found.interval[1]
