"""Trains scikit-learn's linear models, draws scorecards, and writes what they say of hostile rows.

    linear_oracle.py FOLDER

Per model, FOLDER gets NAME.json, NAME.predict.f64 (per row: inputs, outputs, margins) and NAME.contrib.f64 (per row: inputs,
then per output the contributions and the base), little-endian doubles. The list of files is `cases.txt`, written last; a
folder that holds the list of this very script and scikit-learn is left as it is.

A library's dot product is rounded in an order of its own, so its last digits are no truth. The truth written here is the
file's exact sum (products without error, `math.fsum`) rounded once, made by reading the file again in plain Python; and
scikit-learn's own answer has to agree with it to 1e-12 of the terms on every row that it takes.
"""

import hashlib
import json
import math
import pathlib
import sys
from fractions import Fraction

import numpy as np
import sklearn
from sklearn import linear_model as lm
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC, LinearSVR

TRAIN_ROWS = 1500
ROWS = 10_000
CONTRIB_ROWS = 300
NUMBERS = ["age", "balance", "ratio", "gap", "tiny"]
JOBS = ["admin.", "blue collar", "é", "", "retired"]
REGIONS = [str(code) for code in range(40)]


def training_data(rng, n=TRAIN_ROWS):
    """Five numbers and two categories (as codes), and a target that depends on them."""
    x = np.column_stack([
        rng.integers(18, 95, size=n).astype(float),
        rng.normal(1500, 3000, size=n),
        rng.uniform(-1, 1, size=n),
        np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)),
        rng.exponential(size=n) * 1e-3,
        rng.integers(0, len(JOBS), size=n).astype(float),
        rng.integers(0, len(REGIONS), size=n).astype(float),
    ])
    target = 0.02 * (x[:, 0] - 50) + x[:, 1] / 4000 + x[:, 2] ** 2 - x[:, 3] + 0.3 * (x[:, 5] == 2) + 0.4 * rng.normal(size=n)
    return x, target


def hostile_rows(rng, n, edges):
    """Rows from the data's range; in every second row cells are replaced by values at the edge of something."""
    x, _ = training_data(rng, n)
    special = np.array([np.nan, -0.0, 0.0, 1e-200, -1e-200, 1e100, -1e100, 2.0**53 + 2, 0.1, 1 / 3, 1e16, -1e16])
    codes = np.array([np.nan, -1.0, 4.0, 5.0, 39.0, 40.0, 2.5, 1e300, -0.0])
    hostile = rng.random(n) < 0.5
    for column in range(x.shape[1]):
        pool = codes if column >= len(NUMBERS) else np.concatenate([special, edges.get(column, [])])
        where = hostile & (rng.random(n) < 0.2)
        x[where, column] = rng.choice(pool, size=int(where.sum()))
    return np.ascontiguousarray(x)


# ---- reading a file in plain Python ----------------------------------------------------------------------------------------


def per_output(value):
    return value if isinstance(value, list) else [value]


def exact_product(a, x):
    """The product and its error, exactly (Dekker and Veltkamp)."""
    def split(v):
        c = 134217729.0 * v
        high = c - (c - v)
        return high, v - high

    p = a * x
    (ah, al), (xh, xl) = split(a), split(x)
    return p, ((ah * xh - p) + ah * xl + al * xh) + al * xl


def categories_of(feature):
    if "bins" in feature:
        return [value for one in feature["bins"] for value in one["values"]]
    return feature["values"]


def points_of_category(feature, text, output):
    if "bins" in feature:
        return next(per_output(one["points"])[output] for one in feature["bins"] if text in one["values"])
    return per_output(feature["coefficients"][feature["values"].index(text)])[output]


def points_of_number(feature, value, output):
    for one in feature["bins"]:
        if "below" not in one or value < one["below"]:
            return per_output(one["points"])[output]
    raise AssertionError


def terms(feature, column, output):
    """What a column of cells adds (one or two addends each), and what it adds over its reference."""
    category = feature["kind"] == "category"
    texts = categories_of(feature) if category else None
    if category:
        known = np.isin(column, np.arange(len(texts)))
    else:
        known = ~np.isnan(column)
    rule = feature["missing"]
    column = column.copy()
    if "as" in rule:
        column[~known] = texts.index(rule["as"]) if category else rule["as"]
        known = np.ones(len(column), bool)
    column[~known] = 0
    fixed = per_output(rule["adds"])[output] if "adds" in rule else 0.0
    if "coefficient" in feature:
        slope, mean = per_output(feature["coefficient"])[output], feature.get("mean", 0.0)
        product, error = exact_product(slope, column)
        over = np.where(known, slope * (column - mean), fixed - slope * mean)
        return np.where(known, product, fixed), np.where(known, error, 0.0), over
    if category:
        table = np.array([points_of_category(feature, text, output) for text in texts])
        points = table[column.astype(int)]
    else:
        points = np.array([points_of_number(feature, value, output) for value in column])
    points = np.where(known, points, fixed)
    neutral = per_output(feature["neutral"])[output] if "neutral" in feature else 0.0
    return points, np.zeros(len(points)), points - neutral


