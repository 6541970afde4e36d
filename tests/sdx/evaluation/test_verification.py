"""Verification figures against a plain second implementation, and the odd cases."""

import json
import math

import numpy as np
import pytest
import torch

from sdx.errors import ArtefactError, ConfigError, DataError
from sdx.evaluation.datasets import VerificationSet
from sdx.evaluation.images import PixelImages
from sdx.evaluation.verification import evaluate, pair_distance, unit_descriptors

KEYS = [
    "model",
    "dataset",
    "protocol",
    "options",
    "pairs",
    "mated",
    "nonmated",
    "accuracy",
    "std",
    "threshold",
    "tar_at_far",
    "eer",
    "auc",
    "model_sha256",
    "data_sha256",
]


class Projection:
    """Embeds by a fixed matrix; the mirror image gives another embedding."""

    name, sha256, embedding = "projection", "ab" * 32, 4

    def __init__(self, seed=0):
        self.weight = torch.from_numpy(np.random.default_rng(seed).normal(size=(3 * 6 * 6, 4))).float()

    def embed(self, face, frame):
        return face.flatten(1) @ self.weight


class Constant(Projection):
    """Sees no difference between people."""

    def __init__(self, value):
        self.value = value

    def embed(self, face, frame):
        return torch.full((len(face), 4), self.value)


