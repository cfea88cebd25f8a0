"""Trains XGBoost models of every kind and writes what XGBoost itself makes of hostile rows.

    xgboost_oracle.py FOLDER [--fixtures PREFIX]

Per model, FOLDER gets NAME.json or NAME.ubj (in turn), NAME.predict.f64 (per row: inputs, outputs, margins) and
NAME.contrib.f64 (per row: inputs, then per output the contributions and the base), little-endian doubles. The list of files
is `cases.txt`, written last; a folder that holds the list of this very script and XGBoost is left as it is.
With --fixtures only a few small models are written, their names with the prefix, for tests that run without Python.
XGBoost refuses rows with infinite values, so these have none; numbers beyond single precision are refused likewise.
"""

import hashlib
import pathlib
import sys

import numpy as np
import xgboost as xgb

TRAIN_ROWS = 1500
ROWS = 10_000
CONTRIB_ROWS = 300
COLUMNS = 8
CATEGORICAL = [4, 5]


def training_data(rng):
    """Numbers with zeros and gaps, two categorical columns (few and many codes), and a target that depends on them."""
    n = TRAIN_ROWS
    x = np.empty((n, COLUMNS))
    x[:, 0] = rng.normal(size=n)
    x[:, 1] = rng.integers(-3, 4, size=n)
    x[:, 2] = rng.standard_cauchy(size=n)
    x[:, 3] = np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n))
    x[:, 4] = np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 10, size=n))
    x[:, 5] = np.floor(rng.gamma(1.5, 25, size=n)).clip(0, 199)
    x[:, 6] = np.where(rng.random(n) < 0.3, np.nan, rng.uniform(-1, 1, size=n))
    x[:, 7] = rng.exponential(size=n) * 1e-38
    target = (
        x[:, 0]
        + 0.5 * x[:, 1] * x[:, 3]
        + np.where(np.isin(x[:, 4], [1, 3, 8]), 1.0, -0.5)
        + np.sin(x[:, 5])
        + np.where(np.isnan(x[:, 6]), 1.2, x[:, 6] ** 2)
        + 0.3 * rng.normal(size=n)
    )
    return x, target


def hostile_rows(rng, booster, n, categorical):
    """Rows from the data's range, each cell replaced now and then by a value at the edge of something."""
    x, _ = training_data(rng)
    rows = x[rng.integers(0, len(x), size=n)]
    special = np.array([np.nan, -0.0, 0.0, 1e-45, -1e-45, 1e-40, 3.4e38, -3.4e38, 16777217.0, 0.1, 1 / 3])
    codes = np.array([0, 3, 9.0, 10, 31, 32, 63, 64, 65, 199, 200, 500, 70000, 16777215, np.nan])
    edges = [[] for _ in range(COLUMNS)]
    frame = booster.trees_to_dataframe()
    for name, value in zip(frame["Feature"], frame["Split"]):
        if name != "Leaf" and value == value:
            near = np.float32(value)
            below, above = np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))
            # Doubles that round to the threshold from below and above, and to its neighbours.
            half = (float(below) + float(near)) / 2
            edges[int(name.removeprefix("f"))] += [float(near), float(below), float(above), half, np.nextafter(half, np.inf), np.nextafter(half, -np.inf)]
    for column in range(COLUMNS):
        pool = codes if categorical and column in CATEGORICAL else special
        where = rng.random(n) < 0.12
        rows[where, column] = rng.choice(pool, size=int(where.sum()))
        if edges[column]:
            where = rng.random(n) < 0.2
            rows[where, column] = rng.choice(np.array(edges[column]), size=int(where.sum()))
    return np.ascontiguousarray(rows)


def label(objective, target, rng):
    if objective.startswith("binary") or objective == "reg:logistic":
        return (target > 0.4).astype(float)
    if objective.startswith("multi"):
        return np.digitize(target, [-0.5, 0.3, 1.2, 2.2])
    if objective.startswith("rank"):
        return np.digitize(target, [0, 1, 2])
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie", "reg:squaredlogerror") or objective.startswith("survival"):
        return np.exp(target / 2) + 0.01
    return target