def base_of(model, output):
    base = [Fraction(per_output(model["intercept"])[output])]
    for feature in model["features"]:
        if "coefficient" in feature:
            base.append(Fraction(per_output(feature["coefficient"])[output]) * Fraction(feature.get("mean", 0.0)))
        elif "neutral" in feature:
            base.append(Fraction(per_output(feature["neutral"])[output]))
    return float(sum(base))


def judged(model, x):
    """Exact margins, sizes of the terms, and contributions, per output."""
    outputs = len(per_output(model["intercept"]))
    margins, sizes, contributions = [], [], []
    for output in range(outputs):
        parts = [terms(feature, x[:, column], output) for column, feature in enumerate(model["features"])]
        start = per_output(model["intercept"])[output]
        addends = np.column_stack([np.full(len(x), start)] + [one for part in parts for one in part[:2]])
        margins.append([math.fsum(row) for row in addends.tolist()])
        sizes.append(np.abs(addends).sum(axis=1))
        contributions.append(np.column_stack([part[2] for part in parts] + [np.full(len(x), base_of(model, output))]))
    return np.array(margins).T, np.array(sizes).T, contributions


def exp(x):
    return math.exp(x) if x < 709.78 else math.inf


def answers(model, margins):
    """The outputs, by the formulas of docs/linear-models.md."""
    transform = model.get("transform", "identity")
    out = []
    for row in margins.tolist():
        if transform == "logit":
            row = [1 / (1 + exp(-x)) for x in row]
        elif transform == "exp":
            row = [exp(x) for x in row]
        elif transform == "softmax":
            powers = [exp(x - max(row)) for x in row]
            total = 0.0
            for power in powers:
                total += power
            row = [power / total for power in powers]
        elif transform == "points":
            scale = model["points"]
            factor = math.log(2) / scale["pdo"]
            offset = math.log(scale["odds"]) - factor * scale["score"]
            sign = -1 if scale.get("probability") == "against" else 1
            z = float(Fraction(factor) * Fraction(row[0]) + Fraction(offset)) * sign
            odds = scale["odds"] * 2.0 ** ((row[0] - scale["score"]) / scale["pdo"])
            plain = odds / (1 + odds) if sign == 1 else 1 / (1 + odds)
            row = [1 / (1 + exp(-z))]
            assert abs(row[0] - plain) <= 1e-12 * plain, (row, plain)
        out.append(row)
    return np.array(out)


# ---- models -----------------------------------------------------------------------------------------------------------------


def one_hot(x, jobs=True):
    columns = [x[:, : len(NUMBERS)]]
    if jobs:
        columns += [(x[:, [5]] == np.arange(len(JOBS))).astype(float), (x[:, [6]] == np.arange(len(REGIONS))).astype(float)]
    return np.hstack(columns)


def exported(rng, transform, coefficients, intercept, with_missing):
    """scikit-learn's coefficients as a file."""
    coefficients = np.atleast_2d(coefficients)
    intercept = np.atleast_1d(intercept).tolist()
    if len(intercept) < len(coefficients):
        intercept = intercept * len(coefficients)

    def shown(values):
        values = [float(value) for value in values]
        return values if len(values) > 1 else values[0]

    features = []
    for index, name in enumerate(NUMBERS):
        features.append({"name": name, "kind": "number", "coefficient": shown(coefficients[:, index])})
        if rng.random() < 0.7:
            features[-1]["mean"] = float(rng.normal(10, 30))
    at = len(NUMBERS)
    for name, texts in (("job", JOBS), ("region", REGIONS)):
        lists = [shown(coefficients[:, at + code]) for code in range(len(texts))]
        features.append({"name": name, "kind": "category", "values": texts, "coefficients": lists})
        features[-1]["neutral"] = shown(coefficients[:, at : at + len(texts)].mean(axis=1))
        at += len(texts)
    for feature in features:
        if with_missing == "adds":
            feature["missing"] = {"adds": shown(rng.normal(size=len(coefficients)))}
        else:
            feature["missing"] = {"as": rng.choice(feature["values"]).item() if feature["kind"] == "category" else float(rng.normal())}
    return {"format": "tendon/linear@1", "transform": transform, "intercept": shown(intercept), "features": features}


