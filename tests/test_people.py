"""The people commands on a library of made-up faces: what a human said outlives everything."""

from __future__ import annotations

import csv
import hashlib
import json
import re

import numpy as np
import pytest

from picture_captioner.cli.caption_app import execute
from picture_captioner.journal.record import Record, Status
from picture_captioner.library.faces import StoredFace
from picture_captioner.library.facts import PhotoFacts
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import Metadata
from picture_captioner.metadata.told import NamedFace
from picture_captioner.pipeline.people.people_file import PeopleFile
from picture_captioner.settings import ServerAddress
from tests.people.test_clustering import crowd
from tests.support import caption

PEOPLE, FACES = 6, 60
WHO, VECTORS = crowd(PEOPLE, FACES, seed=5)
SIZE = 50.0


def content_of(number):
    return hashlib.sha256(b"%d" % number).hexdigest()


def fill(home, faces=range(FACES), *, shift=0.0):
    """A library with these faces, two in each photo, of two persons."""
    order = np.random.default_rng(3).permutation(FACES)
    photos = [order[i : i + 2] for i in range(0, FACES, 2)]
    with Library.open(home, pytest.fail) as library:
        for number, photo in enumerate(photos):
            content = content_of(number)
            library.facts.save_file(f"{number:03d}.jpg", 1, number, content)
            library.faces.save(
                content,
                "detector",
                "recogniser",
                [
                    StoredFace(
                        place,
                        (100.0 * place + shift, 10.0, SIZE, SIZE),
                        0.9,
                        SIZE,
                        np.zeros((5, 2), np.float32),
                        VECTORS[face],
                    )
                    for place, face in enumerate(photo)
                    if face in faces
                ],
            )


@pytest.fixture
def at_home(home, tmp_path, monkeypatch):
    """The commands of this process know where the library is."""
    monkeypatch.chdir(tmp_path)
    if isinstance(home, ServerAddress):
        monkeypatch.setenv("CAPTION_LIBRARY", home.url)
        monkeypatch.setenv("CAPTION_COLLECTION", home.collection)
    return home


