"""Write the pickles of `verification_bin.rs`: `python make.py` beside this file, with numpy installed.

`good/` holds one set, [b"\\xff\\xd8a", b"\\xff\\xd8b", b"\\xff\\xd8a", b"\\xff\\xd8c"] and [True, False], as different
writers put it; `hostile/` holds what a reader must refuse. Python 2's files are spelt out, opcode by opcode.
"""

import pickle
import struct
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
IMAGES = [b"\xff\xd8a", b"\xff\xd8b", b"\xff\xd8a", b"\xff\xd8c"]
SAME = [True, False]


def short(data: bytes) -> bytes:
    """Python 2's SHORT_BINSTRING."""
    return b"U" + bytes([len(data)]) + data


def text(name: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(name)]) + name.encode()


GOOD = {
    "python2-protocol0": b"(lp0\n"
    + b"".join(b"S'\\xff\\xd8%c'\np%d\na" % (i[2], n + 1) for n, i in enumerate(IMAGES))
    + b"(lp9\nI01\naI00\na\x86.",
    "python2-protocol2": b"\x80\x02]q\x01(" + b"".join(map(short, IMAGES)) + b"e]q\x02(\x88\x89e\x86q\x03.",
    "python2-binstring": b"\x80\x02](" + b"".join(b"T\x03\0\0\0" + i for i in IMAGES) + b"e](K\x01K\x00e\x86.",
    "shared-items": b"\x80\x03](C\x03\xff\xd8aq\x00C\x03\xff\xd8bh\x00C\x03\xff\xd8ce](\x88\x89e\x86.",
    "tuples": b"\x80\x03(" + b"".join(b"C\x03" + i for i in IMAGES) + b"t\x88\x89\x86\x86.",
    "imencode-column": pickle.dumps(([np.frombuffer(i, np.uint8).reshape(-1, 1).copy() for i in IMAGES], SAME), 3),
    "numpy-labels": pickle.dumps((IMAGES, np.array(SAME)), 4),
    "numpy-scalars": pickle.dumps((IMAGES, [np.True_, np.False_]), 4),
}
for protocol in range(6):
    arrays = [np.frombuffer(i, np.uint8).copy() for i in IMAGES]
    GOOD[f"python3-bytes-protocol{protocol}"] = pickle.dumps((IMAGES, SAME), protocol)
    GOOD[f"python3-numpy-protocol{protocol}"] = pickle.dumps((arrays, SAME), protocol)

SET = GOOD["python2-protocol2"]
TEN_GB = struct.pack("<Q", 10 * 2**30)
DTYPE = b"cnumpy\ndtype\n" + text("u1") + b"\x89\x88\x87R"
BUFFER = b"cnumpy.core.numeric\n_frombuffer\n(C\x03abc" + DTYPE
HOSTILE = {
    "empty": b"",
    "no-stop": SET[:-1],
    "truncated-item": SET[:12],
    "trailing-bytes": SET + b"x",
    "two-values": b"NN.",
    "open-mark": b"(N.",
    "protocol-9": b"\x80\x09" + SET[2:],
    "global-system": b"cos\nsystem\n(S'true'\ntR.",
    "global-builtins": b"\x80\x03cbuiltins\neval\nX\x01\0\0\x001\x85R.",
    "global-numpy-other": b"\x80\x03cnumpy.core.multiarray\nfromstring\n.",
    "stack-global-posix": b"\x80\x04" + text("posix") + text("system") + b"\x93" + text("true") + b"\x85R.",
    "stack-global-number": b"\x80\x04K\x01K\x02\x93.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "newobj": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "persistent": b"Pimages\n.",
    "dictionary": b"}.",
    "extension": b"\x80\x02\x82\x01.",
    "buffer": b"\x80\x05\x97.",
    "unknown-opcode": b"\xfe.",
    "item-10gb": b"\x80\x04](\x8e" + TEN_GB + b"abc",
    "text-10gb": b"\x80\x04](\x8d" + TEN_GB + b"abc",
    "frame-10gb": b"\x80\x04\x95" + TEN_GB + SET[2:],
    "negative-length": b"\x80\x02](T\xff\xff\xff\xffabc",
    "huge-memo": b"\x80\x02Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.",
    "memo-missing": b"h\x05.",
    "stack-empty": b"a.",
    "mark-missing": b"Nt.",
    "below-mark": b"N(a.",
    "append-to-none": b"NNa.",
    "own-list": b"]q\x00h\x00a.",
    "own-pair": b"]q\x00(h\x00h\x00e.",
    "wide-integer": b"\x80\x02\x8a\x09" + b"\1" * 9 + b".",
    "not-an-integer": b"Ix\n.",
    "broken-string": b"S'\\xf\n.",
    "broken-unicode": b"V\\u12\n.",
    "re-encode": b"c_codecs\nencode\nq\x00X\x64\0\0\0"
    + b"a" * 100
    + text("latin1")
    + b"\x86q\x01R"
    + b"h\x00h\x01R" * 100
    + b".",
    "encode-not-latin1": b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xac" + text("latin1") + b"\x86R.",
    "encode-codec": b"c_codecs\nencode\nX\x01\0\0\0a" + text("rot13") + b"\x86R.",
    "call-of-none": b"N)R.",
    "build-of-none": b"N)b.",
    "dtype-object": b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R.",
    "array-of-floats": pickle.dumps(([np.zeros(2)] * 2, [True]), 3),
    "array-of-rows": pickle.dumps(([np.zeros((2, 2), np.uint8)] * 2, [True]), 3),
    "array-false-length": BUFFER + b"J\xff\xff\xff\x7f\x85" + text("C") + b"tR.",
    "array-negative-length": BUFFER + b"J\xfd\xff\xff\xff\x85" + text("C") + b"tR.",
    "array-without-state": b"(cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87RNl(\x88l\x86.",
    "not-a-pair": b"](NNNe.",
    "images-not-a-list": b"\x80\x02N](\x88e\x86.",
    "labels-not-a-list": b"\x80\x02](" + short(b"a") + short(b"b") + b"eN\x86.",
    "label-none": b"\x80\x02](" + short(b"a") + short(b"b") + b"e](Ne\x86.",
    "label-two": b"\x80\x02](" + short(b"a") + short(b"b") + b"e](K\x02e\x86.",
    "labels-array-two": pickle.dumps((IMAGES, np.array([1, 2], np.uint8)), 4),
    "one-image-short": b"\x80\x02](" + short(b"a") + b"e](\x88e\x86.",
    "no-pairs": b"\x80\x02]]\x86.",
    "empty-image": b"\x80\x02](" + short(b"a") + short(b"") + b"e](\x88e\x86.",
    "image-of-text": pickle.dumps((["a", "b"], [True]), 4),
}

for folder, files in (("good", GOOD), ("hostile", HOSTILE)):
    (HERE / folder).mkdir(exist_ok=True)
    for name, data in files.items():
        (HERE / folder / f"{name}.bin").write_bytes(data)
