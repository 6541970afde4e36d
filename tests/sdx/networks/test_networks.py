"""The networks: published sizes, published names of weights, and the functions they compute."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sdx import networks
from sdx.errors import ConfigError, SdxError

# (architecture, embedding, size, parameters, million multiply-accumulates); the first six are published figures
SIZES = [
    ("tinyfar-a", 512, 112, 5_562_844, 126.8),
    ("tinyfar-b", 512, 112, 3_105_434, 75.5),
    ("tinyfar-c", 512, 112, 1_832_106, 38.2),
    ("iresnet18", 512, 112, 24_025_600, 2610.0),
    ("iresnet50", 512, 112, 43_590_848, 6309.3),
    ("iresnet100", 512, 112, 65_156_160, 12089.6),
    ("iresnet-simface", 256, 64, 1_636_080, 61.9),
    ("mobilefacenet", 512, 112, 1_200_512, 221.2),
    ("timm:edgenext_x_small", 512, 112, 2_242_620, 97.5),
]


@pytest.mark.parametrize(("architecture", "embedding", "size", "parameters", "millions"), SIZES)
def test_parameters_and_macs_are_the_published_ones(
    architecture: str, embedding: int, size: int, parameters: int, millions: float
) -> None:
    with torch.device("meta"):
        network = networks.build(architecture, embedding, size)
    assert networks.parameters(network) == parameters
    assert networks.macs(network, size) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("embedding", [256, 512])
def test_small_stays_within_eight_million_macs(embedding: int) -> None:
    network = networks.build("small", embedding, 64)
    assert 6e6 < networks.macs(network, 64) <= 8e6
    assert networks.parameters(network) < 1.3e6


def test_macs_of_a_network_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 5, groups=8), nn.Flatten())
    network.append(nn.Linear(8 * 12 * 12, 10))
    by_hand = 16 * 16 * 8 * 3 * 9 + 12 * 12 * 8 * 25 + 8 * 12 * 12 * 10
    assert networks.macs(network, 32) == by_hand


def test_macs_changes_nothing() -> None:
    network = networks.build("iresnet-simface", 16, 32).train()
    network.get_submodule("layer2").eval()
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    networks.macs(network, 32)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_tinyfar_has_the_authors_names(variant: str) -> None:
    network = networks.build(f"tinyfar-{variant}", 512, 112).eval()
    assert {name.split(".")[0] for name in network.state_dict()} == {"cnn", "fc"}
    assert network.get_parameter("fc.weight").shape == (512, 1280)
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 112, 112)).shape == (1, 512)


def test_iresnet_has_insightface_names() -> None:
    with torch.device("meta"):
        names = set(networks.build("iresnet18", 512, 112).state_dict())
    weights = {name.rsplit(".", 1)[0] for name in names}
    block = {"bn1", "conv1", "bn2", "prelu", "conv2", "bn3"}
    expected = {"conv1", "bn1", "prelu", "bn2", "fc", "features"}
    expected |= {f"layer{i}.{j}.{part}" for i in (1, 2, 3, 4) for j in (0, 1) for part in block}
    expected |= {f"layer{i}.0.downsample.{part}" for i in (1, 2, 3, 4) for part in (0, 1)}
    assert weights == expected


def test_mobilefacenet_has_the_usual_names() -> None:
    with torch.device("meta"):
        names = set(networks.build("mobilefacenet", 512, 112).state_dict())
    assert {name.split(".")[0] for name in names} == {
        *("conv1", "conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5"),
        *("conv_6_sep", "output_layer"),
    }
    assert {"conv_4.model.5.conv_dw.prelu.weight", "conv_45.project.bn.running_var"} <= names
    assert {"output_layer.conv_6_dw.conv.weight", "output_layer.linear.weight", "output_layer.bn.weight"} <= names
    assert "conv_45.project.prelu.weight" not in names


def _convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolution as patches times matrix, in float64: shares no code path with the networks'."""
    side, kernel = -(-x.shape[-1] // stride), weight.shape[-1]
    patches = nn.functional.unfold(x, kernel, padding=kernel // 2, stride=stride)
    return (weight.flatten(1) @ patches).reshape(x.shape[0], -1, side, side)


def test_iresnet_computes_what_its_definition_says() -> None:
    torch.manual_seed(3)
    network = networks.build("iresnet-simface", 24, 40).double().eval()
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    w = network.state_dict()

    def norm(x: Tensor, name: str) -> Tensor:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        scale = w[f"{name}.weight"] / (variance + 1e-5).sqrt()
        return (x - mean.reshape(shape)) * scale.reshape(shape) + w[f"{name}.bias"].reshape(shape)

    def prelu(x: Tensor, name: str) -> Tensor:
        return x.clamp(min=0) + w[f"{name}.weight"].reshape(1, -1, 1, 1) * x.clamp(max=0)

    x = face = torch.rand(2, 3, 40, 40, dtype=torch.float64) * 2 - 1
    x = prelu(norm(_convolve(x, w["conv1.weight"], 2), "bn1"), "prelu")
    for block, stride in (("layer1.0", 2), ("layer2.0", 2), ("layer2.1", 1), ("layer3.0", 2)):
        y = _convolve(norm(x, f"{block}.bn1"), w[f"{block}.conv1.weight"], 1)
        y = prelu(norm(y, f"{block}.bn2"), f"{block}.prelu")
        y = norm(_convolve(y, w[f"{block}.conv2.weight"], stride), f"{block}.bn3")
        if stride == 2:
            x = norm(_convolve(x, w[f"{block}.downsample.0.weight"], 2), f"{block}.downsample.1")
        x = x + y
    x = norm(x, "bn2").reshape(2, -1) @ w["fc.weight"].T + w["fc.bias"]
    with torch.no_grad():
        assert torch.allclose(network(face), norm(x, "features"), rtol=1e-9, atol=1e-9)


def test_features_scale_of_iresnet_is_not_learnt() -> None:
    network = networks.build("iresnet-simface", 8, 32)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen == ["features.weight"]
    assert bool((network.get_parameter("features.weight") == 1).all())


@pytest.mark.parametrize("architecture", ["small", "iresnet-simface", "mobilefacenet", "tinyfar-c"])
def test_weights_follow_torch_seed(architecture: str) -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in networks.build(architecture, 8, 32).parameters()])

    assert torch.equal(weights(7), weights(7))
    assert not torch.equal(weights(7), weights(8))