@pytest.fixture
def people(at_home, capsys):
    """Run a command in a folder with a filled library: exit code, stdout, stderr."""
    fill(at_home)

    def run(*arguments):
        code = execute(["people", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    assert run("cluster")[0] == 0
    return run


def listed(people):
    code, out, _ = people("list", "--all", "--json")
    assert code == 0
    return json.loads(out)


def largest(people):
    return max(listed(people)["persons"], key=lambda person: len(person["faces"]))


def faces_of(people, person):
    code, out, _ = people("show", person, "--json")
    assert code == 0
    return json.loads(out)["faces"]


def test_nothing_is_there_yet(tmp_path):
    done = caption("people", "list", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"persons": [], "unassigned": []})
    assert "people scan" in done.stderr
    assert list(tmp_path.iterdir()) == []
    for command in (["cluster"], ["review"], ["show", "x"], ["name", "x", "Anna"], ["export", "x"]):
        done = caption("people", *command, cwd=tmp_path)
        assert done.returncode in {0, 64, 78}, done.stderr
        assert "Traceback" not in done.stderr


def test_who_has_scanned_is_not_told_to_scan(at_home, capsys):
    with Library.open(at_home, pytest.fail) as library:
        library.facts.save_file("fir.jpg", 1, 1, content_of(0))
        library.ledger.note(content_of(0), "faces", "1")
    for command in ("list", "cluster", "review"):
        assert execute(["people", command]) == 0
        assert "No faces in the 1 photo that" in capsys.readouterr().err


def test_a_list_has_the_promised_form(people):
    found = listed(people)
    assert set(found) == {"persons", "unassigned"}
    assert len(found["persons"]) == PEOPLE
    for person in found["persons"]:
        assert set(person) == {"id", "name", "faces"}
        for face in person["faces"]:
            assert set(face) == {"rel_path", "box", "score"}
            assert face["box"][2:] == [50, 50]
    everything = [f for p in found["persons"] for f in p["faces"]] + found["unassigned"]
    assert len(everything) == FACES


def test_a_list_shows_a_photo_of_everybody(people, home):
    anna = largest(people)
    shown = people("list")[1].splitlines()
    [line] = [line for line in shown if line.startswith(anna["id"])]
    nearest = max(faces_of(people, anna["id"]), key=lambda face: face["cosine"])
    assert line.split("\t")[4] == nearest["rel_path"]
    assert people("hide", anna["id"])[0] == 0
    assert nearest["rel_path"] + "\thidden" in people("list", "--all")[1]
    assert people("name", anna["id"], "Anna")[0] == 0
    with Library.open(home, pytest.fail) as library:
        library.drop_files(library.known_files())
    code, out, _ = people("list", "--all")
    assert (code, out.split("\t")[1:]) == (0, ["Anna", "0 faces", "0 photos", "-", "hidden\n"])


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_a_name_outlives_library_db_another_threshold_and_a_new_clustering(people, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    had = {f["rel_path"] for f in anna["faces"]}
    (tmp_path / "library.db").unlink()
    fill(tmp_path / "library.db", shift=7.0)  # another detector: the boxes moved a little
    assert people("cluster")[0] == 0
    [again] = [p for p in listed(people)["persons"] if p["name"] == "Anna"]
    assert again["id"] == anna["id"]
    assert {f["rel_path"] for f in again["faces"]} == had
    assert people("cluster", "--rebuild")[0] == 0
    assert {f["rel_path"] for f in faces_of(people, "Anna")} == had


def test_merge_split_confirm_and_refuse(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    photos = {f["rel_path"] for p in (one, other) for f in faces_of(people, p)}
    code, _, err = people("merge", one, other)
    assert (code, "both are on" in err, "merge --force" in err) == (64, True, True)
    assert people("merge", "--force", one, other)[0] == 0
    merged = faces_of(people, one)
    assert {f["rel_path"] for f in merged} == photos
    assert len(merged) == len(photos), "nobody is twice in a photo"
    assert people("show", other)[0] == 0, "the old id means the heir"
    gone = [face["face"] for face in merged[:3]]
    assert people("split", one, *gone)[0] == 0
    assert not {f["face"] for f in faces_of(people, one)} & set(gone)
    assert people("not-this-person", faces_of(people, one)[0]["face"], one)[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    assert not {f["face"] for f in faces_of(people, one)} & set(gone)
    assert people("confirm", one, gone[0])[0] == 0
    assert gone[0] in {f["face"] for f in faces_of(people, one)}
    assert people("not-a-face", gone[1])[0] == 0
    assert people("confirm", one, gone[1])[0] == 0, "what was said in error is taken back"
    assert gone[1] in {f["face"] for f in faces_of(people, one)}
    code, _, err = people("split", one, "ffffffffff#7")
    assert (code, "no face is called" in err) == (64, True)


def test_a_merge_is_taken_back_whatever_was_said_since(people):
    one, other, third = (p["id"] for p in listed(people)["persons"][:3])
    for person, name in ((one, "Anna"), (other, "Berta")):
        people("name", person, name)
    code, _, err = people("name", other, "Anna")
    assert (code, "they are two: both are on" in err, "people merge" in err) == (0, True, False)
    people("name", other, "Berta")
    had = {person: {f["face"] for f in faces_of(people, person)} for person in (one, other)}
    code, out, _ = people("merge", "--force", "--json", one, other)
    assert [row["kind"] for row in json.loads(out)["changed"]] == ["member", "member", "merge"]
    assert people("name", one, "Clara")[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    assert people("unmerge", third)[0] == 64
    code, out, err = people("unmerge", one, "--json")
    assert (code, f"{other} is no longer part of {one}" in err) == (0, True)
    assert json.loads(out)["changed"][0] == {"kind": "unmerge", "person": other}
    names = {p["id"]: p["name"] for p in listed(people)["persons"]}
    assert (names[one], names[other]) == ("Clara", "Berta")
    for person in (one, other):
        assert {f["face"] for f in faces_of(people, person)} >= had[person]
    assert people("unmerge", other)[0] == 64, "once"


def test_merges_are_taken_back_in_any_order(people):
    one, other, third = (p["id"] for p in listed(people)["persons"][:3])
    for person, name in ((one, "Anna"), (other, "Berta"), (third, "Clara")):
        people("name", person, name)
    had = {who: {f["face"] for f in faces_of(people, who)} for who in (one, other, third)}
    people("merge", "--force", one, other)
    people("merge", "--force", one, third)
    assert people("unmerge", other)[0] == 0
    code, _, err = people("unmerge", third)
    assert (code, f"has {len(had[third])} faces of before" in err) == (0, True)
    for who, faces in had.items():
        assert {f["face"] for f in faces_of(people, who)} >= faces


def test_a_name_is_one_however_its_accents_are_typed(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    assert people("name", one, "Zoe\u0308")[0] == 0
    code, _, err = people("name", other, "zo\u00eb")
    assert (code, f"{one} is called Zo\u00eb too" in err) == (0, True)
    for name in (
        "\U0001f469\u200d\U0001f467 Zo\u00eb",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
    ):
        assert people("name", one, name)[0] == 0
        assert faces_of(people, name)
    assert people("name", one, "\u200d")[0] == 64


def test_every_command_that_decides_prints_what_changed(people, tmp_path):
    anna, other = listed(people)["persons"][:2]
    faces = [f["face"] for f in faces_of(people, anna["id"])]
    for words in (
        ("name", anna["id"], "Anna"),
        ("confirm", anna["id"], faces[0]),
        ("split", anna["id"], faces[1]),
        ("not-this-person", faces[2], anna["id"]),
        ("not-a-face", faces[3]),
        ("same", faces[0], faces[4]),
        ("different", anna["id"], other["id"]),
        ("hide", other["id"]),
        ("export", tmp_path / "people.csv"),
        ("import", tmp_path / "people.csv"),
    ):
        code, out, _ = people(*words, "--json")
        answer = json.loads(out)
        assert (code, sorted(answer)) == (0, ["changed", "contradictions"]), words
        assert bool(answer["changed"]) is (words[0] != "import"), words


def test_what_is_no_face_is_in_no_list(people):
    face = faces_of(people, largest(people)["id"])[0]
    assert people("not-a-face", face["face"])[0] == 0
    assert people("cluster", "--rebuild")[0] == 0
    found = listed(people)
    everything = [f for p in found["persons"] for f in p["faces"]] + found["unassigned"]
    assert len(everything) == FACES - 1
    assert {
        "rel_path": face["rel_path"],
        "box": face["box"],
        "score": face["score"],
    } not in everything


def test_the_unnamed_are_hidden_in_one_step(people):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    assert people("hide", "--unnamed-under", 1000)[0] == 0
    _, out, err = people("list")
    assert out.split("\t")[:2] == [anna["id"], "Anna"]
    assert f"{PEOPLE - 1} hidden" in err
    assert people("list", "--all")[1].count("\thidden\n") == PEOPLE - 1
    people("cluster", "--rebuild")
    assert len(people("list")[1].splitlines()) == 1
    assert people("hide", "--unnamed-under", 1000, "--undo")[0] == 0
    assert len(people("list")[1].splitlines()) == PEOPLE


def test_two_that_are_different_are_never_joined(people):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    assert people("name", one, "Anna: #1")[0] == 0
    code, _, err = people("different", "Anna: #1", other)
    assert (code, err) == (0, f"Anna: #1 and {other} are never the same person\n")
    _, out, _ = people("associate", "--threshold", "0.3", "--json")
    joined = json.loads(out)["joined"]
    assert joined.get(one) != other
    assert joined.get(other) != one


def test_names_come_back_from_a_spreadsheet(people, tmp_path):
    names = ["=HYPERLINK(1)", "Änne; geb. Groß", "-", "'quoted'", "Björk", "李雷"]
    assert people("export", "people.csv")[0] == 0
    with open(tmp_path / "people.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, name in zip(rows, names, strict=True):
        row["name"] = name if name[0] not in "=-'" else f"'{name}"
    rows[0]["hidden"] = "yes"
    with open(tmp_path / "people.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    assert "6 people would be changed" in people("import", "people.csv", "--dry-run")[2]
    assert {p["name"] for p in listed(people)["persons"]} == {""}
    assert people("import", "people.csv")[0] == 0
    assert {p["name"] for p in listed(people)["persons"]} == set(names)
    people("export", "again.csv")
    assert "0 people changed" in people("import", "again.csv")[2]
    rows[1]["name"] = ""
    with open(tmp_path / "people.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    code, _, err = people("import", "people.csv")
    assert (code, "1 name kept whose field is empty, such as 'Änne; geb. Groß'" in err) == (0, True)
    assert {p["name"] for p in listed(people)["persons"]} == set(names)
    (tmp_path / "bad.csv").write_text("id,name\nnobody,Anna\n")
    code, _, err = people("import", "bad.csv")
    assert (code, "line 2" in err) == (64, True)
    twice = f"id,name\n{rows[0]['id']},Hans\n{rows[0]['id']},Otto\n"
    (tmp_path / "bad.csv").write_text(twice)
    code, _, err = people("import", "bad.csv")
    assert (code, "line 3: it is the person of line 2" in err) == (64, True)
    (tmp_path / "bad.csv").write_bytes("id;name\nnobody;Jörg\n".encode("cp1252"))
    code, _, err = people("import", "bad.csv")
    assert (code, "line 2: it is not UTF-8 text" in err) == (64, True)
    assert "nobody" in people("import", "bad.csv", "--encoding=cp1252")[2]


def test_a_table_with_names_that_were_not_taken_over_is_not_written_over(people, tmp_path):
    assert people("export", "people.csv")[0] == 0
    assert people("export", "people.csv")[0] == 0, "of an older table nothing is lost"
    table = (tmp_path / "people.csv").read_bytes()
    first = largest(people)["id"]
    (tmp_path / "people.csv").write_bytes(table.replace(b",,", ",Märta,".encode(), 1))
    code, _, err = people("export", "people.csv")
    assert (code, "1 name in it, such as 'Märta', was not taken over" in err) == (64, True)
    assert "people import people.csv" in err
    assert "Märta" in (tmp_path / "people.csv").read_text(encoding="utf-8")
    assert people("import", "people.csv")[0] == 0
    assert people("name", first, "Marta")[0] == 0
    assert people("export", "people.csv")[0] == 0, "she was called Märta: that is known"
    (tmp_path / "foreign.csv").write_text("id,name\npffffffff,Otto\n")
    assert people("export", "foreign.csv")[0] == 64
    (tmp_path / "excel.csv").write_bytes("id,name\npffffffff,Jörg\n".encode("cp1252"))
    code, _, err = people("export", "excel.csv")
    assert (code, "name another file" in err) == (64, True)


def test_a_name_is_taken_off_and_comes_back_with_nothing(people, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    code, _, err = people("name", "Anna", " ")
    assert (code, "people unname Anna" in err) == (64, True)
    refused = faces_of(people, "Anna")[0]["face"]
    assert people("not-this-person", refused, "Anna")[0] == 0
    code, out, err = people("unname", "Anna", "--json")
    assert (code, f"{anna['id']} is not called Anna any more" in err) == (0, True)
    assert json.loads(out)["changed"][0] == {"kind": "name", "person": anna["id"], "name": ""}
    for arguments in ((), ("--rebuild",)):
        assert people("cluster", *arguments)[0] == 0
        [again] = [p for p in listed(people)["persons"] if p["id"] == anna["id"]]
        assert (again["name"], len(again["faces"])) == ("", len(anna["faces"]) - 1)
    assert people("unname", anna["id"])[0] == 64, "once"


def test_new_faces_join_without_a_new_clustering(at_home, capsys):
    fill(at_home, faces=range(0, FACES, 1 + 1))
    run = lambda *a: (execute(["people", *a]), *capsys.readouterr())  # noqa: E731
    assert run("cluster")[0] == 0
    before = json.loads(run("list", "--json")[1])
    fill(at_home)
    told = run("list", "--photos-dir=my photos")[2]
    assert "in no group yet" in told
    assert "people cluster '--photos-dir=my photos''" in told
    code, out, err = run("cluster", "--json")
    told = json.loads(out)
    assert (code, told["added"], told["anew"]) == (0, FACES // 2, "")
    assert "Stale: 100% of the faces came since" in err
    after = json.loads(run("list", "--json")[1])
    assert {p["id"] for p in before["persons"]} <= {p["id"] for p in after["persons"]}
    grouped = sum(len(p["faces"]) for p in after["persons"])
    assert grouped >= 0.8 * FACES
    assert "0 new faces" in run("cluster")[2]


def test_review_names_the_command_to_type(people, tmp_path):
    one, other = (p["id"] for p in listed(people)["persons"][:2])
    a, b = (faces_of(people, p)[0]["face"] for p in (one, other))
    people("confirm", one, a)
    people("confirm", other, b)
    assert people("same", a, b)[0] == 0
    _, out, _ = people("review")
    assert "contradiction\t" in out
    told = json.loads(people("review", "--json")[1])
    assert set(told) == {"faces", "persons", "suspicious", "violations"}
    [violation] = told["violations"]
    assert {a, b} <= {*violation.split()}, "faces are called as 'show' prints them"
    command = re.findall(r"'caption\.py people (different [^']*)'", violation)[0]
    assert people(*command.split())[0] == 0
    assert json.loads(people("review", "--json")[1])["violations"] == []


def test_a_damaged_people_file_loses_one_line_and_says_so(people, tmp_path):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    with open(tmp_path / "people.jsonl", "ab") as file:
        file.write(b'{"kind": "name", "person": 5}\n{"kind": "confirm"}\nnonsense\n{"kind": "na')
    code, out, err = people("list")
    assert (code, "Anna" in out, "line 5" in err) == (0, True, True)
    with open(tmp_path / "people.jsonl", "ab") as file:
        file.write(b"\nnonsense" * 90)
    assert (people("list")[2].count("people.jsonl: "), "more lines" in people("list")[2]) == (
        5,
        True,
    )
    assert people("name", "Anna", "Anna B.")[0] == 0
    assert "Anna B." in people("list")[1]
    assert (tmp_path / "people.jsonl").stat().st_mode & 0o777 == 0o600


def test_who_decides_is_alone(people, tmp_path):
    with PeopleFile(tmp_path / "people.jsonl"):
        assert people("hide", "--unnamed-under", 5)[0] == 75
        assert people("cluster")[0] == people("associate")[0] == 75
        assert maintain("daily") == maintain("merge-similar") == 75
        assert people("list")[0] == people("associate", "--dry-run")[0] == 0
        assert maintain("health") == 0


def maintain(*arguments):
    return execute(["maintain", *arguments])


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


def test_forget_takes_faces_and_decisions_along(people, home, tmp_path):
    anna = largest(people)
    people("name", anna["id"], "Anna")
    face = anna["faces"][0]["rel_path"]
    content = content_of(int(face[:3]))
    served = isinstance(home, ServerAddress)
    if served:  # who only looks for people has no journal
        (tmp_path / "captions.jsonl").write_text("")
    with open(tmp_path / "people.jsonl") as file:
        assert content in file.read()
    named = ("--library", home.url, "--collection", home.collection) if served else ()
    done = caption("forget", face, *named, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "captions.jsonl").exists() == served
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert content.encode() not in data, path
        assert bytes.fromhex(content) not in data, path
    with Library.open(home, pytest.fail) as library:
        assert library.faces.of_photo(content) == []
    assert "Anna" in people("list")[1], "who is on other photos too is not forgotten"


def test_who_is_on_no_photo_any_more_is_forgotten_by_name_too(people, home, tmp_path):
    if isinstance(home, ServerAddress):
        return  # the other home is enough: people.jsonl is the same
    anna, berta = listed(people)["persons"][:2]
    people("name", anna["id"], "Anna")
    people("name", berta["id"], "Berta")
    first = content_of(int(anna["faces"][0]["rel_path"][:3]))
    rewrite(home, anna["faces"][0]["rel_path"])
    assert people("cluster")[0] == 0
    photos = {face["rel_path"] for face in anna["faces"]}
    assert not {face["rel_path"] for face in berta["faces"]} <= photos
    done = caption("forget", *photos, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "people.jsonl").read_text()
    assert ("Anna" in said, "Berta" in said, first in said) == (False, True, False)
    assert "Anna" not in people("list")[1]


def named_beside(home, *numbers):
    """Another program says in sidecars that Anna is the first face of these photos."""
    near = NamedFace("Anna", 0.03, 0.07, 0.08, 0.12, "sidecar")  # larger than ours
    far = NamedFace("Nobody", 0.9, 0.9, 0.05, 0.05, "sidecar")
    with Library.open(home, pytest.fail) as library:
        for number in numbers:
            facts = PhotoFacts(content_sha256=content_of(number), width=1000, height=500)
            library.facts.save(f"{number:03d}.jpg", 1, 0, facts)
        told = {f"{number:03d}.jpg": Metadata(faces=(near, far)) for number in numbers}
        library.others.save_beside("", "stamp", told)


def test_names_from_other_programs_are_confirmed_by_where_they_are_from(people, home, tmp_path):
    named_beside(home, 0)
    code, _, err = people("cluster")
    assert (code, "1 face named in other programs" in err) == (0, True)
    rows = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text().splitlines()]
    assert [(row["kind"], row.get("origin")) for row in rows] == [
        ("name", None),
        ("confirm", "sidecar"),
    ]
    [anna] = [p for p in listed(people)["persons"] if p["name"] == "Anna"]
    assert len(anna["faces"]) > 1, "the group that she is in is hers"
    assert "named in other programs" not in people("cluster")[2]
    face = next(f for f in faces_of(people, "Anna") if f["rel_path"] == "000.jpg")
    assert people("not-this-person", face["face"], "Anna")[0] == 0
    for shift in (0.0, 4.0):  # another detector's box is the same face
        fill(home, shift=shift)
        assert "named in other programs" not in people("cluster")[2], "what is decided here holds"


@pytest.mark.parametrize("merged", [False, True])
def test_a_name_given_here_outlives_more_photos_with_that_of_another_program(people, home, merged):
    named_beside(home, 0)
    assert people("cluster")[0] == 0
    if merged:
        other = next(p for p in listed(people)["persons"] if not p["name"])
        assert people("name", other["id"], "Maria")[0] == 0
        assert people("merge", "--force", "Maria", "Anna")[0] == 0
    else:
        assert people("name", "Anna", "Maria")[0] == 0
    others = (
        f for p in listed(people)["persons"] if not p["name"] for f in faces_of(people, p["id"])
    )
    face = next(f for f in others if f["face"].endswith("#0"))
    named_beside(home, 0, int(face["rel_path"][:3]))
    assert "1 face named in other programs" in people("cluster")[2]
    assert "Anna" not in people("list")[1]
    assert {p["name"] for p in listed(people)["persons"]} == {"Maria", ""}
    assert face["face"] in {f["face"] for f in faces_of(people, "Maria")}


def test_two_photos_are_enough_to_name_somebody(at_home, capsys):
    """Fewer faces than a group needs: one is named by itself, and the next one like it follows."""
    run = lambda *a: (execute(["people", *a]), *capsys.readouterr())  # noqa: E731
    fill(at_home, faces=[i for i in range(FACES) if WHO[i] == 0][:2])
    assert "in no group yet" in run("review")[2]
    assert run("cluster")[0] == 0
    assert "people show nobody" in run("list")[2]
    code, out, _ = run("show", "nobody")
    assert (code, len(out.splitlines())) == (0, 2)
    first, second = (line.split("\t")[0] for line in out.splitlines())
    assert run("name", first, "Anna")[0] == 0
    assert run("name", second, "Anna")[0] in {0, 64}, "it may have followed by itself"
    [anna] = json.loads(run("list", "--json")[1])["persons"]
    assert (anna["name"], len(anna["faces"])) == ("Anna", 2)
    assert run("cluster", "--rebuild")[0] == 0
    assert len(json.loads(run("list", "--json")[1])["persons"][0]["faces"]) == 2
    code, _, err = run("name", first, "Ben")
    assert (code, anna["id"] in err) == (64, True)


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


def rewrite(home, rel_path, *, shift=0.0, besides=()):
    """Other bytes with the same faces, there or, after an edit, elsewhere in the picture.

    `besides`: faces that a lower threshold found this time, before the others.
    """
    number = int(rel_path[:3])
    new = hashlib.sha256(b"new %d" % number).hexdigest()
    with Library.open(home, pytest.fail) as library:
        library.facts.save_file(rel_path, 2, number, new)
        faces = library.faces.where(lost=True)[content_of(number)]
        rows = [
            StoredFace(place, box, 0.9, SIZE, np.zeros((5, 2), np.float32), vector)
            for place, (box, vector) in enumerate(
                [
                    *besides,
                    *(((f.box[0] + shift, *f.box[1:]), f.vector) for f in faces.values()),
                ]
            )
        ]
        library.faces.save(new, "detector", "recogniser", rows)


def sizes(people):
    return {p["id"]: len(p["faces"]) for p in listed(people)["persons"]}


@pytest.mark.parametrize("besides", [(), (((700.0, 10.0, SIZE, SIZE), -VECTORS[0]),)])
def test_what_was_said_holds_of_photos_that_another_program_wrote_into(
    people, at_home, tmp_path, besides
):
    anna, other = listed(people)["persons"][:2]
    assert people("name", anna["id"], "Anna")[0] == 0
    shown = json.loads(people("show", "Anna", "--json")[1])["faces"]
    assert people("not-this-person", shown[0]["face"], "Anna")[0] == 0
    before = sizes(people)

    for photo in {shown[0]["rel_path"], shown[1]["rel_path"], other["faces"][0]["rel_path"]}:
        rewrite(at_home, photo, besides=besides)
    code, _, err = people("cluster")

    assert (code, "0 new faces added" in err, sizes(people)) == (0, not besides, before)
    carried = [row for row in PeopleFile.read(tmp_path / "people.jsonl")[0] if "into" in row]
    assert content_of(int(shown[0]["rel_path"][:3])) in {row["content"] for row in carried}
    assert people("cluster", "--rebuild")[0] == 0
    assert sizes(people) == before


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_who_searches_somebody_by_the_name_alone_is_told_how(people, tmp_path):
    anna, oma, *_ = listed(people)["persons"]
    assert people("name", anna["id"], "Anna")[0] == 0
    assert people("name", oma["id"], "Oma Käthe")[0] == 0
    record = Record(rel_path="000.jpg", caption="A picnic of friends.", status=Status.SUCCESS)
    (tmp_path / "captions.jsonl").write_bytes(record.to_line())
    for typed, search in (
        ("anna", "person:Anna"),
        ("oma käthe", "'person:\"Oma Käthe\"'"),
        ("Käthe picnic", "'person:\"Oma Käthe\" picnic'"),
    ):
        done = caption("search", typed, cwd=tmp_path)
        assert f" search {search}\n" in done.stderr
    assert "For photos of" not in caption("search", "picnic", cwd=tmp_path).stderr
    found = caption("search", "--paths0", "--all", "person:Anna", cwd=tmp_path)
    assert len(found.stdout.split("\0")) > 1
    assert people("hide", "Anna")[0] == 0
    assert "For photos of" not in caption("search", "anna", cwd=tmp_path).stderr


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_what_was_said_stays_when_the_place_is_forgotten_where_a_photo_lay(people, home, tmp_path):
    anna = largest(people)
    assert people("name", anna["id"], "Anna")[0] == 0
    shown = faces_of(people, "Anna")[0]
    assert people("not-this-person", shown["face"], "Anna")[0] == 0
    name, before = shown["rel_path"], sizes(people)
    old = content_of(int(name[:3]))
    rewrite(home, name)
    with Library.open(home, pytest.fail) as library:
        new = library.known_files()[name]
        library.facts.save_file(f"album/{name}", 2, 2, new)
        library.drop_files([name])
    assert people("cluster")[0] == 0
    line = Record(
        rel_path=name, caption="Anna.", status=Status.SUCCESS, content_sha256=old
    ).to_line()
    (tmp_path / "captions.jsonl").write_bytes(line)
    done = caption("forget", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    assert people("cluster", "--rebuild")[0] == 0
    assert sizes(people) == before


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