def trained():
    """Name → (transform, scikit-learn's model, how the target is made, what it answers with)."""
    number = lambda t: t
    sign = lambda t: (t > 0.4).astype(int)
    count = lambda t: np.exp(np.clip(t, -3, 3)).round()
    classes = lambda k: lambda t: np.digitize(t, np.quantile(t, np.arange(1, k) / k))
    labels = lambda t: np.column_stack([t > 0, t > 0.5, np.sin(3 * t) > 0]).astype(int)
    predict, proba, decision = "predict", "predict_proba", "decision_function"
    found = {
        "linear": ("identity", lm.LinearRegression(), number, predict),
        "linear_flat": ("identity", lm.LinearRegression(fit_intercept=False), number, predict),
        "linear_targets": ("identity", lm.LinearRegression(), lambda t: np.column_stack([t, t * t, -3 * t]), predict),
        "ridge": ("identity", lm.Ridge(alpha=3), number, predict),
        "lasso": ("identity", lm.Lasso(alpha=0.01), number, predict),
        "elastic": ("identity", lm.ElasticNet(alpha=0.01), number, predict),
        "bayes": ("identity", lm.BayesianRidge(), number, predict),
        "huber": ("identity", lm.HuberRegressor(max_iter=300), number, predict),
        "lars": ("identity", lm.LassoLars(alpha=0.001), number, predict),
        "quantile": ("identity", lm.QuantileRegressor(alpha=0.001), number, predict),
        "svr": ("identity", LinearSVR(), number, predict),
        "svc": ("identity", LinearSVC(), sign, decision),
        "ridge_classifier": ("identity", lm.RidgeClassifier(), sign, decision),
        "poisson": ("exp", lm.PoissonRegressor(alpha=0.1), count, predict),
        "gamma": ("exp", lm.GammaRegressor(alpha=0.1), lambda t: count(t) + 1, predict),
        "tweedie": ("exp", lm.TweedieRegressor(power=1.5, link="log", alpha=0.1), count, predict),
        "labels": ("logit", OneVsRestClassifier(lm.LogisticRegression(max_iter=300)), labels, proba),
    }
    for c in (0.001, 0.1, 1.0, 100.0):
        for flat in (False, True):
            found[f"logistic_{c}_{flat}"] = ("logit", lm.LogisticRegression(C=c, fit_intercept=not flat, max_iter=500), sign, proba)
    found["logistic_balanced"] = ("logit", lm.LogisticRegression(class_weight="balanced", max_iter=300), sign, proba)
    found["logistic_l1"] = ("logit", lm.LogisticRegression(solver="liblinear", C=0.3), sign, proba)
    for k in (3, 4, 7, 12):
        found[f"classes_{k}"] = ("softmax", lm.LogisticRegression(max_iter=300), classes(k), proba)
    return found


def fit(transform, estimator, target, seed):
    """Trains on scaled columns (solvers need it) and folds the scale into the coefficients."""
    rng = np.random.default_rng(seed)
    x, t = training_data(rng)
    full = one_hot(x)
    scale = np.maximum(full.std(axis=0), 1e-9)
    estimator.fit(full / scale, target(t))
    if isinstance(estimator, OneVsRestClassifier):
        coefficients = np.vstack([one.coef_ for one in estimator.estimators_])
        intercept = np.concatenate([one.intercept_ for one in estimator.estimators_])
    else:
        coefficients, intercept = np.atleast_2d(estimator.coef_), estimator.intercept_
    model = exported(rng, transform, coefficients / scale, intercept, "adds" if seed % 2 else "as")
    return model, scale


def agree(name, estimator, method, scale, model, x, margins, sizes, outputs):
    """scikit-learn's own answers on the rows that it takes."""
    taken = np.all(np.isfinite(x) & (np.abs(x) < 1e17), axis=1)
    taken &= np.isin(x[:, 5], np.arange(len(JOBS))) & np.isin(x[:, 6], np.arange(len(REGIONS)))
    assert taken.sum() > ROWS / 3, taken.sum()
    said = getattr(estimator, method)(one_hot(x[taken]) / scale)
    if method == "predict_proba" and outputs.shape[1] == 1:
        said = said[:, 1]
    said = said.reshape(int(taken.sum()), -1)
    ours, size = outputs[taken], np.maximum(sizes[taken].max(axis=1, keepdims=True), 1)
    if model["transform"] == "identity":
        far = np.abs(said - ours) / size
    else:
        # One unit of the margin's last digit is one relative unit of an exponential.
        finite = np.isfinite(ours) & (ours > 1e-290)
        far = np.where(finite, np.abs(said - ours) / np.where(finite, ours, 1) / size, 0)
    assert far.max() < 1e-12, f"{name}: scikit-learn differs by {far.max()} of the terms"