def people(seed, count=620, noise=60):
    """Pairs of noisy images of synthetic people, folds of unequal size, kinds mixed within them."""
    random = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(80), 3)
    face = random.uniform(0, 255, (80, 6, 6, 3))[subjects]
    pixels = np.clip(face + random.normal(0, noise, face.shape), 0, 255).astype(np.uint8)
    mated = random.random(count) < 0.5
    first = random.integers(0, len(subjects), count)
    other = np.where(mated, first // 3 * 3 + (first + 1) % 3, (first + 3 * random.integers(1, 80, count)) % 240)
    pairs = np.stack([first, other], 1)
    assert ((subjects[pairs[:, 0]] == subjects[pairs[:, 1]]) == mated).all()
    return VerificationSet("people", "aligned", PixelImages(pixels), pairs, mated, subjects, "cd" * 32)


def plain_distances(dataset, weight, flip):
    """Squared distances of every pair, one pair at a time, in float64."""
    found = []
    for pair in dataset.pairs:
        unit = []
        for image in dataset.images.read(0, 240)[pair]:
            face = (image.astype(float) / 255 - 0.5) / 0.5
            total = face.transpose(2, 0, 1).ravel() @ weight
            if flip:
                total = total + face[:, ::-1].transpose(2, 0, 1).ravel() @ weight
            unit.append(total / math.sqrt(sum(total**2)))
        found.append(2 - 2 * float(unit[0] @ unit[1]))
    return np.array(found)


def plain_tenfold(distance, mated, thresholds):
    """Accuracy of each fold at the first threshold that is best on the nine others."""
    accuracy, chosen = [], []
    for test in np.array_split(np.arange(len(distance)), 10):
        train = np.ones(len(distance), bool)
        train[test] = False
        tried = thresholds(distance[train])
        right = ((distance[train] < tried[:, None]) == mated[train]).mean(1)
        chosen.append(tried[right.argmax()])
        accuracy.append(((distance[test] < chosen[-1]) == mated[test]).mean())
    return np.array(accuracy), np.array(chosen)


def midpoints(distance):
    ordered = np.unique(distance)
    return np.concatenate([ordered[:1], (ordered[1:] + ordered[:-1]) / 2, ordered[-1:] + 1e-12])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("protocol", ["insightface", "exact"])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_figure_equals_a_plain_second_implementation(seed, protocol, flip):
    dataset = people(seed)
    model = Projection(seed)
    result = evaluate(model, dataset, protocol=protocol, flip=flip, batch=50)
    distance = plain_distances(dataset, model.weight.double().numpy(), flip)
    grid = (lambda _: np.arange(0, 4, 0.01)) if protocol == "insightface" else midpoints
    accuracy, threshold = plain_tenfold(distance, dataset.mated, grid)
    assert 0.6 < result.accuracy < 0.99
    assert result.accuracy == pytest.approx(accuracy.mean(), abs=1e-12)
    assert result.std == pytest.approx(math.sqrt(((accuracy - accuracy.mean()) ** 2).mean()), abs=1e-12)
    assert result.threshold == pytest.approx(threshold.mean(), abs=1e-5)
    mated, nonmated = distance[dataset.mated], distance[~dataset.mated]
    for name, tar in result.tar_at_far.items():
        allowed = math.floor(float(name) * len(nonmated))
        limit = np.sort(nonmated)[allowed]  # the first that must not be accepted
        assert tar == pytest.approx((mated < limit).mean(), abs=1e-12)
    assert result.auc == pytest.approx((mated[:, None] < nonmated).mean(), abs=1e-12)
    cuts = np.sort(distance)
    fmr, fnmr = (nonmated <= cuts[:, None]).mean(1), (mated > cuts[:, None]).mean(1)
    best = np.abs(fmr - fnmr).argmin()
    assert result.eer == pytest.approx((fmr[best] + fnmr[best]) / 2, abs=1e-12)


def test_the_result_is_the_promised_json():
    dataset = people(3)
    result = evaluate(Projection(), dataset, flip=True)
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert list(found) == KEYS
    assert list(found["tar_at_far"]) == ["1e-1", "1e-2", "1e-3"]
    assert (found["model"], found["dataset"], found["protocol"]) == ("projection", "people", "exact")
    assert found["options"]["flip"] == "sum"
    assert found["pairs"] == found["mated"] + found["nonmated"] == 620
    assert found["mated"] == int(dataset.mated.sum())
    assert (found["model_sha256"], found["data_sha256"]) == ("ab" * 32, "cd" * 32)
    assert evaluate(Projection(), dataset).options["flip"] == "none"


def test_flip_adds_raw_embeddings_before_normalising():
    raw = np.array([[[3.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [-1.0, -1.0]]], np.float32)
    unit = unit_descriptors(raw)
    np.testing.assert_allclose(unit, [[3 / math.sqrt(10), 1 / math.sqrt(10)], [0, 0]], rtol=1e-15)
    assert unit.dtype == np.float64


def test_distances_do_not_depend_on_how_pairs_are_cut(monkeypatch):
    random = np.random.default_rng(5)
    descriptor = random.normal(size=(30, 7))
    pairs = random.integers(0, 30, (101, 2))
    whole = pair_distance(descriptor, pairs)
    monkeypatch.setattr("sdx.evaluation.verification._PAIRS_AT_ONCE", 10)
    np.testing.assert_array_equal(pair_distance(descriptor, pairs), whole)
    np.testing.assert_allclose(whole, [((descriptor[a] - descriptor[b]) ** 2).sum() for a, b in pairs], rtol=1e-14)


@pytest.mark.parametrize("protocol", ["insightface", "exact"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_model_that_sees_no_difference_scores_as_a_guess(protocol, value):
    result = evaluate(Constant(value), people(0), protocol=protocol, flip=True)
    assert 0.4 < result.accuracy < 0.6
    assert result.auc == pytest.approx(0.5)
    assert result.tar_at_far == {"1e-1": 0, "1e-2": 0, "1e-3": 0}


def test_embeddings_that_are_not_finite_are_an_error():
    with pytest.raises(ArtefactError, match="projection: expected finite embeddings"):
        evaluate(Constant(float("nan")), people(0))


def subset(dataset, keep):
    return VerificationSet("few", "aligned", dataset.images, dataset.pairs[keep], dataset.mated[keep], None, "")


@pytest.mark.parametrize("which", ["mated only", "non-mated only", "nine pairs"])
def test_a_set_that_cannot_be_scored_is_refused_before_embedding(which):
    dataset = people(0)
    keep = {"mated only": dataset.mated, "non-mated only": ~dataset.mated, "nine pairs": np.arange(9)}[which]

    class Unused(Projection):
        def embed(self, face, frame):
            pytest.fail("embedded")

    with pytest.raises(DataError, match="few: expected at least 10 pairs, mated and non-mated, got"):
        evaluate(Unused(), subset(dataset, keep))


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ConfigError, match="expected protocol exact or insightface, got 'lfw'"):
        evaluate(Projection(), people(0), protocol="lfw")


def test_rates_without_thirty_possible_false_accepts_are_marked():
    result = evaluate(Projection(), people(0))
    assert result.nonmated > 300
    assert result.support() == {"1e-1": "good", "1e-2": "low", "1e-3": "none"}
