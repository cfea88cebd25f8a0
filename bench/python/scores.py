"""Scores a JSON list of rows with LightGBM, one score per line, every digit.

Usage: scores.py MODEL ROWS.json. What every service of `cargo xtask bench --peers` must answer.
"""

import json
import sys

import lightgbm
import numpy

model, rows = sys.argv[1:]
with open(rows) as file:
    inputs = numpy.array(json.load(file))
for score in lightgbm.Booster(model_file=model).predict(inputs, num_threads=1):
    print(repr(float(score)))
