"""Trains LightGBM models of every kind and writes what LightGBM itself makes of hostile rows.

    lightgbm_oracle.py FOLDER [--fixtures]

Per model, FOLDER gets NAME.txt (the model as saved), NAME.predict.f64 (per row: inputs, outputs, margins) and
NAME.contrib.f64 (per row: inputs, then per output the contributions and the base), little-endian doubles. The list of
files is `cases.txt`, written last; a folder that holds the list of this very script and LightGBM is left as it is.
With --fixtures only a few small models are written, for tests that run without Python.
"""

import hashlib
import pathlib
import sys

import lightgbm as lgb
import numpy as np

TRAIN_ROWS = 1500
ROWS = 10_000
CONTRIB_ROWS = 300
CATEGORICAL = [4, 5]
COLUMNS = 8
ZERO = float(np.float32(1e-35))  # LightGBM's threshold for "is zero"


def training_data(rng):
    """Numbers with zeros and gaps, two categorical columns (few and many codes), and a target that depends on them."""
    n = TRAIN_ROWS
    x = np.empty((n, COLUMNS))
    x[:, 0] = rng.normal(size=n)
    x[:, 1] = rng.integers(-3, 4, size=n)
    x[:, 2] = rng.standard_cauchy(size=n)
    x[:, 3] = np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n))
    x[:, 4] = rng.integers(0, 10, size=n)
    x[:, 5] = np.floor(rng.gamma(1.5, 25, size=n)).clip(0, 199)
    x[:, 6] = np.where(rng.random(n) < 0.3, np.nan, rng.uniform(-1, 1, size=n))
    x[:, 7] = rng.exponential(size=n)
    target = (
        x[:, 0]
        + 0.5 * x[:, 1] * x[:, 3]
        + np.where(np.isin(x[:, 4], [1, 3, 8]), 1.0, -0.5)
        + np.sin(x[:, 5])
        + np.where(np.isnan(x[:, 6]), 1.2, x[:, 6] ** 2)
        + 0.3 * rng.normal(size=n)
    )
    return x, target


def hostile_rows(rng, booster, n):
    """Rows from the data's range, each cell replaced now and then by a value at the edge of something."""
    x, _ = training_data(rng)
    rows = x[rng.integers(0, len(x), size=n)]
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-36, -1e-36, ZERO, -ZERO, 2e-35, 1e300, -1e300, 1e-320])
    codes = np.array([-1, -0.5, -7, 0.5, 3.99, 10, 63, 64, 65, 199, 200, 500, 3e9, -3e9, 2.0**31, 1e300, np.nan, np.inf, -np.inf])
    thresholds = [[] for _ in range(COLUMNS)]
    frame = booster.trees_to_dataframe() if any_split(booster) else None
    if frame is not None:
        splits = frame[frame["decision_type"] == "<="]
        for name, value in zip(splits["split_feature"], splits["threshold"]):
            value = float(value)
            thresholds[int(name.removeprefix("Column_"))] += [value, np.nextafter(value, np.inf), np.nextafter(value, -np.inf)]
    for column in range(COLUMNS):
        pool = codes if column in CATEGORICAL else special
        where = rng.random(n) < 0.12
        rows[where, column] = rng.choice(pool, size=int(where.sum()))
        if thresholds[column]:
            where = rng.random(n) < 0.12
            rows[where, column] = rng.choice(np.array(thresholds[column]), size=int(where.sum()))
    return np.ascontiguousarray(rows)


def any_split(booster):
    return any(line.startswith("split_feature=") and len(line) > 14 for line in booster.model_to_string().splitlines())


def label(objective, target, rng):
    if objective in ("binary", "cross_entropy", "cross_entropy_lambda"):
        return (target > 0.4).astype(float)
    if objective.startswith("multiclass"):
        return np.digitize(target, [-0.5, 0.3, 1.2, 2.2])
    if objective in ("lambdarank", "rank_xendcg"):
        return np.digitize(target, [0, 1, 2])
    if objective in ("poisson", "gamma", "tweedie", "mape"):
        return np.exp(target / 2) + 0.01
    return target


