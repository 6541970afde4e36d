"""The ops of stylegan2-ada-pytorch and stylegan3 under their signatures.

`from sdx_kernels.compat.nvidia import upfirdn2d, bias_act, conv2d_resample, conv2d_gradfix, grid_sample_gradfix, fma`
replaces `from torch_utils.ops import ...` (each name is a module), and `modulated_conv2d` is the function of
`training.networks_stylegan2`. `filtered_lrelu`, which only StyleGAN3's own generator needs, is not there.

What differs: bad arguments raise `KernelError`, not AssertionError; bfloat16 works; half formats accumulate in float32;
`impl="cuda"` means the best implementation there is, and nothing is compiled from C++.
"""

from sdx_kernels.compat.nvidia import bias_act, conv2d_gradfix, conv2d_resample, fma, grid_sample_gradfix, upfirdn2d
from sdx_kernels.compat.nvidia.modulation import modulated_conv2d

__all__ = [
    "bias_act",
    "conv2d_gradfix",
    "conv2d_resample",
    "fma",
    "grid_sample_gradfix",
    "modulated_conv2d",
    "upfirdn2d",
]


def __getattr__(name: str) -> object:
    if name == "filtered_lrelu":
        # An AttributeError would reach the user of `from ... import filtered_lrelu` without its text.
        raise ImportError("sdx_kernels.compat.nvidia has no filtered_lrelu: the ops of StyleGAN2 alone are provided")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
