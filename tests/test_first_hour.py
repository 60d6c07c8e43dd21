"""What a new user types in the first hour: photos as arguments, the next command, completion."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest

from tests.providers.openai_server import OpenAIServer
from tests.support import (
    ROOT,
    caption,
    draw,
    effective,
    environment,
    install_plugin,
    library,
    report,
)


def test_a_folder_may_be_named_without_a_flag(tmp_path):
    library(tmp_path / "my photos", 3)
    done = caption("run", "my photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(effective(tmp_path / "captions.jsonl")) == 3
    assert "run '--photos-dir=my photos' --backend=NAME" in done.stderr


@pytest.mark.parametrize("set_before", [False, True])
def test_single_photos_may_be_named(tmp_path, set_before):
    photos = library(tmp_path / "photos", 4)
    if set_before:
        (tmp_path / "config.env").write_text(f"PHOTOS_DIR={photos}\n")
    done = caption("run", "photos/000/00001.jpg", photos / "000/00003.jpg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = "000/" if set_before else ""
    assert set(effective(tmp_path / "captions.jsonl")) == {
        f"{folder}00001.jpg",
        f"{folder}00003.jpg",
    }


def test_a_folder_inside_the_library_is_a_part_of_it(tmp_path):
    photos = library(tmp_path / "photos", 2)
    library(photos / "2022" / "Paris", 2)
    (tmp_path / "config.env").write_text(f"PHOTOS_DIR={photos}\n")
    part = photos / "2022" / "Paris"
    assert caption("run", part, cwd=tmp_path).returncode == 0
    paris = {"2022/Paris/000/00000.jpg", "2022/Paris/000/00001.jpg"}
    assert set(effective(tmp_path / "captions.jsonl")) == paris
    outside = library(tmp_path / "outside", 1) / "000" / "00000.jpg"
    done = caption("run", part / "000" / "00000.jpg", outside, cwd=tmp_path)
    assert done.returncode == 64
    assert f"{outside} is not in the photos directory" in done.stderr
    assert set(effective(tmp_path / "captions.jsonl")) == paris


def test_a_part_of_a_recorded_library_is_not_taken_for_a_library_of_its_own(tmp_path):
    photos = library(tmp_path / "photos", 2)
    part = photos / "2022" / "Paris"
    for name in ("a", "b"):
        draw(part / f"{name}.jpg", seed=ord(name))
    assert caption("run", photos, cwd=tmp_path).returncode == 0
    before = (tmp_path / "captions.jsonl").read_bytes()
    done = caption("run", part, "--force", cwd=tmp_path)
    assert done.returncode == 78
    assert "knows these photos as 2022/Paris/..." in done.stderr
    assert (tmp_path / "captions.jsonl").read_bytes() == before
    for name in ("batch submit", "estimate"):
        told = caption(*name.split(), part, cwd=tmp_path).stderr
        assert re.search(rf"take that part: '\S+ .*{name} --photos-dir=.*Paris'", told), told
    (command,) = re.findall(r"'(\S+ .*run --photos-dir=.*Paris)'", done.stderr)
    again = subprocess.run(
        shlex.split(command), cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert "Skipping 2 already processed" in again.stderr


def test_a_name_with_a_newline_is_one_photo(tmp_path):
    draw(tmp_path / "a\nb.jpg")
    done = caption("run", tmp_path / "a\nb.jpg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(effective(tmp_path / "captions.jsonl")) == {"a\nb.jpg"}


def test_a_photo_is_found_by_the_name_that_messages_give_it(tmp_path):
    draw(tmp_path / "photos" / "odd" / "cut.jpg")
    done = caption("run", "odd/cut.jpg", "--photos-dir=photos", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(effective(tmp_path / "captions.jsonl")) == {"odd/cut.jpg"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gone.jpg"], "there is no photo and no folder gone.jpg"),
        (["gone.jpg", "--photos-dir=more"], "neither here nor in more"),
        (["photos", "more"], "name one folder, or single photos"),
        (["photos", "--photos-dir=more"], "photos is not in --photos-dir more"),
        (
            ["photos/000/00000.jpg", "--photos-dir=more"],
            "00000.jpg is not in the photos directory more",
        ),
        (["photos/000/00000.jpg", "--files-from=-"], "exclude each other"),
        (["--photos-dir="], "'--photos-dir': it is empty"),
        (["--captions-jsonl", ""], "'--captions-jsonl': it is empty"),
        ([""], "named by nothing"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path, words, told):
    library(tmp_path / "photos", 1)
    library(tmp_path / "more", 1)
    done = caption("run", *words, cwd=tmp_path)
    assert done.returncode == 64
    assert told in done.stderr


def test_a_run_ends_with_the_commands_that_come_next(tmp_path):
    """They are typed as they stand."""
    library(tmp_path / "photos", 2)
    plugin = install_plugin(tmp_path / "plugin")
    done = caption(
        "run", "photos", "--backend=service", "--captions-jsonl=my.jsonl", cwd=tmp_path,
        PYTHONPATH=plugin,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = re.findall(
        "^Next, to see the library: (.*); to find photos: (.*)$", done.stderr, re.M
    )
    made, found = (shlex.split(command) for command in line)
    assert made[1] == str(ROOT / "cluster_report.py")
    assert report(*made[2:], cwd=tmp_path).returncode == 0
    assert (tmp_path / "report_out" / "cluster_report.html").exists()
    looked = caption(*found[2:-1], "Red", cwd=tmp_path)
    assert len(looked.stdout.splitlines()) == 2


def test_a_run_tells_its_end_as_json(tmp_path):
    photos = library(tmp_path / "photos", 2)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    done = caption("run", "photos", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"captioned": 2, "corrupt": 1}
    assert told["journal"] == str(tmp_path / "captions.jsonl")
    ((rel_path, _, message),) = told["failures"]
    assert (rel_path, bool(message)) == ("broken.jpg", True)
    checked = json.loads(caption("journal", "check", "--json", cwd=tmp_path).stdout)
    assert (checked["records"], checked["photos"], checked["damage"]) == (3, 3, [])
    for photos in ("photos", "--photos-dir=photos"):
        done = caption("compare", "--backends=mock", photos, "--json", cwd=tmp_path)
        (column,) = json.loads(done.stdout)
        assert len(column["captions"]) == 3


def test_damage_is_told_as_json_with_the_same_exit_code(tmp_path):
    library(tmp_path / "photos", 1)
    caption("run", "photos", cwd=tmp_path)
    journal = tmp_path / "captions.jsonl"
    journal.write_bytes(b"{no json\n" + journal.read_bytes())
    done = caption("journal", "check", "--json", cwd=tmp_path)
    assert done.returncode == 74
    assert [damage["line"] for damage in json.loads(done.stdout)["damage"]] == [1]


@pytest.mark.parametrize("command", [["stats"], ["journal", "check"]])
def test_a_journal_that_is_not_there_is_said(tmp_path, command):
    done = caption(*command, "--captions-jsonl=gone.jsonl", cwd=tmp_path)
    assert done.returncode == 74
    assert f"there is no journal at {tmp_path / 'gone.jsonl'}" in done.stderr.replace(
        "at gone", f"at {tmp_path}/gone"
    )


def test_a_plugin_that_cannot_be_imported_is_one_sentence(tmp_path):
    plugin = install_plugin(tmp_path / "plugin")
    (tmp_path / "plugin" / "test_service.py").write_text("import not_installed_anywhere\n")
    library(tmp_path / "photos", 1)
    for text, told in (
        ("import not_installed_anywhere", "needs the package not_installed_anywhere"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
    ):
        (tmp_path / "plugin" / "test_service.py").write_text(text)
        done = caption("run", "photos", "--backend=service", cwd=tmp_path, PYTHONPATH=plugin)
        assert done.returncode == 78
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
        listed = caption("backends", cwd=tmp_path, PYTHONPATH=plugin)
        assert listed.returncode == 0
        assert told in listed.stdout


def test_backends_shows_what_a_plugin_says_of_itself(tmp_path):
    plugin = install_plugin(tmp_path / "plugin")
    listed = caption("backends", cwd=tmp_path, PYTHONPATH=plugin).stdout
    assert "a service in a test (from other-package)" in listed


@pytest.mark.parametrize("program", ["caption.py", "cluster_report.py"])
def test_shell_completion_is_shown(tmp_path, program):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {ROOT / program} --show-completion bash"],
        cwd=tmp_path, env=environment(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout
    assert done.stderr == ""


def test_commands_and_flags_complete(tmp_path):
    words = {"COMP_WORDS": "caption.py run --back", "COMP_CWORD": "2"}
    done = caption(cwd=tmp_path, **words, **{"_CAPTION.PY_COMPLETE": "complete_bash"})
    assert "--backend" in done.stdout.split()


def test_quiet_says_only_who_receives_the_photos_and_what_went_wrong(tmp_path):
    library(tmp_path / "photos", 2)
    with OpenAIServer() as server:
        flags = ("--backend=compatible", f"--base-url={server.base_url}", "--model=llava:latest")
        done = caption("run", "photos", "-q", *flags, cwd=tmp_path)
        assert done.returncode == 0
        lines = done.stderr.splitlines()
        assert len(lines) == 2
        assert all(server.host in line for line in lines)
    assert caption("run", "photos", "--quiet", "--force", cwd=tmp_path).stderr == ""
    done = caption("run", "gone", "-q", cwd=tmp_path)
    assert "no photo and no folder gone" in done.stderr


def test_verbose_shows_the_log(tmp_path):
    library(tmp_path / "photos", 1)
    said = caption("run", "photos", "-v", cwd=tmp_path).stderr
    assert "run started" in said
    assert "run started" not in caption("run", "photos", "--force", cwd=tmp_path).stderr
    assert "run started" in (tmp_path / "caption.log").read_text()
