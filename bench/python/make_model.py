"""Makes the benchmark's model: 300 trees of 31 leaves over 32 numbers, and rows to score.

Usage: make_model.py FOLDER. Deterministic: the same bytes with the same lightgbm and numpy (pinned in
tests/oracles/requirements.txt). Writes model.txt (LightGBM text) and rows.f64 (4,096 rows, row-major little-endian doubles).
"""

import pathlib
import sys

import lightgbm
import numpy

FEATURES = 32
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random = numpy.random.default_rng(20)
rows = random.random((60_000, FEATURES))
margin = rows[:, :8] @ numpy.arange(1, 9) / 8 + numpy.sin(7 * rows[:, 8]) + rows[:, 9] * rows[:, 10] - 3
target = (random.random(len(rows)) < 1 / (1 + numpy.exp(-margin))).astype(int)
booster = lightgbm.train(
    {
        "objective": "binary",
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "learning_rate": 0.05,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 20,
        "verbose": -1,
    },
    lightgbm.Dataset(rows, target, feature_name=[f"f{index:02}" for index in range(FEATURES)]),
    num_boost_round=300,
)
booster.save_model(folder / "model.txt")
random.random((4096, FEATURES)).astype("<f8").tofile(folder / "rows.f64")
leaves = [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]]
assert len(leaves) == 300 and max(leaves) == 31, leaves
