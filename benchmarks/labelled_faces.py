"""Is what `people list` says right? Measured on photos of which it is known who is on them.

    python -m benchmarks.labelled_faces [--folder DIR] [--others DIR] [--models-dir DIR]

Runs `people scan`, `cluster` and `list --json` on the folder (labels.csv: path, identity of the
largest face; boxes/training.xml: boxes that somebody drew) together with photos of others, and
compares what they print. Without --models-dir it takes the weights that the tests take.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from benchmarks.finding import Finding
from picture_captioner.cli.caption_app import execute
from picture_captioner.errors import ExitCode
from picture_captioner.library.store import Library
from picture_captioner.people.clustering import SAME_PERSON
from picture_captioner.people.faces import Box
from tests.people import weights

FOUND_FROM = 0.3
"""Overlap of a drawn and a found box: people draw the head, detectors the face."""
SHARED = Path(__file__).resolve().parents[2] / "shared"
LEAST_F = 0.971
"""B-cubed F of 578 harder faces (docs/log.md)."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="people against labelled photos")
    parser.add_argument("--folder", type=Path, default=SHARED / "faces")
    parser.add_argument("--others", type=Path, default=SHARED / "photos")
    parser.add_argument("--models-dir", type=Path)
    parser.add_argument("--quick", action="store_true", help="without the photos of others")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    if (given.folder / "labels.csv").is_file():
        others = given.others if given.others.is_dir() and not given.quick else None
        with tempfile.TemporaryDirectory() as folder:
            found = measure_labelled(given.folder, others, given.models_dir, Path(folder))
    Finding(
        benchmark="labelled_faces",
        stage="labelled photos into persons",
        contender="what humans say: labels and drawn boxes",
        aim=f"every drawn box found, B-cubed F at least {LEAST_F}",
        reached=f"B-cubed F {found['b_cubed_f']}, {found['boxes_found']} of {found['boxes_drawn']}"
        if found
        else "",
        met=bool(found)
        and found["b_cubed_f"] >= LEAST_F
        and found["boxes_found"] == found["boxes_drawn"],
        limit="The vectors: siblings and small faces, which no threshold parts.",
        rows=[{"what": name, "found": value} for name, value in found.items()],
        skipped="" if found else f"no labelled photos in {given.folder}",
    ).tell()


def measure_labelled(
    folder: Path, others: Path | None, models: Path | None, work: Path
) -> dict[str, Any]:
    """Recall of boxes, same and different pairs, B-cubed of the persons."""
    photos = work / "photos"
    shutil.copytree(folder, photos / "labelled")
    if others is not None:
        shutil.copytree(others, photos / "others")
    if models is None:
        models = work / "models"
        models.mkdir()
        for name in weights.PACKAGED:
            weights.write(name, models)
    os.chdir(work)
    began = sum(os.times()[:4])  # with children that ended: the models run in one
    _run("people", "scan", "--photos-dir", str(photos), "--models-dir", str(models))
    scanned = sum(os.times()[:4]) - began
    _run("people", "cluster")
    listed = json.loads(_run("people", "list", "--json"))
    faces = [
        (face["rel_path"], Box(*face["box"]), person["id"])
        for person in listed["persons"]
        for face in person["faces"]
    ]
    faces += [
        (face["rel_path"], Box(*face["box"]), f"nobody {number}")
        for number, face in enumerate(listed["unassigned"])
    ]
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        truth = {f"labelled/{row['path']}": row["identity"] for row in csv.DictReader(file)}
    return {
        "photos": sum(1 for path in photos.rglob("*") if path.is_file()),
        "faces": len(faces),
        "scan_cpu_seconds": round(scanned, 1),
        **_boxes(folder, faces),
        **_pairs(work / "library.db", truth),
        **_b_cubed(faces, truth),
    }


def _run(*arguments: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = execute([*arguments])
    if code != ExitCode.DONE:
        raise SystemExit(f"{' '.join(arguments)} ended with {code}")
    return out.getvalue()


def _boxes(folder: Path, faces: list[tuple[str, Box, str]]) -> dict[str, Any]:
    drawn = found = extra = 0
    for image in ElementTree.parse(folder / "boxes" / "training.xml").getroot().iter("image"):  # noqa: S314
        path = f"labelled/boxes/{Path(str(image.get('file'))).name}"
        boxes = [
            Box(*(float(str(box.get(side))) for side in ("left", "top", "width", "height")))
            for box in image.iter("box")
        ]
        there = [box for rel_path, box, _ in faces if rel_path == path]
        hits = {
            max(range(len(there)), key=lambda i: there[i].overlap(box))
            for box in boxes
            if any(one.overlap(box) >= FOUND_FROM for one in there)
        }
        drawn, found = drawn + len(boxes), found + len(hits)
        extra += len(there) - len(hits)
    return {"boxes_drawn": drawn, "boxes_found": found, "boxes_more": extra}


def _pairs(path: Path, truth: dict[str, str]) -> dict[str, Any]:
    """Pairs of largest faces: how many of one person are near, how many of two."""
    with Library.open(path, print) as library:
        table = library.faces.table()
        paths = library.faces.files()
    largest: dict[str, int] = {}
    for i in np.argsort(table.boxes[:, 2] * table.boxes[:, 3]).tolist():
        largest |= {p: i for p in paths[table.contents[i]] if p in truth}
    names = sorted(largest)
    vectors = table.vectors[[largest[name] for name in names]]
    who = np.array([truth[name] for name in names])
    first, second = np.triu_indices(len(names), 1)
    near = (vectors @ vectors.T)[first, second] > SAME_PERSON
    same = who[first] == who[second]
    return {
        "labelled_with_a_face": len(names),
        "same_pairs_near": f"{near[same].sum()} of {same.sum()}",
        "different_pairs_near": f"{near[~same].sum()} of {(~same).sum()}",
    }


def _b_cubed(faces: list[tuple[str, Box, str]], truth: dict[str, str]) -> dict[str, Any]:
    """Over the largest face of each labelled photo; a stranger in a person counts as wrong."""
    largest: dict[str, tuple[str, Box, str]] = {}
    for face in sorted(faces, key=lambda face: face[1].width * face[1].height):
        if face[0] in truth:
            largest[face[0]] = face
    held = {path: person for path, (_, _, person) in largest.items()}
    sizes = Counter(person for _, _, person in faces)
    labelled = Counter(truth[path] for path in held)
    both = Counter((person, truth[path]) for path, person in held.items())
    precision = [both[person, truth[path]] / sizes[person] for path, person in held.items()]
    recall = [both[person, truth[path]] / labelled[truth[path]] for path, person in held.items()]
    means = float(np.mean(precision)), float(np.mean(recall))
    return {
        "b_cubed_precision": round(means[0], 3),
        "b_cubed_recall": round(means[1], 3),
        "b_cubed_f": round(2 * means[0] * means[1] / sum(means), 3),
    }


if __name__ == "__main__":
    main()
