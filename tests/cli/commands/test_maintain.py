"""`maintain`: what it finds is told, and no person is another afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from picture_captioner.library.store import Library
from picture_captioner.settings import ServerAddress
from tests.cli.commands.made_up_people import FACES, PEOPLE, listed, maintain, rewrite, sizes


def test_health_has_the_promised_fields_and_maintenance_changes_no_person(people, home, capsys):
    before = listed(people)
    for command in ("daily", "weekly", "weekly", "update-medoids", "recompute-centroids"):
        assert maintain(command) == 0
    capsys.readouterr()
    assert maintain("health") == 0
    told = json.loads(capsys.readouterr().out)
    served = {"database", "workers", "backlog", "leases", "spent"}
    assert set(told) - (served if isinstance(home, ServerAddress) else set()) == {
        "total_clusters",
        "empty_clusters",
        "clusters_without_centroids",
        "clusters_without_medoids",
        "avg_cluster_size",
        "min_cluster_size",
        "max_cluster_size",
        "total_faces",
        "unclustered_faces",
        "must_link_count",
        "cannot_link_count",
        "verified_clusters",
        "unassigned_pool_size",
    }
    assert told["total_clusters"] == PEOPLE
    assert told["total_faces"] == FACES
    assert told["clusters_without_medoids"] == told["clusters_without_centroids"] == 0
    assert listed(people) == before
    for command in ("check-staleness", "cleanup-empty", "update-stats", "merge-similar", "weekly"):
        told = []
        for _ in range(2):
            assert maintain(command, "--json") == 0
            told.append(json.loads(capsys.readouterr().out))
        assert told[0] == told[1]


def test_maintenance_tells_a_person_what_it_found(people, capsys):
    capsys.readouterr()
    assert maintain("weekly") == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    told = {name.strip(): value.strip() for name, value in rows.items()}
    assert (told["contradictions"], told["clusters"]) == ("none", str(PEOPLE))
    assert told["clustering"] == told["report"] == "up to date"
    assert not told.keys() & {"violations", "stale", "why", "themes"}
    assert maintain("health") == 0
    out, err = capsys.readouterr()
    health, nobodys = json.loads(out), len(listed(people)["unassigned"])
    assert health["unclustered_faces"] != nobodys, "the two are told apart"
    assert f"{health['unclustered_faces']} faces in no cluster, and {nobodys} nobody's: " in err
    assert health["unassigned_pool_size"] == nobodys


def test_maintenance_where_there_is_nothing_makes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in ("daily", "weekly", "health", "check-staleness", "cleanup-empty"):
        assert maintain(command, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[2])["total_faces"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("assigned", "why"), [(0, ""), (9, ""), (11, "12% of the photos were assigned since")]
)
def test_themes_are_stale_when_a_tenth_was_assigned(people, tmp_path, capsys, assigned, why):
    from picture_captioner.report.clustering import Centroids
    from picture_captioner.report.model import Clustering
    from picture_captioner.report.run_state import RunState, save_state

    n, none = 100, np.zeros(100, np.float32)
    state = RunState(
        embedder="e",
        engine="none",
        seed=0,
        min_cluster_size=5,
        next_id=1,
        paths=np.zeros((n, 16), np.uint8),
        contents=np.zeros((n, 16), np.uint8),
        clustering=Clustering(
            np.zeros(n, np.int32), none, none, none, np.zeros((n, 2), np.float32)
        ),
        added=np.arange(n) < assigned,
        centroids=Centroids(np.zeros(0, np.int32), np.zeros((0, 3), np.float32), none[:0]),
    )
    (tmp_path / "report_out").mkdir()
    save_state(tmp_path / "report_out" / "cluster_state.npz", state)
    for command in ("check-staleness", "daily"):
        assert maintain(command, "--json") == 0
        out, _ = capsys.readouterr()
        assert json.loads(out.splitlines()[-1])["themes"] == why
    assert maintain("check-staleness") == 0
    assert ("Next: " in capsys.readouterr().err) is bool(why)
    (tmp_path / "report_out" / "cluster_state.npz").write_bytes(b"nonsense")
    assert maintain("check-staleness", "--json") == 0
    assert "no state of a report" in capsys.readouterr().out


def test_clusters_that_lost_their_faces_are_dropped_and_the_others_stay(people, home, capsys):
    before = listed(people)
    with Library.open(home, pytest.fail) as db:
        table = db.faces.table("recogniser")
        gone = {c for c, label in zip(table.contents, table.labels, strict=True) if label == 1}
        for content in gone:
            db.faces.save(content, "detector", "recogniser", [])
    maintain("health")
    empty = json.loads(capsys.readouterr().out)["empty_clusters"]
    assert empty >= 1
    for _ in range(2):
        assert maintain("cleanup-empty") == 0
    assert maintain("update-medoids") == 0
    capsys.readouterr()
    maintain("health")
    told = json.loads(capsys.readouterr().out)
    assert (told["empty_clusters"], told["total_clusters"]) == (0, PEOPLE - empty)
    assert told["clusters_without_medoids"] == told["clusters_without_centroids"] == 0
    with Library.open(home, pytest.fail) as db:
        left = db.faces.table("recogniser")
        run = db.face_runs.active_run()
        for label in range(len(run.births)):
            own = left.vectors[left.labels == label]
            assert own.mean(axis=0) @ run.centroids[label] > 0.5, "labels still mean their clusters"
    still = {p["id"] for p in listed(people)["persons"]}
    assert still <= {p["id"] for p in before["persons"]}
    assert people("cluster")[0] == 0


def test_a_photo_that_was_edited_is_counted_once_and_its_person_keeps_the_name(
    people, at_home, capsys
):
    anna = listed(people)["persons"][0]
    assert people("name", anna["id"], "Anna")[0] == 0
    before = sizes(people)

    rewrite(at_home, anna["faces"][0]["rel_path"], shift=400.0)

    code, _, err = people("cluster")
    free = len(listed(people)["unassigned"])
    assert (code, f"{free} of {FACES} faces nobody's" in err) == (0, True)
    capsys.readouterr()
    assert maintain("health") == 0
    health = json.loads(capsys.readouterr().out)
    assert (health["total_faces"], health["unassigned_pool_size"]) == (FACES, free)
    assert sizes(people) == before
    assert listed(people)["persons"][0]["name"] == "Anna"
