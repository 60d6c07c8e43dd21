"""A human's word: out into a spreadsheet, back, accepted or rejected, and never overwritten."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import resource
import shlex
import subprocess

import pytest

from tests.support import caption, command, draw, effective, environment, records

HERE = ("--photos-dir=photos", "--captions-jsonl=c.jsonl")


@pytest.fixture
def here(tmp_path, plugin):
    for number in range(3):
        draw(tmp_path / "photos" / f"{number}.jpg", number)
    done = run(tmp_path, plugin)
    assert done.returncode == 0, done.stderr
    return tmp_path


def run(folder, plugin, *flags):
    return caption("run", *HERE, "--backend=service", *flags, cwd=folder, PYTHONPATH=plugin)


def exported(folder, *flags):
    done = caption("export", *HERE, *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def spreadsheet(folder, change):
    rows = list(csv.DictReader(io.StringIO(exported(folder, "--format=csv"))))
    for row in rows:
        change(row)
    with (folder / "edited.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_where_there_is_nothing_an_export_leaves_nothing(tmp_path):
    done = caption("export", cwd=tmp_path)
    assert done.returncode == 74
    assert "there is no journal at captions.jsonl" in done.stderr
    assert not [*tmp_path.iterdir()]


def test_a_line_for_each_photo(here):
    rows = [json.loads(line) for line in exported(here).splitlines()]
    assert [row["rel_path"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    for row in rows:
        assert {"path", "content_sha256", "caption", "backend", "model", "created_at"} <= set(row)
    patches = [json.loads(line) for line in exported(here, "--only=caption").splitlines()]
    assert all("path" not in row and "content_sha256" in row for row in patches)
    assert rows[0]["path"] == str(here / "photos/0.jpg")
    nowhere = caption("export", "--captions-jsonl=c.jsonl", cwd=here)
    row = json.loads(nowhere.stdout.splitlines()[0])
    assert ("path" in row, row["rel_path"]) == (False, "0.jpg")


def test_a_photo_that_failed_has_a_line(here, plugin):
    (here / "photos" / "empty.jpg").touch()
    run(here, plugin)
    done = caption("export", *HERE[1:], cwd=here)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["rel_path"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg", "empty.jpg"]
    assert len(exported(here, "--format=csv").splitlines()) == 4


def test_a_file_is_added_to_and_nothing_is_repeated(here, plugin):
    for _ in range(2):
        assert caption("export", *HERE, "--out=all.jsonl", cwd=here).returncode == 0
    assert len((here / "all.jsonl").read_text().splitlines()) == 3
    draw(here / "photos" / "9.jpg", 9)
    run(here, plugin)
    caption("export", *HERE, "--out=all.jsonl", cwd=here)
    names = [json.loads(line)["rel_path"] for line in (here / "all.jsonl").read_text().splitlines()]
    assert names == ["0.jpg", "1.jpg", "2.jpg", "9.jpg"]


def on_a_full_disk(folder, most, *flags):
    """`export` where no file may have over so many bytes, which ends a write like a full disk."""
    return subprocess.run(
        command("export", *HERE, *flags),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )


def test_lines_that_a_full_disk_took_a_part_of_are_written_again_whole(here):
    exported(here, "--out=all.jsonl")
    lines = (here / "all.jsonl").read_text().splitlines()
    there = [json.dumps({**json.loads(lines[0]), "rel_path": f"{n}.png"}) for n in range(4000)]
    (here / "all.jsonl").write_text("".join(f"{line}\n" for line in there))
    full = on_a_full_disk(here, (here / "all.jsonl").stat().st_size + 900, "--out=all.jsonl")
    assert full.returncode == 74, full.stderr
    assert "cannot write all.jsonl: File too large" in full.stderr
    assert not (here / "all.jsonl").read_bytes().endswith(b"\n")
    again = caption("export", *HERE, "--out=all.jsonl", cwd=here)
    assert "cut off its last line, which breaks off" in again.stderr
    assert (here / "all.jsonl").read_text().splitlines() == there + lines


def test_a_last_line_without_its_end_is_no_broken_one(here):
    exported(here, "--out=all.jsonl")
    whole = (here / "all.jsonl").read_bytes()
    for kept in (whole[:-1], whole[: whole.rindex(b"\n", 0, -1)]):
        (here / "all.jsonl").write_bytes(kept)
        exported(here, "--out=all.jsonl")
        assert (here / "all.jsonl").read_bytes() == whole


def test_a_spreadsheet_stays_where_the_disk_is_full(here):
    exported(here, "--format=csv", "--out=all.csv")
    before = (here / "all.csv").read_bytes()
    row = {"rel_path": "1.jpg", "caption": "long " * 900_000}
    (here / "long.jsonl").write_text(json.dumps(row))
    assert caption("import", *HERE[1:], "long.jsonl", cwd=here).returncode == 0
    full = on_a_full_disk(here, 3_000_000, "--format=csv", "--out=all.csv")
    assert full.returncode == 74, full.stderr
    assert "cannot write all.csv: File too large" in full.stderr
    assert (here / "all.csv").read_bytes() == before
    assert not [path.name for path in here.iterdir() if path.name.endswith(".new")]


def test_an_export_over_a_table_loses_no_edit(here, plugin):
    out = ("--format=csv", "--out=all.csv")
    exported(here, *out)
    table = (here / "all.csv").read_text()
    first, second = (effective(here / "c.jsonl")[f"{n}.jpg"]["caption"] for n in (0, 1))
    (here / "all.csv").write_text(table.replace(first, "Grandma at last").replace("\r\n", "\n"))
    refused = caption("export", *HERE, *out, cwd=here)
    assert refused.returncode == 64, refused.stderr
    assert (
        "all.csv: what was edited in it of 1 photo, such as 0.jpg, was not taken" in refused.stderr
    )
    (take,) = re.findall(r"would be lost: .*? (import .*?); or name", refused.stderr)
    assert caption(*shlex.split(take), cwd=here).returncode == 0
    exported(here, *out)
    assert "Grandma at last" in (here / "all.csv").read_text()
    (here / "all.csv").write_text(table)  # what the model had said is nobody's edit
    exported(here, *out)
    (here / "all.csv").write_bytes(table.replace(second, "Größe").encode("cp1252"))
    refused = caption("export", *HERE, *out, cwd=here)
    assert (refused.returncode, "It may hold edits, and is kept" in refused.stderr) == (64, True)


def test_an_older_table_is_replaced_after_captions_and_tags_were_renewed(here, plugin):
    out = ("--format=csv", "--out=all.csv")
    text = "rel_path,tags\n0.jpg,grandma; kitchen\n"
    (here / "edited.csv").write_text(text)
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    exported(here, *out)
    assert caption("tags", "rename", "kitchen", "room", *HERE, cwd=here).returncode == 0
    assert run(here, plugin, "--force", "--overwrite-edits").returncode == 0
    exported(here, *out)
    assert "kitchen" not in (here / "all.csv").read_text()


def test_tags_that_were_renamed_twice_are_no_edits_of_a_table_in_between(here, plugin):
    (here / "edited.csv").write_text("rel_path,tags\n0.jpg,grandma; kitchen; blurry\n")
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    for decision in (
        ("rename", "kitchen", "room"),
        ("rename", "room", "hall"),
        ("delete", "blurry"),
    ):
        assert caption("tags", *decision, *HERE, cwd=here).returncode == 0
        exported(here, "--format=csv", "--out=all.csv")
    assert "grandma; hall" in (here / "all.csv").read_text()


def test_two_exports_into_one_file_repeat_nothing(here):
    (here / "all.jsonl").touch()
    with (here / "all.jsonl").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = caption("export", *HERE, "--out=all.jsonl", cwd=here)
    assert (done.returncode, (here / "all.jsonl").read_bytes()) == (75, b"")
    assert "all.jsonl is being written by another export; wait for it" in done.stderr


@pytest.mark.parametrize("words", [("export",), ("export", "--format=csv"), ("people", "export")])
def test_a_pipe_and_a_link_that_an_export_is_given_stay_what_they_are(here, words):
    (here / "elsewhere").mkdir()
    (here / "elsewhere/out").touch()
    (here / "link").symlink_to("elsewhere/out")
    os.mkfifo(here / "pipe")
    flag = "" if "people" in words else "--out="
    with subprocess.Popen(["cat", "pipe"], cwd=here, stdout=subprocess.PIPE) as reader:
        assert caption(*words, *HERE, f"{flag}pipe", cwd=here).returncode == 0
        assert reader.stdout is not None
        piped = reader.stdout.read()
    assert caption(*words, *HERE, f"{flag}link", cwd=here).returncode == 0
    assert (here / "pipe").is_fifo()
    assert (here / "link").is_symlink()
    assert (here / "elsewhere/out").read_bytes() == piped != b""


@pytest.mark.parametrize("name", ["c.jsonl", "photos/0.jpg", "link.csv", "config.env"])
@pytest.mark.parametrize("words", [("export",), ("export", "--format=csv"), ("people", "export")])
def test_no_file_of_another_kind_is_written_over(here, name, words):
    (here / "link.csv").symlink_to("c.jsonl")
    (here / "config.env").write_text("# mine")
    before = (here / name).read_bytes()
    where = name if "people" in words else f"--out={name}"
    done = caption(*words, *HERE, where, cwd=here)
    assert done.returncode == 64, done.stderr
    assert "name another file" in done.stderr
    assert (here / name).read_bytes() == before


def test_the_log_is_not_written_into_a_journal_or_a_photo(here):
    for name in ("c.jsonl", "photos/0.jpg"):
        before = (here / name).read_bytes()
        done = caption("run", *HERE, "--backend=mock", cwd=here, CAPTION_LOG_FILE=name)
        assert done.returncode == 78, done.stderr
        assert "set LOG_FILE to another file" in done.stderr
        assert (here / name).read_bytes() == before


def test_an_export_takes_the_place_of_one_that_a_spreadsheet_program_saved(here):
    for kind, where in (("export", "--out=a.csv"), ("people", "a.csv")):
        words = ("export", "--format=csv") if kind == "export" else ("people", "export")
        (here / "a.csv").unlink(missing_ok=True)
        for change in (b"", b"\xef\xbb\xbf"):
            assert caption(*words, *HERE, where, cwd=here).returncode == 0
            rows = (here / "a.csv").read_bytes().removeprefix(b"\xef\xbb\xbf")
            (here / "a.csv").write_bytes(change + rows.replace(b",", b";"))
        assert caption(*words, *HERE, where, cwd=here).returncode == 0


def test_a_spreadsheet_that_was_not_changed_changes_nothing(here):
    spreadsheet(here, lambda row: None)
    before = (here / "c.jsonl").read_bytes()
    done = caption("import", *HERE[1:], "edited.csv", cwd=here)
    assert (done.returncode, done.stdout) == (0, "")
    assert (here / "c.jsonl").read_bytes() == before


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_was_edited_is_kept_whatever_the_spreadsheet_writes(here, separator):
    text = f"\ufeffrel_path{separator}caption{separator}tags\r\n"
    text += f'1.jpg{separator}"Grandma, at last; =here"{separator}"grandma, kitchen"\r\n'
    (here / "edited.csv").write_text(text, encoding="utf-8", newline="")
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    record = effective(here / "c.jsonl")["1.jpg"]
    assert record["caption"] == "Grandma, at last; =here"
    assert (record["edited"], record["tags"]) == (True, ["grandma", "kitchen"])
    assert record["edited_by"]
    assert "cost_usd" not in record


def test_tags_are_parted_as_in_the_report_and_however_somebody_parts_them(here):
    first = records(here / "c.jsonl")[0]
    tags = ["Rome, Italy", "dog", "snow"]
    with (here / "c.jsonl").open("a") as file:
        file.write(json.dumps(first | {"tags": tags}) + "\n")
    rows = {r["rel_path"]: r for r in csv.DictReader(io.StringIO(exported(here, "--format=csv")))}
    assert rows[first["rel_path"]]["tags"] == "Rome, Italy; dog; snow"
    spreadsheet(here, lambda row: None)
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).stdout == ""
    spreadsheet(here, lambda row: row["tags"] and row.update(tags=f"rex, {row['tags']}"))
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    assert effective(here / "c.jsonl")[first["rel_path"]]["tags"] == [
        "Rome, Italy",
        "rex",
        *tags[1:],
    ]


def test_no_later_run_overwrites_an_edit_unless_told_to(here, plugin):
    spreadsheet(
        here, lambda row: row.update(caption="Mine") if row["rel_path"] == "0.jpg" else None
    )
    caption("import", *HERE[1:], "edited.csv", cwd=here)
    for flags in (["--force"], ["--stale=model,prompt", "--model=other"]):
        assert run(here, plugin, *flags).returncode == 0
        shown = [json.loads(line) for line in exported(here).splitlines()]
        assert shown[0]["caption"] == "Mine", flags
    asked = sum(r["rel_path"] == "0.jpg" for r in records(here / "c.jsonl"))
    assert asked == 2, "the captioned one and the edit: nobody was asked again"
    assert run(here, plugin, "--force", "--overwrite-edits").returncode == 0
    shown = [json.loads(line) for line in exported(here).splitlines()]
    assert shown[0]["caption"] != "Mine"
    assert "edited" not in shown[0]


def test_accepted_and_rejected(here, plugin):
    (here / "elsewhere").mkdir()
    lies = ("--captions-jsonl=../c.jsonl", "--photos-dir=../photos")
    done = caption("accept", *lies, "../photos/0.jpg", cwd=here / "elsewhere")
    assert done.returncode == 0, done.stderr
    done = caption("reject", *HERE, "1.jpg", "--reason=that is not my uncle", cwd=here)
    assert done.returncode == 0
    shown = {row["rel_path"]: row for row in map(json.loads, exported(here).splitlines())}
    assert {name for name, row in shown.items() if "caption" in row} == {"0.jpg", "2.jpg"}
    assert shown["0.jpg"]["edited"] is True
    last = records(here / "c.jsonl")[-1]
    assert (last["withdrawn"], last["error"]["message"]) == (True, "that is not my uncle")
    assert run(here, plugin).returncode == 0
    assert all("caption" in json.loads(line) for line in exported(here).splitlines())


def test_a_rejected_caption_is_not_had_back_from_a_copy_of_the_photo(here, plugin):
    for name in ("copy.jpg", "later.jpg"):
        (here / "photos" / name).write_bytes((here / "photos" / "1.jpg").read_bytes())
        assert run(here, plugin, "--include=copy.jpg").returncode == 0
    assert effective(here / "c.jsonl")["copy.jpg"]["copied_from"] == "1.jpg"
    caption("reject", *HERE, "1.jpg", "--reason=wrong", cwd=here)
    assert run(here, plugin).returncode == 0
    anew, later = (effective(here / "c.jsonl")[name] for name in ("1.jpg", "later.jpg"))
    assert {anew.get("copied_from"), later.get("copied_from")} & {None}, "somebody was asked"
    assert "copy.jpg" not in {anew.get("copied_from"), later.get("copied_from")}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["export", "--format=xml"], 64, "expected jsonl, csv"),
        (["export", "--only=people"], 64, "expected caption"),
        (["import", "nowhere.csv"], 64, "cannot read"),
        (["import", "list.txt"], 64, "no table of captions"),
        (["accept", "7.jpg"], 64, "no caption of 7.jpg"),
    ],
)
def test_what_cannot_be_done_is_said(here, words, code, told):
    (here / "list.txt").write_text("milk\nbread\n")
    done = caption(words[0], "--captions-jsonl=c.jsonl", *words[1:], cwd=here)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("typed", ["=SUM(A1)", "'\uff1dSUM(A1)"])
def test_a_formula_in_a_caption_comes_back_as_it_was(here, plugin, typed):
    said = typed.lstrip("'")
    spreadsheet(here, lambda row: row.update(caption=typed))
    caption("import", *HERE[1:], "edited.csv", cwd=here)
    assert effective(here / "c.jsonl")["0.jpg"]["caption"] == said
    assert f"'{said}" in exported(here, "--format=csv")
    spreadsheet(here, lambda row: None)
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).stdout == ""


def test_names_that_are_no_text_come_back_from_a_spreadsheet(tmp_path, plugin):
    """And none is taken for another that looks as the export writes it."""
    odd = [os.fsdecode(b"caf\xe9.jpg"), "caf\\udce9.jpg", "\x1b[31m.jpg", "=1+1.jpg", "-a\nb.jpg"]
    for number, name in enumerate(odd):
        draw(tmp_path / "photos" / name, number)
    assert run(tmp_path, plugin).returncode == 0
    spreadsheet(tmp_path, lambda row: row.update(caption=f"Mine: {row['rel_path']}"))
    done = caption("import", "edited.csv", "--captions-jsonl=c.jsonl", cwd=tmp_path)
    assert "5 captions changed, 0 as before" in done.stderr
    found = effective(tmp_path / "c.jsonl")
    assert found[odd[0]]["caption"] == r"Mine: caf\udce9.jpg"
    assert found[odd[1]]["caption"] == r"Mine: caf\x5cudce9.jpg"
    assert all(found[name]["edited"] for name in odd)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_words_of_every_unicode_encoding_are_read(here, encoding):
    (here / "edited.csv").write_text("rel_path;caption\r\n1.jpg;Größe in Łódź\r\n", encoding)
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    assert effective(here / "c.jsonl")["1.jpg"]["caption"] == "Größe in Łódź"


@pytest.mark.parametrize("begins", [b"PK\x03\x04\x14\x00", b"\xd0\xcf\x11\xe0\xa1\xb1"])
def test_a_spreadsheets_own_file_is_told_for_what_it_is(here, begins):
    (here / "edited.xlsx").write_bytes(begins + bytes(range(256)))
    for flags in ((), ("--encoding=cp1252",)):
        done = caption("import", *HERE[1:], "edited.xlsx", *flags, cwd=here)
        assert done.returncode == 64
        assert "edited.xlsx is a spreadsheet program's own file: save it as 'CSV" in done.stderr


def test_an_encoding_is_never_guessed(here):
    """Excel's plain CSV: halves of characters became the human's words, which no run replaces."""
    text = "rel_path;caption\r\n0.jpg;plain\r\n1.jpg;Größe „so“\r\n"
    (here / "edited.csv").write_bytes(text.encode("cp1252"))
    before = (here / "c.jsonl").read_bytes()
    done = caption("import", *HERE[1:], "edited.csv", cwd=here)
    assert (done.returncode, (here / "c.jsonl").read_bytes()) == (64, before)
    assert "edited.csv, line 3: it is not UTF-8 text (byte 0xf6)" in done.stderr
    assert "--encoding cp1252" in done.stderr
    for wrong in ("klingon", "base64"):
        done = caption("import", *HERE[1:], "edited.csv", f"--encoding={wrong}", cwd=here)
        assert (done.returncode, "no such encoding" in done.stderr) == (64, True)
    done = caption("import", *HERE[1:], "edited.csv", "--encoding=cp1252", cwd=here)
    assert done.returncode == 0, done.stderr
    assert effective(here / "c.jsonl")["1.jpg"]["caption"] == "Größe „so“"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("half.jsonl", b'{"rel_path": "1.jpg", "tags": ["\\ud800"]}', "line 1: there are halves"),
        ("open.csv", b'rel_path,caption\n1.jpg,"' + b"x" * 200_000, "it is no CSV"),
    ],
)
def test_a_file_that_is_damaged_changes_nothing(here, name, data, told):
    (here / name).write_bytes(data)
    before = (here / "c.jsonl").read_bytes()
    done = caption("import", *HERE[1:], name, cwd=here)
    assert (done.returncode, (here / "c.jsonl").read_bytes()) == (64, before)
    assert f"{name}, line" in done.stderr
    assert told in done.stderr


def test_characters_that_a_spreadsheet_does_not_get_come_back(here):
    """A separator of lines is shown as an escape, which is no six characters of a human's word."""
    line = records(here / "c.jsonl")[0] | {"caption": "One.\u2028Two \u202a(x)\u202c. \\u2028"}
    with (here / "c.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    spreadsheet(here, lambda row: row.update(caption=row["caption"].replace("One", "1")))
    assert caption("import", *HERE[1:], "edited.csv", cwd=here).returncode == 0
    found = effective(here / "c.jsonl")[line["rel_path"]]["caption"]
    assert found == "1. Two \u202a(x)\u202c. \\u2028"


def test_photos_of_the_library_without_a_caption_have_a_line_too(tmp_path, plugin):
    for number in range(3):
        draw(tmp_path / "photos" / f"{number}.jpg", number)
    assert caption("process", *HERE, "--stage=metadata", cwd=tmp_path).returncode == 0
    before = [json.loads(line) for line in exported(tmp_path).splitlines()]
    assert [row["rel_path"] for row in before] == ["0.jpg", "1.jpg", "2.jpg"], "without a journal"
    for row in before:
        assert {"path", "content_sha256", "perceptual_hash", "width"} <= set(row)
        assert not {"caption", "created_at"} & set(row)
    assert run(tmp_path, plugin, "--include=1.jpg").returncode == 0
    rows = {row["rel_path"]: row for row in map(json.loads, exported(tmp_path).splitlines())}
    assert {name for name, row in rows.items() if "caption" in row} == {"1.jpg"}
    assert len(rows) == 3
    assert len(exported(tmp_path, "--only=caption").splitlines()) == 1
    assert len(exported(tmp_path, "--format=csv").splitlines()) == 2
    (tmp_path / "all.jsonl").write_text(exported(tmp_path))
    done = caption("import", *HERE[1:], "all.jsonl", cwd=tmp_path)
    assert (done.returncode, "0 captions changed, 1 as before" in done.stderr) == (0, True)
    assert "passed over" not in done.stderr
