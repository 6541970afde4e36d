"""The published EdgeFace-XS on LFW: read, folded and fed as its authors feed it, it tells people apart."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdx import teachers
from sdx._core import VerificationBin, read_verification_bin

REAL = Path(__file__).parents[3] / "shared" / "real"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="real faces and teacher are not at ../shared/real"),
]
PAIRS = [*range(0, 40), *range(300, 340)]  # the first fold: 300 mated pairs, then 300 non-mated


def test_mated_and_non_mated_cosines() -> None:
    file = read_verification_bin(str(REAL / "lfw.bin"))
    mated = torch.from_numpy(np.asarray(file.mated)[PAIRS])
    assert int(mated.sum()) == 40
    faces = torch.stack([_decode(file, 2 * pair + side) for pair in PAIRS for side in (0, 1)])
    teacher = teachers.build(f"edgeface:{REAL / 'edgeface_xs.pt'}")
    embedding = torch.nn.functional.normalize(teacher.embed(faces, "aligned"))
    cosine = (embedding[0::2] * embedding[1::2]).sum(1)
    assert teacher.embedding == 512
    assert teacher.sha256.startswith("4d81e4f3e15f")
    assert float(cosine[mated].mean()) == pytest.approx(0.63, abs=0.06)
    assert float(cosine[~mated].mean()) == pytest.approx(0.01, abs=0.04)
    assert float(((cosine > 0.3) == mated).float().mean()) >= 0.97


def _decode(file: VerificationBin, item: int) -> torch.Tensor:
    encoded = file.data[file.offsets[item] : file.offsets[item + 1]].tobytes()
    with Image.open(io.BytesIO(encoded)) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1) / 127.5 - 1
