"""What a run says comes next, and that the command does it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

from tests.support import caption, draw, effective, environment, records, run_service


def test_with_force_and_a_limit_the_next_command_goes_on_and_takes_none_twice(
    photos, tmp_path, plugin
):
    again = ["--photos-dir", photos, "--force", "--limit=4"]
    run_service(tmp_path, plugin, "--photos-dir", photos)
    done = run_service(tmp_path, plugin, *again)
    (more,) = re.findall("^Remaining: 2 photos; to go on, .* with (--since=.*)$", done.stderr, re.M)
    done = run_service(tmp_path, plugin, *again, *more.split())
    assert "2 of 2 photos worked through" in done.stderr
    assert "Remaining" not in done.stderr
    paths = [record["rel_path"] for record in records(tmp_path / "captions.jsonl")[6:]]
    assert sorted(paths) == sorted(effective(tmp_path / "captions.jsonl"))


def test_the_command_for_the_failed_ones_takes_no_others_and_costs_no_more(
    photos, tmp_path, plugin
):
    """It has the address, the ceiling and the choice of photos that this run was given."""
    given = ["--photos-dir", photos, "--base-url=http://127.0.0.1:9/v1", "--max-requests=50"]
    given += ["--local-only", "--exclude=*.png", "--exclude=x/**"]
    done = run_service(tmp_path, plugin, *given, "--limit=2", fail="refused", fail_first=1)
    assert done.returncode == 0, done.stderr
    (command,) = re.findall("^Next, to try the failed ones again: (.*)$", done.stderr, re.M)
    words = shlex.split(command)
    assert {*given[2:], f"--photos-dir={photos}", "--backend=service"} <= {*words}
    assert words[-2:] == ["--retry-status=error_model", "--retry-only"]
    retried = subprocess.run(
        words, cwd=tmp_path, env=environment(PYTHONPATH=plugin), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert retried.returncode == 0, retried.stderr
    assert "1 of 1 photo worked through" in retried.stderr


def test_nothing_to_do_says_what_failed_and_how_to_try_it_again(photos, tmp_path, plugin):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    given = ("--photos-dir", photos, "--prompt-file=ask.txt")
    (tmp_path / "ask.txt").write_text("What is it?")
    first = run_service(tmp_path, plugin, *given, fail="refused", fail_first=1)
    assert first.returncode == 0, first.stderr
    assert "refused 1" in first.stderr
    assert "refused by the service" not in first.stderr, "two meanings of one word"
    said = run_service(tmp_path, plugin, *given).stderr
    assert "Nothing to do: 2 photos failed before, the others are done" in said
    (mended,) = re.findall("^1 photo cannot be decoded; when they are mended: (.*)$", said, re.M)
    assert shlex.split(mended)[-2:] == ["--retry-status=error_corrupt", "--retry-only"]
    (command,) = re.findall("^Next, to try 1 photo again: (.*)$", said, re.M)
    assert "--prompt-file=ask.txt" in shlex.split(command)
    again = run_service(tmp_path, plugin, *shlex.split(command)[3:])
    assert "1 of 1 photo worked through" in again.stderr
    end = run_service(tmp_path, plugin, *given).stderr
    assert "Nothing to do: 1 photo failed before" in end
    assert "Next" not in end


def test_real_captions_are_not_advised_where_there_are_only_those(photos, tmp_path, plugin):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    run_service(tmp_path, plugin, "--photos-dir", photos)
    again = ("--photos-dir", photos, "--retry-status=error_corrupt", "--retry-only")
    assert "for real captions" not in caption("run", *again, cwd=tmp_path).stderr
    draw(photos / "new.jpg", seed=77)
    added = caption("run", "--photos-dir", photos, cwd=tmp_path).stderr
    assert "Next, for real captions: " in added


def test_a_command_for_a_part_of_the_library_is_for_that_part(photos, tmp_path):
    draw(photos / "a part" / "one.jpg", seed=78)
    own = {"PHOTOS_DIR": str(photos)}
    done = caption("run", "--dry-run", photos / "a part", cwd=tmp_path, **own)
    (command,) = re.findall("^Next, to caption them: (.*)$", done.stderr, re.M)
    done = caption(*shlex.split(command)[2:], cwd=tmp_path, **own)
    assert "1 of 1 photo worked through" in done.stderr


def test_dry_run_points_at_photos_that_were_mended(photos, tmp_path):
    bad = photos / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff")
    caption("--dry-run", "--photos-dir", photos, cwd=tmp_path)
    draw(bad, seed=60)
    done = caption("--dry-run", "--photos-dir", photos, cwd=tmp_path)
    assert "--retry-status=error_corrupt" in done.stderr


def test_the_sequence_of_the_readme_ends_with_captions(photos, tmp_path):
    """`run --dry-run`, `estimate`, `run` with nothing set but where the photos are."""
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    own, journal = {"PHOTOS_DIR": str(photos)}, tmp_path / "captions.jsonl"
    rehearsed = caption("run", "--dry-run", cwd=tmp_path, **own)
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert all(record["dry_run"] for record in records(journal))
    assert rehearsed.stderr.splitlines()[-1].startswith("Next, to caption them: ")
    once = journal.read_bytes()
    assert caption("run", "--dry-run", cwd=tmp_path, **own).returncode == 0
    assert journal.read_bytes() == once
    assert "mock" not in caption("search", "mock", cwd=tmp_path).stdout
    assert json.loads(caption("stats", "--json", cwd=tmp_path).stdout)["dry_run_only"] == 6
    estimated = json.loads(caption("estimate", "--json", cwd=tmp_path, **own).stdout)
    assert (estimated["remaining"], estimated["done"]) == (6, 1)
    done = caption("run", cwd=tmp_path, **own)
    assert "Skipping 1 already processed (0 success, 1 error)" in done.stderr
    found = effective(journal)
    assert len(found) == 7
    assert {r["backend"] for p, r in found.items() if p != "bad.jpg"} == {"template"}
    assert found["bad.jpg"]["status"] == "error_corrupt"
    assert len(caption("search", "picture", cwd=tmp_path).stdout.splitlines()) == 6


def test_the_template_takes_what_the_mock_made_up(photos, tmp_path):
    caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
    assert caption("--photos-dir", photos, cwd=tmp_path).returncode == 0
    found = effective(tmp_path / "captions.jsonl")
    assert {r["backend"] for r in found.values()} == {"template"}
    assert "Nothing to do" in caption("--photos-dir", photos, cwd=tmp_path).stderr
    back = caption("--backend=mock", "--photos-dir", photos, cwd=tmp_path)
    assert "Nothing to do" in back.stderr
