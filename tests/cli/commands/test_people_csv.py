"""Names by way of a spreadsheet."""

from __future__ import annotations

import csv

from tests.cli.commands.made_up_people import largest, listed


def test_names_come_back_from_a_spreadsheet(people, tmp_path):
    names = ["=HYPERLINK(1)", "Änne; geb. Groß", "-", "'quoted'", "\uff1d1+1", "李雷"]
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
    assert ",'\uff1d1+1," in (tmp_path / "again.csv").read_text(encoding="utf-8-sig")
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
