"""The lists of IJB-B and IJB-C: read as they were written, or refused by file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ijb_folder import World

from sdx.errors import DataError
from sdx.evaluation import ijb


def test_every_list_is_read(tmp_path: Path) -> None:
    world = World()
    folder = world.write(tmp_path)
    for place in (folder, folder / "meta"):
        images = ijb.read_images(place)
        assert images.templates.name == "ijbc"
        np.testing.assert_array_equal(images.templates.template, world.template)
        np.testing.assert_array_equal(images.templates.media, world.media)
        np.testing.assert_array_equal(images.templates.detector_score, world.score.astype(np.float32))
        np.testing.assert_array_equal(images.landmarks, world.landmarks.reshape(-1, 5, 2))
        assert images.names[:2] == ["1.jpg", "2.jpg"]
        pairs = ijb.read_pairs(place)
        np.testing.assert_array_equal(pairs.first, world.first)
        np.testing.assert_array_equal(pairs.second, world.second)
        np.testing.assert_array_equal(pairs.mated, world.mated)
        galleries, probes = ijb.read_galleries(place)
        assert [one.name for one in galleries] == ["ijbc_1N_gallery_G1", "ijbc_1N_gallery_G2"]
        for roster, members in zip((*galleries, probes), (*world.gallery, world.probe), strict=True):
            order = np.argsort(world.ids[members])
            np.testing.assert_array_equal(roster.template, world.ids[members][order])
            np.testing.assert_array_equal(roster.subject, world.subject[members][order])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("face_tid_mid.txt", lambda lines: [*lines[:4], "5.jpg 7\n", *lines[5:]], "expected 3 fields, got 2 in line 5"),
        ("face_tid_mid.txt", lambda lines: lines[:-1], "the end in line"),
        ("name_5pts_score.txt", lambda lines: lines[:-1], "got the end"),
        ("name_5pts_score.txt", lambda lines: [lines[1], lines[0], *lines[2:]], "1.jpg in line 1, got 2.jpg"),
        ("name_5pts_score.txt", lambda lines: [lines[0].rsplit(" ", 1)[0] + " -1\n", *lines[1:]], "got -1.0 in line 1"),
        ("name_5pts_score.txt", lambda lines: [lines[0].rsplit(" ", 1)[0] + "\n", *lines[1:]], "got 11 in line 1"),
        ("template_pair_label.txt", lambda lines: [*lines, "1 2 maybe\n"], 'a label, 0 or 1, in column 3, got "maybe"'),
        ("template_pair_label.txt", lambda lines: [], "at least one line"),
        ("1N_gallery_G1.csv", lambda lines: [*lines, "a,2,img\n"], 'a whole number below 2^31 in column 1, got "a"'),
        ("1N_gallery_G1.csv", lambda lines: [*lines, lines[1].split(",")[0] + ",99,x\n"], "expected one subject a"),
        ("1N_probe_mixed.csv", lambda lines: lines[:1], "at least one line"),
    ],
)
def test_a_damaged_list_is_refused_by_name(tmp_path: Path, file: str, change: object, message: str) -> None:
    folder = World().write(tmp_path)
    path = folder / "meta" / f"ijbc_{file}"
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))  # type: ignore[operator]
    readers: list[Callable[[Path], object]] = [ijb.read_images, ijb.read_pairs, ijb.read_galleries]
    with pytest.raises(DataError) as error:
        [read(folder) for read in readers]
    assert message in str(error.value)
    if "the end" not in message:
        assert file in str(error.value).split(":")[0]
    assert "\n" not in str(error.value)


def test_a_list_that_is_missing_or_there_twice(tmp_path: Path) -> None:
    folder = World().write(tmp_path / "one")
    with pytest.raises(DataError, match=r"expected one \*_face_tid_mid.txt, got none, there or in meta"):
        ijb.read_images(tmp_path)
    World().write(tmp_path / "two", "ijbb")
    for path in (tmp_path / "two" / "meta").iterdir():
        path.rename(folder / "meta" / path.name)
    with pytest.raises(DataError, match=r"got ijbb_template_pair_label\.txt, ijbc_template_pair_label\.txt"):
        ijb.read_pairs(folder)
    with pytest.raises(DataError, match=r"expected \*_1N_gallery_\*.csv, got none"):
        ijb.read_galleries(tmp_path)