@settings(max_examples=12, deadline=None)
@given(
    architecture=st.sampled_from(["small", "iresnet-simface", "mobilefacenet"]),
    embedding=st.integers(1, 70),
    size=st.integers(16, 75),
    batch=st.integers(1, 3),
)
def test_any_size_gives_finite_embeddings_and_gradients(
    architecture: str, embedding: int, size: int, batch: int
) -> None:
    network = networks.build(architecture, embedding, size).eval()
    face = (torch.rand(batch, 3, size, size) * 2 - 1).requires_grad_()
    out = network(face)
    assert out.shape == (batch, embedding)
    out.square().sum().backward()
    assert face.grad is not None
    assert bool(torch.isfinite(face.grad).all())
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
    assert networks.macs(network, size) > 0


def test_networks_work_in_channels_last() -> None:
    torch.manual_seed(0)
    network = networks.build("small", 16, 64).eval()
    face = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        plain = network(face).clone()
        last = network.to(memory_format=torch.channels_last)(face.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(plain, last, atol=1e-5)


@pytest.mark.parametrize("architecture", [*networks.ARCHITECTURES, "timm:edgenext_x_small"])
def test_input_convolution_reads_the_face(architecture: str) -> None:
    with torch.device("meta"):
        stem = networks.input_convolution(networks.build(architecture, 8, 112))
    assert stem is not None
    assert stem.in_channels == 3


def test_input_convolution_of_a_stranger_is_unknown() -> None:
    assert networks.input_convolution(nn.Sequential(nn.Conv2d(3, 4, 3))) is None


@pytest.mark.parametrize(
    ("architecture", "embedding", "size", "words"),
    [
        ("tinyfar-d", 512, 112, "did you mean 'tinyfar-"),
        ("", 512, 112, "expected one of small"),
        ("timm:tinynet_z", 512, 112, "did you mean"),
        ("timm:", 512, 112, "timm has no network"),
        ("timm:edgenext_x_small", 8, 16, "does not work with 16 pixels"),
        ("small", 0, 64, "embedding size"),
        ("small", 10**9, 64, "embedding size"),
        ("small", 8, 4, "input size"),
        ("small", 8, 10**6, "input size"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(architecture: str, embedding: int, size: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        networks.build(architecture, embedding, size)
    assert isinstance(caught.value, SdxError)
    assert "\n" not in str(caught.value)
