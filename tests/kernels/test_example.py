"""The example of another project: a few of its steps, every parameter reached, its picture written."""

from __future__ import annotations

import ast
import importlib.util
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

SOURCE = Path(__file__).parents[2] / "docs" / "examples" / "other_project.py"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("other_project", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["other_project"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["other_project"]


def test_it_needs_no_sdx() -> None:
    named = set()
    for node in ast.walk(ast.parse(SOURCE.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            named.add(node.module.split(".")[0])
    assert named - set(sys.stdlib_module_names) == {"sdx_kernels", "torch", "numpy", "PIL"}


def test_losses_are_finite_and_every_parameter_is_reached(example: ModuleType) -> None:
    trainer = example.Trainer(batch=4, lazy=2)
    start = {net: [p.detach().clone() for p in net.parameters()] for net in (trainer.generator, trainer.average)}
    for step, losses in enumerate(trainer.steps(3)):
        assert math.isfinite(losses.discriminator)
        assert math.isfinite(losses.generator)
        assert math.isfinite(losses.r1) == math.isfinite(losses.path) == (step % 2 == 0)
        for net in (trainer.generator, trainer.discriminator):
            for name, parameter in net.named_parameters():
                assert parameter.grad is not None, name
                assert bool(torch.isfinite(parameter.grad).all()), name
                assert parameter.grad.abs().sum() > 0, name
    for net, before in start.items():
        assert all(not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))
    assert not any(p.requires_grad for p in trainer.average.parameters())


@pytest.mark.parametrize(("part", "parameter"), [("discriminator", "last.weight"), ("generator", "layers.0.weight")])
def test_a_penalty_changes_the_gradients(example: ModuleType, part: str, parameter: str) -> None:
    gradients = []
    for due in (False, True):
        torch.manual_seed(0)
        trainer = example.Trainer(batch=4, gamma=50.0)
        trainer.usual_path = torch.ones(())
        (trainer._discriminate if part == "discriminator" else trainer._generate)(due)
        gradients.append(getattr(trainer, part).get_parameter(parameter).grad)
    assert not torch.allclose(*gradients)


def test_the_distance_tells_pictures_apart(example: ModuleType) -> None:
    pictures = example.discs(64)
    assert pictures.shape == (64, 3, example.SIZE, example.SIZE)
    assert pictures.abs().max() <= 1
    assert example.sliced_distance(pictures, pictures) == 0
    same = example.sliced_distance(example.discs(64), pictures)
    assert example.sliced_distance(pictures * 0.5, pictures) > 2 * same
    assert example.sliced_distance(torch.randn_like(pictures), pictures) > 2 * same


def test_a_short_run_writes_its_picture(example: ModuleType, tmp_path: Path) -> None:
    said: list[str] = []
    example.run(2, tmp_path / "discs.png", compared=32, say=said.append)
    with Image.open(tmp_path / "discs.png") as image:
        assert image.size == (32 * example.SIZE, 12 * example.SIZE)
        colours = image.getcolors(image.width * image.height)
        assert colours is not None
        assert len(colours) > 100
    distances = [float(line.rsplit(" ", 1)[1]) for line in said if line.startswith("distance")]
    assert len(distances) == 3
    assert all(math.isfinite(value) and value > 0 for value in distances)
