"""What the renderer promises: range, determinism, real rotation, and that every coordinate shows."""

import pytest
import torch
from torch import Tensor

from sdx.errors import ConfigError
from sdx.simface import parameters as p
from sdx.simface.render import HALF_WIDTH, RENDERER_VERSION, render

CLEAN = {"capture_size": 4.0, "blur": -4.0, "jpeg": -4.0, "noise": -4.0, "occlusion": -3.0, "glasses": -3.0}
FIGURES = [[-0.1501, 0.488], [-0.0903, 0.5208], [-0.2765, 0.315]]
# Coordinates that name a side: a mirror image negates them.
SIDED = ("yaw", "roll", "shift_x", "light_azimuth", "gaze_x", "hair_part", "asymmetry_tilt", "asymmetry_nose", "mark_x",
         "occlusion_place", "background_slope")  # fmt: skip


def normals(count: int, seed: int = 0, **fixed: float) -> Tensor:
    z = torch.randn(count, p.DIMENSION, generator=torch.Generator().manual_seed(seed))
    for name, value in fixed.items():
        z[:, p.position(name)] = value
    return z


def neutral(count: int, seed: int = 0, **fixed: float) -> Tensor:
    """Different people in one frontal, clean capture."""
    z = normals(count, seed)
    z[:, p.IDENTITY_SIZE :] = 0
    for name, value in {**CLEAN, **fixed}.items():
        z[:, p.position(name)] = value
    return z


@pytest.mark.parametrize("nuisance", ["wild", "portrait"])
def test_shape_range_and_contrast(nuisance: p.Nuisance) -> None:
    face = render(normals(12), nuisance=nuisance, grain=torch.randn(12, 3, 64, 64))
    assert face.shape == (12, 3, 64, 64)
    assert face.dtype == torch.float32
    assert face.abs().max() <= 1
    assert (face.flatten(1).std(1) > 0.1).all()
    assert (face[1:] - face[:-1]).abs().flatten(1).mean(1).min() > 0.05


@pytest.mark.parametrize("size", [16, 64, 96])
def test_extreme_latents_stay_finite(size: int) -> None:
    corners = 6 * torch.sign(normals(16, 3))
    axes = torch.cat([6 * torch.eye(p.DIMENSION), -6 * torch.eye(p.DIMENSION)])[:: 7 if size != 64 else 1]
    for nuisance in ("wild", "portrait"):
        face = render(torch.cat([corners, axes, 100 * corners[:2]]), size=size, nuisance=nuisance)
        assert torch.isfinite(face).all()
        assert face.abs().max() <= 1


def test_a_picture_does_not_depend_on_its_batch() -> None:
    z, grain = normals(21, 1), torch.randn(21, 3, 64, 64)
    whole = render(z, grain=grain)
    assert torch.equal(whole, render(z, grain=grain))
    order = torch.randperm(21, generator=torch.Generator().manual_seed(0))
    parts = [render(z[i], grain=grain[i]) for i in order.split(5)]
    assert torch.equal(torch.cat(parts), whole[order])


def test_mirroring_the_latent_mirrors_the_picture() -> None:
    z = normals(16, 2, capture_size=4.0, blur=-4.0, jpeg=-40.0)
    sided = [p.position(name) for name in SIDED]
    mirrored = z.clone()
    mirrored[:, sided] *= -1
    one, other = render(z), render(mirrored).flip(3)
    assert (one - other).abs().mean() < 4e-3
    z[:, p.position("yaw")] += 0.7
    assert (render(z) - other).abs().mean() > 0.05


def _iris(z: Tensor) -> Tensor:
    dark, light = z.clone(), z.clone()
    for other, value in ((dark, -3.0), (light, 3.0)):
        other[:, p.position("iris_shade")] = value
    # group 0 has light eyes, so that the shade shows
    return (render(light) - render(dark)).abs().sum(1)


def test_yaw_is_a_rotation_that_hides_the_far_eye() -> None:
    angle = 2 * torch.pi * 0.1
    fixed = {
        "ancestry_a": 2 * float(torch.cos(torch.tensor(angle))),
        "ancestry_b": 2 * float(torch.sin(torch.tensor(angle))),
    }
    fixed |= {"fringe": -2.0, "hair_length": -2.0, "eye_closure": -1.0, "age": -1.0}
    columns = torch.arange(64.0)
    visible = {}
    for degrees in (-72.0, -30.0, 0.0, 30.0, 72.0):
        z = neutral(4, 5, **fixed, yaw=p.coordinate("yaw", degrees))
        iris = _iris(z)[:, 20:36]  # the rows of the eyes
        profile = iris.mean((0, 1))
        visible[degrees] = profile
    total = {k: float(v.sum()) for k, v in visible.items()}
    left, right = float(visible[0.0][:32].sum()), float(visible[0.0][32:].sum())
    assert min(left, right) > 0.35 * (left + right)
    centre = [float((visible[d] * columns).sum()) / total[d] for d in visible]
    # turned to the right, one eye is left: the far (right) one is behind the nose
    for degrees in (-72.0, 72.0):
        profile = visible[degrees] / total[degrees]
        spread = float(((columns - (profile * columns).sum()).square() * profile).sum().sqrt())
        frontal = visible[0.0] / total[0.0]
        wide = float(((columns - (frontal * columns).sum()).square() * frontal).sum().sqrt())
        assert spread < 0.45 * wide
        assert total[degrees] < 0.7 * total[0.0]
    assert centre[2] == pytest.approx(31.5, abs=1.0)


