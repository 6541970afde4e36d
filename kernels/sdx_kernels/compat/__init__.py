"""The ops under the call signatures of the two common PyTorch code bases of StyleGAN2, to be switched to by an import.

`nvidia`: those of stylegan2-ada-pytorch and stylegan3; `rosinality`: those of rosinality's stylegan2-pytorch. Written
from their documented meaning, without their code; thin layers over the public ops of `sdx_kernels`.
"""