def scorecard(rng, index):
    """A scorecard with bins by range and by group of categories."""
    def points():
        return float(rng.integers(-60, 120)) if index % 3 else float(rng.normal(0, 40))

    features = []
    for name in NUMBERS:
        limits = sorted(set(rng.normal(0, [40, 3000, 1, 1, 1e-3][NUMBERS.index(name)], size=rng.integers(0, 9)).tolist()))
        bins = [{"below": limit, "points": points()} for limit in limits] + [{"points": points()}]
        features.append({"name": name, "kind": "number", "bins": bins})
    for name, texts in (("job", JOBS), ("region", REGIONS)):
        order = rng.permutation(texts).tolist()
        cuts = [0, *sorted(rng.choice(np.arange(1, len(texts)), size=3, replace=False).tolist()), len(texts)]
        bins = [{"values": order[a:b], "points": points()} for a, b in zip(cuts, cuts[1:])]
        features.append({"name": name, "kind": "category", "bins": bins})
    if index % 4 == 3:
        features[1] = {"name": "balance", "kind": "number", "coefficient": 0.0125, "mean": 1500.0}
    for feature in features:
        if "bins" in feature and rng.random() < 0.6:
            feature["neutral"] = points()
        category = feature["kind"] == "category"
        feature["missing"] = {"adds": points()} if rng.random() < 0.6 else {"as": feature["bins"][0]["values"][0] if category else 3.25}
    model = {"format": "tendon/linear@1", "intercept": float(rng.integers(100, 700)), "features": features}
    if index % 2:
        model["transform"] = "points"
        model["points"] = {"score": 600, "odds": [50, 1, 19.5][index % 3], "pdo": [20, 40.5, -20][index % 3]}
        if index % 4 == 1:
            model["points"]["probability"] = "against"
    return model


def write(folder, name, model, seed, check=None):
    rng = np.random.default_rng(seed + 1000)
    edges = {}
    for column, feature in enumerate(model["features"]):
        limits = np.array([one["below"] for one in feature.get("bins", []) if "below" in one])
        if len(limits):
            edges[column] = np.concatenate([limits, np.nextafter(limits, np.inf), np.nextafter(limits, -np.inf)])
    # Without a pretty head, with one, and with sorted keys: `format` need not stand first.
    text = json.dumps(model, ensure_ascii=bool(seed % 2), indent=[None, 1, 2][seed % 3], sort_keys=seed % 4 == 0)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    model = json.loads(text)
    x = hostile_rows(rng, ROWS, edges)
    if model.get("transform") == "points":
        x[:, :5] = np.where(np.abs(x[:, :5]) > 1e5, 7.0, x[:, :5])
    margins, sizes, _ = judged(model, x)
    outputs = answers(model, margins)
    if check:
        check(x, margins, sizes, outputs)
    np.hstack([x, outputs, margins]).astype("<f8").tofile(folder / f"{name}.predict.f64")
    x = x[np.all(~(np.abs(x[:, :5]) > 1e5), axis=1)][:CONTRIB_ROWS]
    _, _, contributions = judged(model, x)
    np.hstack([x, *contributions]).astype("<f8").tofile(folder / f"{name}.contrib.f64")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    stamp = hashlib.sha256(pathlib.Path(__file__).read_bytes() + sklearn.__version__.encode()).hexdigest() + " double"
    listed = folder / "cases.txt"
    if listed.exists() and listed.read_text().startswith(stamp):
        return
    listed.unlink(missing_ok=True)
    files = []
    for seed, (name, (transform, estimator, target, method)) in enumerate(trained().items()):
        model, scale = fit(transform, estimator, target, seed)
        write(folder, name, model, seed, lambda x, *rest: agree(name, estimator, method, scale, model, x, *rest))
        files.append(f"{name}.json")
    for index in range(24):
        write(folder, f"scorecard_{index}", scorecard(np.random.default_rng(500 + index), index), index)
        files.append(f"scorecard_{index}.json")
    listed.write_text("\n".join([stamp, *files]) + "\n")


main()
