"""Trains the lead-score model on the first 80 % of the leads (by time) and writes model, card, bands and a sample beside itself.

The same input gives the same bytes: one thread, fixed seeds, no date in the output.
"""

import json
import pathlib

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

HERE = pathlib.Path(__file__).parent
TRAIN_SHARE = 0.8
TREES = 120
SAMPLE_EVERY = 227
QUANTILES = {"green": 0.9, "yellow": 0.6}
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "learning_rate": 0.05,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "seed": 7,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}


def leads():
    """Inputs (texts as categories) and target. `duration` is left out: it is known only after the call."""
    table = pd.read_csv(HERE / "bank-full.csv.gz", sep=";")
    target = (table.pop("y") == "yes").astype(int).to_numpy()
    table = table.drop(columns="duration")
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = pd.Categorical(table[column])
    return table, target


def measures(target, score):
    return {
        "AUC": roc_auc_score(target, score),
        "average precision": average_precision_score(target, score),
        "Brier score": brier_score_loss(target, score),
        "mean score": score.mean(),
        "share of positives": target.mean(),
    }


def calibration(target, score):
    """Ten groups of equal size by score: size, mean score, share of positives."""
    order = np.argsort(score, kind="stable")
    return [(len(part), score[part].mean(), target[part].mean()) for part in np.array_split(order, 10)]


def band_of(score, bands):
    return np.where(score >= bands["green"], "green", np.where(score >= bands["yellow"], "yellow", "red"))


def card(target, score, split, bands, features):
    tenths = [part.mean() for part in np.array_split(target, 10)]
    train, later = measures(target[:split], score[:split]), measures(target[split:], score[split:])
    lines = [
        "# Model card: lead-score",
        "",
        "Written by `train.py`; do not edit.",
        "",
        "- **Question:** how probable is it that this lead subscribes a term deposit, if called?",
        f"- **Model:** LightGBM, {TREES} trees of up to {PARAMETERS['num_leaves']} leaves; the output is a probability.",
        f"- **Inputs ({len(features)}):** {', '.join(features)}.",
        "- **Not an input:** `duration`, the length of the call, which is known only afterwards.",
        f"- **Data:** {len(target):,} leads of a Portuguese bank, May 2008 to November 2010 (source and licence in",
        f"  `README.md`). Trained on the first {split:,} by time, judged on the last {len(target) - split:,}. The settings",
        "  are ordinary ones and were not tuned.",
        "- **Conventions:** `pdays` is −1 for a lead never contacted before; `unknown` is a category. A text that was not",
        "  in training counts as missing.",
        "",
        "## How good it is",
        "",
        "| | training leads | later leads (hold-out) |",
        "|---|---|---|",
        *(f"| {name} | {train[name]:.4f} | {later[name]:.4f} |" for name in train),
        "",
        "## What not to trust",
        "",
        f"The share of positives rises from {tenths[0]:.0%} in the first tenth of the leads to {tenths[-1]:.0%} in the last: the campaign",
        "and the market changed. By tenth: " + ", ".join(f"{share:.1%}" for share in tenths) + ".",
        "So on later leads the order of the scores is useful, their level is far too low. Calibration on the hold-out, in",
        "ten groups by score:",
        "",
        "| group | leads | mean score | share of positives |",
        "|---|---|---|---|",
        *(f"| {i} | {n} | {mean:.3f} | {share:.3f} |" for i, (n, mean, share) in enumerate(calibration(target[split:], score[split:]), 1)),
        "",
        "## Bands",
        "",
        f"From quantiles of the training scores: green from the {QUANTILES['green']:.0%} quantile, yellow from the {QUANTILES['yellow']:.0%} quantile, else red.",
        "",
        "| band | score | training leads | later leads | all leads | share of positives, all leads |",
        "|---|---|---|---|---|---|",
    ]
    band = band_of(score, bands)
    rule = {"green": f">= {bands['green']}", "yellow": f">= {bands['yellow']}", "red": "otherwise"}
    for name, text in rule.items():
        there = band == name
        lines.append(f"| {name} | {text} | {there[:split].sum()} | {there[split:].sum()} | {there.sum()} | {target[there].mean():.3f} |")
    return "\n".join(lines) + "\n"


def main():
    table, target = leads()
    split = int(len(table) * TRAIN_SHARE)
    booster = lgb.train(PARAMETERS, lgb.Dataset(table[:split], target[:split]), TREES)
    (HERE / "lead-score.txt").write_text(booster.model_to_string())
    score = booster.predict(table, num_threads=1)
    # Three digits are enough for a threshold and easy to read in a configuration.
    bands = {name: round(float(np.quantile(score[:split], at)), 3) for name, at in QUANTILES.items()}
    (HERE / "bands.json").write_text(json.dumps(bands) + "\n")
    sample = table[::SAMPLE_EVERY].assign(expected=[repr(float(x)) for x in score[::SAMPLE_EVERY]])
    sample.to_csv(HERE / "sample.csv", index=False, lineterminator="\n")
    (HERE / "card.md").write_text(card(target, score, split, bands, list(table.columns)))


main()
