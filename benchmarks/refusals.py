"""How well refusals and errors are told from captions, and the weights that do it.

    python -m benchmarks.refusals [--write] [--quick]

Learns from `tests/pipeline/recording/answers.tsv`: a logistic regression over TF-IDF of the
features (scikit-learn), once for all answers and twice for those that are none. First four fifths
at a time, to count what the last fifth is taken for; then all, which `--write` puts into
`picture_captioner/pipeline/recording/refusals.tsv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from benchmarks.finding import Finding
from picture_captioner.pipeline.recording import refusals
from picture_captioner.pipeline.recording.refusals import BIAS, SURE, features

ROOT = Path(__file__).parents[1]
ANSWERS = ROOT / "tests/pipeline/recording/answers.tsv"
WEIGHTS = Path(refusals.__file__).with_name("refusals.tsv")

KEPT = 16_000
"""Features, those with the largest weights: 6,000 miss a tenth more, 52,000 no fewer."""

LEAST_ANSWERS = 2
STRENGTH = 30.0
"""scikit-learn's `C`, the inverse of how much weights are held back."""

PARTS = 5


def main() -> None:
    """Measure, and write if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the weights into the package")
    parser.add_argument("--quick", action="store_true", help="does it run; no figures")
    given = parser.parse_args()
    kinds, texts = read(ANSWERS)
    if given.quick:
        kinds, texts = kinds[::10], texts[::10]
    found = [features(text) for text in texts]
    none = np.array([kind != "caption" for kind in kinds])
    chance = probabilities(found, none)
    missed, wrong = int((none & (chance < SURE)).sum()), int((~none & (chance >= SURE)).sum())
    if given.write:
        write(found, kinds)
    Finding(
        benchmark="refusals",
        stage=f"{none.sum():,} refusals among {len(kinds):,} answers, a fifth at a time",
        contender="none: the aim is absolute",
        aim="98 of 100 right on each side",
        reached=f"{missed} refusals missed, {wrong} captions taken for one",
        met=bool(missed <= 0.02 * none.sum() and wrong <= 0.02 * (~none).sum()),
        limit="Most of what is wrong was written to be hard: signs, diaries, three words.",
        rows=[{"missed": missed, "wrong": wrong}],
    ).tell()


def read(path: Path) -> tuple[list[str], list[str]]:
    """Kind and text of each answer of a file (kind, language, text)."""
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [kind for kind, _, _ in rows], [text for _, _, text in rows]


def probabilities(found: Sequence[set[str]], none: Any) -> Any:
    """Of each answer, that it is none, learned from the four fifths that it is not in."""
    chance = np.zeros(len(found))
    parts = StratifiedKFold(PARTS, shuffle=True, random_state=1)
    for known, asked in parts.split(np.zeros(len(found)), none):
        vectors, model = learn([found[i] for i in known], none[known])
        chance[asked] = model.predict_proba(vectors.transform([found[i] for i in asked]))[:, 1]
    return chance


def learn(found: Sequence[set[str]], none: Any, names: Sequence[str] | None = None) -> Any:
    """TF-IDF and regression, over the features that say most (or those that are named)."""
    if names is None:
        vectors, model = learn(found, none, _common(found))
        order = np.argsort(-np.abs(model.coef_[0]), kind="stable")
        names = sorted(vectors.get_feature_names_out()[order[:KEPT]])
    vectors = TfidfVectorizer(analyzer=sorted, vocabulary=names)
    array = vectors.fit_transform(found)
    model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=1).fit(array, none)
    return vectors, model


def _common(found: Sequence[set[str]]) -> list[str]:
    counted = TfidfVectorizer(analyzer=sorted, min_df=LEAST_ANSWERS).fit(found)
    return list(counted.get_feature_names_out())


def write(found: Sequence[set[str]], kinds: Sequence[str]) -> None:
    """A line for each feature: how rare, its weight for no caption, and there for each kind."""
    vectors, declines = learn(found, np.array([kind != "caption" for kind in kinds]))
    names = list(vectors.get_feature_names_out())
    refused = [row for row, kind in zip(found, kinds, strict=True) if kind != "caption"]
    models = [declines]
    for kind in ("no_image", "error"):
        of_kind = np.array([other == kind for other in kinds if other != "caption"])
        model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=1)
        models.append(model.fit(vectors.transform(refused), of_kind))
    bias = "\t".join([BIAS, "0", *(f"{model.intercept_[0]:.3f}" for model in models)])
    weights = zip(names, vectors.idf_, *(model.coef_[0] for model in models), strict=True)
    lines = [
        "\t".join([name, f"{rare:.2f}", *(f"{rare * weight:.2f}" for weight in each)])
        for name, rare, *each in weights
    ]
    WEIGHTS.write_text("\n".join([bias, *lines]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