def cases():
    """Name → (objective, parameters, number of rounds, whether columns are declared categorical)."""
    found = {}

    def add(name, objective, rounds=20, categorical=True, **parameters):
        found[name] = (objective, parameters, rounds, categorical)

    for objective in (
        "regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie", "binary",
        "cross_entropy", "cross_entropy_lambda", "lambdarank", "rank_xendcg",
    ):
        add(objective, objective)
    for objective in ("regression", "regression_l1", "fair", "quantile"):
        add(f"{objective}_sqrt", objective, reg_sqrt=True)
    add("binary_sigmoid", "binary", sigmoid=0.37)
    add("multiclass", "multiclass", num_class=5)
    add("multiclass_numeric", "multiclass", num_class=5, categorical=False)
    add("multiclassova", "multiclassova", num_class=5, sigmoid=1.7)
    add("custom", "custom")
    add("custom_classes", "custom", num_class=2)
    for objective in ("regression", "binary"):
        for categorical in (False, True):
            kind = "cat" if categorical else "num"
            add(f"{objective}_{kind}_no_missing", objective, categorical=categorical, use_missing=False)
            add(f"{objective}_{kind}_zero_missing", objective, categorical=categorical, zero_as_missing=True)
            add(f"{objective}_{kind}_plain", objective, categorical=categorical)
    add("single_leaf", "regression", rounds=3, min_data_in_leaf=TRAIN_ROWS)
    add("single_leaf_classes", "multiclass", rounds=2, num_class=5, min_data_in_leaf=TRAIN_ROWS)
    add("no_trees", "binary", rounds=0)
    add("stumps", "binary", num_leaves=2, rounds=40)
    add("large", "binary", num_leaves=31, rounds=300, learning_rate=0.05)
    add("deep", "regression", num_leaves=400, min_data_in_leaf=1, min_sum_hessian_in_leaf=0.0, rounds=10)
    add("chain", "regression", num_leaves=60, min_data_in_leaf=1, rounds=10, categorical=False, monotone_constraints=[1] * 8)
    add("one_hot", "binary", max_cat_to_onehot=300)
    add("coarse_bins", "binary", max_bin=7)
    add("rf_regression", "regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.7)
    add("rf_binary", "binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    add("rf_multiclass", "multiclass", num_class=5, boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    add("rf_sqrt", "regression", boosting="rf", bagging_freq=1, bagging_fraction=0.5, reg_sqrt=True)
    add("dart", "binary", boosting="dart", drop_rate=0.3)
    add("goss", "binary", data_sample_strategy="goss")
    add("bagging", "regression", bagging_freq=1, bagging_fraction=0.3, extra_trees=True)
    add("monotone", "regression", monotone_constraints=[1, 0, 0, -1, 0, 0, 0, 1])
    add("quantized", "binary", use_quantized_grad=True)
    add("smooth", "regression", path_smooth=5.0, lambda_l1=0.5, max_delta_step=0.5)
    return found


FIXTURES = ["binary", "multiclass", "regression_cat_zero_missing", "rf_binary", "single_leaf", "custom", "tweedie"]


def train(name, objective, parameters, rounds, categorical, seed):
    rng = np.random.default_rng(seed)
    x, target = training_data(rng)
    y = label(objective, target, rng)
    group = [50] * (TRAIN_ROWS // 50) if objective in ("lambdarank", "rank_xendcg") else None
    weight = rng.uniform(0.5, 2, size=TRAIN_ROWS) if name == "cross_entropy" else None
    if objective == "custom":
        classes = parameters.get("num_class", 1)

        def gradient(scores, _):
            scores = scores.reshape(TRAIN_ROWS, classes, order="F") if classes > 1 else scores[:, None]
            wanted = np.column_stack([y * (k + 1) for k in range(classes)])
            return (scores - wanted).ravel(order="F"), np.ones(TRAIN_ROWS * classes)

        parameters = {**parameters, "objective": gradient}
    else:
        parameters = {**parameters, "objective": objective}
    settings = {
        "num_leaves": 15, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1.0, "verbose": -1, "seed": seed,
        "num_threads": 1, "deterministic": True, "force_col_wise": True, **parameters,
    }
    data = lgb.Dataset(x, y, group=group, weight=weight, categorical_feature=CATEGORICAL if categorical else [])
    booster = lgb.train(settings, data, rounds) if rounds else lgb.Booster(settings, data)
    # What counts is what LightGBM reads from the file, not what it held while training.
    return lgb.Booster(model_str=booster.model_to_string())


def write(folder, name, booster, seed, rows, contrib_rows):
    rng = np.random.default_rng(seed + 1000)
    (folder / f"{name}.txt").write_text(booster.model_to_string())
    x = hostile_rows(rng, booster, rows)
    outputs = booster.num_model_per_iteration()
    options = {"num_threads": 1}
    predicted = booster.predict(x, **options).reshape(rows, outputs)
    margins = booster.predict(x, raw_score=True, **options).reshape(rows, outputs)
    np.hstack([x, predicted, margins]).astype("<f8").tofile(folder / f"{name}.predict.f64")
    x = x[:contrib_rows]
    contrib = booster.predict(x, pred_contrib=True, **options).reshape(contrib_rows, outputs * (COLUMNS + 1))
    np.hstack([x, contrib]).astype("<f8").tofile(folder / f"{name}.contrib.f64")


def main():
    folder, fixtures = pathlib.Path(sys.argv[1]), "--fixtures" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    stamp = hashlib.sha256(pathlib.Path(__file__).read_bytes() + lgb.__version__.encode()).hexdigest() + " double"
    listed = folder / "cases.txt"
    if not fixtures and listed.exists() and listed.read_text().startswith(stamp):
        return
    listed.unlink(missing_ok=True)
    every = cases()
    for seed, (name, (objective, parameters, rounds, categorical)) in enumerate(every.items()):
        if not fixtures:
            write(folder, name, train(name, objective, parameters, rounds, categorical, seed), seed, ROWS, CONTRIB_ROWS)
        elif name in FIXTURES:
            write(folder, name, train(name, objective, parameters, min(rounds, 5), categorical, seed), seed, 60, 20)
    if not fixtures:
        listed.write_text("\n".join([stamp, *(f"{name}.txt" for name in every)]) + "\n")


main()
