"""Face-generator and embedding ops for any PyTorch project: `from sdx_kernels import crop_resize`.

Importing touches no device, compiles nothing and does not need Triton. See README.md beside this package.
"""

from sdx_kernels.bias_act import bias_act
from sdx_kernels.crop_resize import crop_resize
from sdx_kernels.dispatch import KernelError, backend
from sdx_kernels.embedding_loss import embedding_loss, embedding_loss_gradient
from sdx_kernels.modulated_conv2d import NoiseKey, PackedWeight, Rgb, modulated_conv2d, styled_layer
from sdx_kernels.prototype_loss import prototype_loss
from sdx_kernels.upfirdn2d import upfirdn2d

__all__ = [
    "KernelError",
    "NoiseKey",
    "PackedWeight",
    "Rgb",
    "backend",
    "bias_act",
    "crop_resize",
    "embedding_loss",
    "embedding_loss_gradient",
    "modulated_conv2d",
    "prototype_loss",
    "styled_layer",
    "upfirdn2d",
]