def test_eyes_lie_where_the_five_point_template_has_them() -> None:
    iris = _iris(neutral(8, 6, fringe=-2.0, eye_closure=-1.0)).mean(0)
    rows, columns = torch.arange(64.0), torch.arange(64.0)
    half = iris[:, :32]
    x = float((half.sum(0) * columns[:32]).sum() / half.sum()) + 0.5
    y = float((iris.sum(1) * rows).sum() / iris.sum()) + 0.5
    # ArcFace's template at 112 px: left eye (38.29, 51.70)
    assert x == pytest.approx(38.29 * 64 / 112, abs=2.0)
    assert y == pytest.approx(51.70 * 64 / 112, abs=2.5)
    assert pytest.approx(0.318 * 112 / 35.24, abs=0.06) == HALF_WIDTH


def test_every_nuisance_shows() -> None:
    base = normals(5, 8)
    base[0, p.position("occlusion")] = 2.5
    base[1, p.position("glasses")] = 2.5
    grain = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    names = [r.name for r in p.NUISANCES]
    rows = [base]
    for name in names:
        changed = base.clone()
        column = changed[:, p.position(name)]
        column += torch.where(column < 0, 2.5, -2.5)
        rows.append(changed)
    for nuisance in ("wild", "portrait"):
        pictures = render(torch.cat(rows), nuisance=nuisance, grain=grain.repeat(len(rows), 1, 1, 1))
        before, *after = pictures.split(5)
        shown = {n: float((x - before).abs().amax((1, 2, 3)).max()) for n, x in zip(names, after, strict=True)}
        assert {n: v for n, v in shown.items() if v < 0.04} == {}


def test_every_identity_coordinate_shows() -> None:
    """In a clean portrait of two fair people, so that hair and iris colours and freckles can be told."""
    base = neutral(2, 9, ancestry_a=1.2, ancestry_b=0.6, freckles=1.5, mark_size=1.5, hair_red=1.5, fringe=0.5)
    rows = [base]
    for name in p.IDENTITY:
        changed = base.clone()
        changed[:, p.position(name)] += 1.5
        rows.append(changed)
    before, *after = render(torch.cat(rows)).split(2)
    shown = {n: float((x - before).abs().amax((1, 2, 3)).max()) for n, x in zip(p.IDENTITY, after, strict=True)}
    assert {n: v for n, v in shown.items() if v < 0.05} == {}


def test_larger_pictures_show_the_same_scene() -> None:
    z = neutral(4, 10)
    small, large = render(z, size=64), render(z, size=192)
    pooled = torch.nn.functional.avg_pool2d(large, 3)
    assert (pooled - small).abs().mean() < 0.05


def test_a_network_can_learn_from_the_pictures() -> None:
    layer = torch.nn.Conv2d(3, 2, 3)
    layer(render(normals(2))).mean().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0


def test_pixels_are_those_of_this_renderer_version() -> None:
    """Mean and spread of three pictures; where they change on purpose, raise RENDERER_VERSION and the figures."""
    z = 1.5 * torch.sin(torch.arange(3 * p.DIMENSION, dtype=torch.float32) ** 1.5).view(3, -1)
    face = render(z).flatten(1)
    figures = torch.stack([face.mean(1), face.std(1)], 1)
    assert RENDERER_VERSION == 1
    assert torch.allclose(figures, torch.tensor(FIGURES), atol=2e-3)


def test_empty_batch() -> None:
    assert render(normals(0)).shape == (0, 3, 64, 64)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"latent": torch.zeros(2, 5)}, "expected a SimFace latent float32"),
        ({"latent": torch.zeros(2, p.DIMENSION).double()}, "got torch.float64"),
        ({"nuisance": "studio"}, "expected nuisance 'wild' or 'portrait'"),
        ({"size": 60}, "multiple of 8, got 60"),
        ({"size": 1024}, "got 1024"),
        ({"grain": torch.zeros(2, 1, 64, 64)}, "expected grain"),
    ],
)
def test_wrong_arguments_are_refused_in_a_line(change: dict[str, object], text: str) -> None:
    arguments: dict[str, object] = {"latent": torch.zeros(2, p.DIMENSION), **change}
    latent = arguments.pop("latent")
    with pytest.raises(ConfigError, match=text) as caught:
        render(latent, **arguments)  # on purpose
    assert "\n" not in str(caught.value)
