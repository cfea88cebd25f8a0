"""Times LightGBM and ONNX Runtime on a model file and a file of rows, one JSON line per measure.

    tree_peers.py MODEL ROWS        peers of `cargo run --release -p tendon-models --example tree_bench -- MODEL ROWS`
    tree_peers.py --make MODEL ROWS writes a model of 300 trees x 31 leaves over 32 features, and 1,024 rows, first

One thread each. The ONNX model is converted by onnxmltools; it computes in single precision, as it always does.
Conversions and calls go through Python, so a fixed cost of a few microseconds per call is part of the numbers, as it
is for whoever serves such a model from Python.
"""

import json
import os
import sys
import time
import warnings

import lightgbm as lgb
import numpy as np

BATCH = 1024
RUNS = 15


def make(model, rows):
    """A model of the size that the budgets speak of."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20_000, 32))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * np.sin(x[:, 3] * 3) + rng.normal(size=len(x)) > 0).astype(int)
    parameters = {
        "objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "feature_fraction": 0.8, "seed": 1, "verbose": -1,
        "num_threads": 1, "deterministic": True, "force_col_wise": True,
    }
    lgb.train(parameters, lgb.Dataset(x, y), 300).save_model(model)
    rng.normal(size=(BATCH, 32)).astype("<f8").tofile(rows)


def report(name, rows, run, calls):
    """The fastest of several runs counts: the others were disturbed by the machine."""
    run()
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        best = min(best, (time.perf_counter() - start) / calls)
    print(json.dumps({"name": name, "ns_per_row": round(best * 1e9 / rows)}), flush=True)


def onnx_session(booster, columns):
    os.environ.setdefault("ORT_LOGGING_LEVEL", "3")
    import onnxruntime
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, columns]))], zipmap=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    warnings.filterwarnings("ignore")
    arguments = [argument for argument in sys.argv[1:] if argument != "--make"]
    model, rows = arguments
    if "--make" in sys.argv:
        make(model, rows)
    booster = lgb.Booster(model_file=model, params={"num_threads": 1})
    x = np.fromfile(rows, "<f8").reshape(-1, booster.num_feature())[:BATCH]
    one = x[:1]
    report("lightgbm_predict_1", 1, lambda: booster.predict(one, num_threads=1), 200)
    report(f"lightgbm_predict_{BATCH}", BATCH, lambda: booster.predict(x, num_threads=1), 1)
    report("lightgbm_contrib_1", 1, lambda: booster.predict(one, pred_contrib=True, num_threads=1), 5)
    report("lightgbm_contrib_64", 64, lambda: booster.predict(x[:64], pred_contrib=True, num_threads=1), 1)
    session = onnx_session(booster, x.shape[1])
    batch, single = x.astype(np.float32), one.astype(np.float32)
    wanted = [session.get_outputs()[-1].name]
    report("onnxruntime_predict_1", 1, lambda: session.run(wanted, {"x": single}), 500)
    report(f"onnxruntime_predict_{BATCH}", BATCH, lambda: session.run(wanted, {"x": batch}), 2)


main()