def cases():
    """Name → (objective, parameters, rounds, whether columns are categorical)."""
    found = {}

    def add(name, objective, rounds=20, categorical=True, **parameters):
        found[name] = (objective, parameters, rounds, categorical)

    for objective in (
        "reg:squarederror", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror", "reg:absoluteerror", "reg:gamma",
        "reg:tweedie", "count:poisson", "binary:logistic", "binary:logitraw", "binary:hinge", "survival:cox", "rank:pairwise",
        "rank:ndcg", "rank:map", "multi:softprob", "multi:softmax",
    ):
        classes = {"num_class": 5} if objective.startswith("multi") else {}
        for categorical in (False, True):
            kind = "cat" if categorical else "num"
            add(f"{objective.replace(':', '_')}_{kind}", objective, categorical=categorical, **classes)
    add("aft", "survival:aft")
    add("quantile", "reg:quantileerror", quantile_alpha=0.7)
    add("base_score", "binary:logistic", base_score=0.13)
    add("base_score_poisson", "count:poisson", base_score=2.5)
    add("base_score_classes", "multi:softprob", base_score=0.4, num_class=5)
    add("single_leaf", "reg:squarederror", min_child_weight=1e9)
    add("stumps", "binary:logistic", max_depth=1, rounds=40)
    add("large", "binary:logistic", max_depth=6, rounds=300, eta=0.05)
    add("deep", "reg:squarederror", max_depth=0, grow_policy="lossguide", max_leaves=300, min_child_weight=0.1)
    add("one_hot", "binary:logistic", max_cat_to_onehot=300)
    add("partition", "binary:logistic", max_cat_to_onehot=1, max_cat_threshold=128)
    add("exact", "binary:logistic", tree_method="exact", categorical=False)
    add("approx", "binary:logistic", tree_method="approx")
    add("dart", "binary:logistic", booster="dart", rate_drop=0.3)
    add("dart_classes", "multi:softprob", booster="dart", rate_drop=0.3, num_class=5)
    add("dart_forest", "reg:squarederror", booster="dart", rate_drop=0.5, normalize_type="forest")
    add("forest", "binary:logistic", rounds=2, num_parallel_tree=15, subsample=0.6, colsample_bynode=0.6, eta=1.0)
    add("forest_classes", "multi:softprob", rounds=3, num_parallel_tree=4, subsample=0.6, num_class=5)
    add("monotone", "reg:squarederror", monotone_constraints="(1,0,0,-1,0,0,0,1)")
    add("pruned", "binary:logistic", gamma=4.0, tree_method="exact", categorical=False)
    add("regular", "reg:squarederror", alpha=0.5, max_delta_step=0.5)
    return found


FIXTURES = ["binary_logistic_cat", "multi_softprob_num", "dart", "partition"]


def matrix(x, categorical, y=None, **more):
    types = ["c" if categorical and column in CATEGORICAL else "q" for column in range(COLUMNS)]
    return xgb.DMatrix(x, y, feature_types=types, enable_categorical=True, nthread=1, **more)


def train(objective, parameters, rounds, categorical, seed):
    rng = np.random.default_rng(seed)
    x, target = training_data(rng)
    y = label(objective, target, rng)
    if objective == "survival:aft":
        data = matrix(x, categorical, label_lower_bound=y, label_upper_bound=y * 1.5)
    elif objective.startswith("rank"):
        y = (y > 1).astype(int) if objective == "rank:map" else y
        data = matrix(x, categorical, y, qid=np.repeat(np.arange(TRAIN_ROWS // 50), 50))
    else:
        data = matrix(x, categorical, y)
    settings = {"objective": objective, "max_depth": 4, "seed": seed, "nthread": 1, "verbosity": 0, **parameters}
    return xgb.train(settings, data, rounds)


def write(folder, file, booster, categorical, seed, softmax, rows_wanted=ROWS, contrib_wanted=CONTRIB_ROWS):
    rng = np.random.default_rng(seed + 1000)
    booster.save_model(folder / file)
    # What counts is what XGBoost reads from the file, not what it held while training.
    booster = xgb.Booster({"nthread": 1}, model_file=folder / file)
    name = file.rsplit(".", 1)[0]
    x = hostile_rows(rng, booster, rows_wanted, categorical)
    rows = matrix(x, categorical)
    margins = booster.predict(rows, output_margin=True).reshape(rows_wanted, -1)
    if softmax:
        # The format answers with probabilities; their largest has to be XGBoost's class.
        booster.set_param({"objective": "multi:softprob"})
    predicted = booster.predict(rows).reshape(rows_wanted, -1)
    np.hstack([x, predicted, margins]).astype("<f8").tofile(folder / f"{name}.predict.f64")
    x = x[:contrib_wanted]
    contrib = booster.predict(matrix(x, categorical), pred_contribs=True).reshape(contrib_wanted, -1)
    np.hstack([x, contrib]).astype("<f8").tofile(folder / f"{name}.contrib.f64")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if "--fixtures" in sys.argv:
        every = cases()
        for seed, name in enumerate(FIXTURES):
            objective, parameters, rounds, categorical = every[name]
            file = f"{sys.argv[-1]}{name}.{['json', 'ubj'][seed % 2]}"
            booster = train(objective, parameters, min(rounds, 3), categorical, seed)
            write(folder, file, booster, categorical, seed, False, 60, 20)
        return
    stamp = hashlib.sha256(pathlib.Path(__file__).read_bytes() + xgb.__version__.encode()).hexdigest() + " single"
    listed = folder / "cases.txt"
    if listed.exists() and listed.read_text().startswith(stamp):
        return
    listed.unlink(missing_ok=True)
    files = []
    for seed, (name, (objective, parameters, rounds, categorical)) in enumerate(cases().items()):
        files.append(f"{name}.{['json', 'ubj'][seed % 2]}")
        booster = train(objective, parameters, rounds, categorical, seed)
        write(folder, files[-1], booster, categorical, seed, objective == "multi:softmax")
    listed.write_text("\n".join([stamp, *files]) + "\n")


main()
