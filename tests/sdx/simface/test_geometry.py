"""Ellipsoids in closed form against brute force along the ray, in float64."""

import math

import numpy as np
import torch

from sdx.simface.geometry import Quadrics, blend, project, rotation


def plane_of(points: np.ndarray) -> torch.Tensor:
    x, y = torch.tensor(points, dtype=torch.float32).unbind(1)
    return torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y])


def one(seed: int) -> tuple[Quadrics, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    turn = rotation(*torch.tensor(rng.uniform(-1, 1, (3, 1)), dtype=torch.float32))
    centre = rng.uniform(-0.3, 0.3, 3)
    radius = rng.uniform(0.2, 0.9, 3)
    quadrics = project(
        torch.tensor(centre, dtype=torch.float32).view(1, 1, 3),
        turn[:, None],
        torch.tensor(radius, dtype=torch.float32).view(1, 1, 3),
    )
    axes = turn[0].double().numpy()
    return quadrics, centre, axes @ np.diag(1 / radius**2) @ axes.T


def test_rotation_turns_the_nose_to_the_right_and_up() -> None:
    nose = torch.tensor([0.0, 0.0, 1.0])
    angle, zero = torch.tensor([0.5]), torch.tensor([0.0])
    assert torch.allclose(rotation(angle, zero, zero)[0] @ nose, torch.tensor([math.sin(0.5), 0.0, math.cos(0.5)]))
    assert (rotation(zero, angle, zero)[0] @ nose)[1] < -0.4


def test_depth_and_slope_of_an_ellipsoid_solve_its_equation() -> None:
    for seed in range(8):
        quadrics, centre, form = one(seed)
        rng = np.random.default_rng(seed)
        points = centre[:2] + rng.uniform(-0.12, 0.12, (50, 2))
        surface = blend(quadrics, plane_of(points), 10.0)
        hit = np.concatenate([points, surface.z[0].double().numpy()[:, None]], 1) - centre
        value = np.einsum("ni,ij,nj->n", hit, form, hit)
        assert np.abs(value - 1).max() < 1e-4
        normal = hit @ form
        assert (normal[:, 2] > 0).all()  # the near side
        assert np.allclose(surface.slope_x[0], -normal[:, 0] / normal[:, 2], atol=1e-3)
        assert np.allclose(surface.slope_y[0], -normal[:, 1] / normal[:, 2], atol=1e-3)


def test_silhouette_is_where_the_ray_grazes() -> None:
    for seed in range(8):
        quadrics, centre, form = one(seed)
        angle = np.linspace(0, 2 * np.pi, 60)
        # project the ellipsoid: Schur complement of the depth axis is the outline's ellipse
        outline = form[:2, :2] - np.outer(form[:2, 2], form[2, :2]) / form[2, 2]
        ray = np.stack([np.cos(angle), np.sin(angle)], 1)
        reach = 1 / np.sqrt(np.einsum("ni,ij,nj->n", ray, outline, ray))
        for factor, sign in ((0.95, 1), (1.05, -1)):
            inside = blend(quadrics, plane_of(centre[:2] + ray * (factor * reach)[:, None]), 10.0).inside
            assert (torch.sign(inside) == sign).all()
            assert inside.abs().max() < 0.1


def test_of_two_apart_the_nearer_wins() -> None:
    axes = torch.eye(3).expand(1, 2, 3, 3)
    centre = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 1.5]]])
    radius = torch.tensor([[[1.0, 1.0, 1.0], [0.3, 0.3, 0.3]]])
    surface = blend(project(centre, axes, radius), plane_of(np.array([[0.0, 0.0], [-0.6, 0.0]])), 10.0)
    assert torch.allclose(surface.z[0], torch.tensor([1.8, 0.8]), atol=1e-3)


def test_the_rim_of_a_sunken_part_draws_no_crease() -> None:
    axes = torch.eye(3).expand(1, 2, 3, 3)
    centre = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.0, 0.72]]])
    radius = torch.tensor([[[1.0, 1.0, 1.0], [0.3, 0.3, 0.3]]])
    line = np.stack([np.linspace(-0.6, 0.6, 2401), np.zeros(2401)], 1)
    surface = blend(project(centre, axes, radius), plane_of(line), 10.0)
    assert surface.z[0].diff().abs().max() < 1.5e-3  # half a millimetre sideways
    normal = torch.rsqrt(1 + surface.slope_x[0].square())
    assert normal.diff().abs().max() < 0.02
