"""Writes tests/assets/digits: scikit-learn's copy of the digits of Alpaydin and Kaynak as IDX files.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install scikit-learn==1.9.1
    /tmp/golden/bin/python tests/golden/digits.py

The first 1,000 images train, the other 797 test.
"""

from pathlib import Path
from struct import pack

from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent.parent / "assets" / "digits"
TRAIN = 1000

digits = load_digits()
FOLDER.mkdir(parents=True, exist_ok=True)
for part, rows in [("train", slice(TRAIN)), ("t10k", slice(TRAIN, None))]:
    # 0 to 16 become 0 to 240: contrast and brightness are then changed as in other pictures.
    images = (digits.images[rows] * 15).astype("uint8")
    labels = digits.target[rows].astype("uint8")
    (FOLDER / f"{part}-images-idx3-ubyte").write_bytes(pack(">IIII", 0x803, *images.shape) + images.tobytes())
    (FOLDER / f"{part}-labels-idx1-ubyte").write_bytes(pack(">II", 0x801, len(labels)) + labels.tobytes())
