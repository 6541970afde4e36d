"""The ops of rosinality's stylegan2-pytorch under their signatures: `from sdx_kernels.compat.rosinality import ...`
replaces `from op import FusedLeakyReLU, fused_leaky_relu, upfirdn2d, conv2d_gradfix`.

What differs: bad arguments raise `KernelError`; the slope of `fused_leaky_relu` counts on a CPU too.
"""

from sdx_kernels.compat.nvidia import conv2d_gradfix
from sdx_kernels.compat.rosinality.fused_act import FusedLeakyReLU, fused_leaky_relu
from sdx_kernels.compat.rosinality.resample import upfirdn2d

__all__ = ["FusedLeakyReLU", "conv2d_gradfix", "fused_leaky_relu", "upfirdn2d"]
