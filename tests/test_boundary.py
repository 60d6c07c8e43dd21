"""The boundary of the machine: nothing outside of the photos directory is opened or sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support import caption, command, draw, effective, environment


def test_links_that_lead_out_are_sent_only_when_asked_for(photos, tmp_path):
    draw(tmp_path / "private" / "diary.jpg", seed=98)
    (photos / "loop").symlink_to("..")
    (photos / "around").symlink_to(".")
    (photos / "private").symlink_to(tmp_path / "private")
    os.link(sorted(p for p in photos.rglob("*.jpg") if p.is_file())[0], photos / "z.jpg")
    flags = ("--photos-dir", photos, "--captions-jsonl", tmp_path / "captions.jsonl")
    done = caption("run", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Not following 2 links that lead out of the photos directory" in done.stderr
    assert f"private -> {tmp_path}/private" in done.stderr
    assert "--follow-links" in done.stderr
    assert "1 link to a folder above, which would go round in circles (around)" in done.stderr
    assert "1 hard link to other photos (z.jpg): captioned once, recorded each" in done.stderr
    assert "diary" not in (tmp_path / "captions.jsonl").read_text()
    assert len(effective(tmp_path / "captions.jsonl")) == 7
    (photos / "loop").unlink()
    for way in (("--follow-links",), ()):
        done = caption(
            "run", *flags, *way, cwd=tmp_path, CAPTION_FOLLOW_LINKS="" if way else "true"
        )
        assert done.returncode == 0, done.stderr
        assert "Not following" not in done.stderr
        assert "private/diary.jpg" in effective(tmp_path / "captions.jsonl")
        (tmp_path / "captions.jsonl").unlink()


def test_a_directory_with_nothing_but_links_says_how_to_follow_them(tmp_path):
    draw(tmp_path / "disk" / "a.jpg")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "disk").symlink_to(tmp_path / "disk")
    done = caption("run", "--photos-dir", tmp_path / "photos", cwd=tmp_path)
    assert done.returncode == 66
    assert "behind links that lead out of it: --follow-links" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell whether it was dumped")
def test_a_crash_of_the_parent_leaves_no_core(photos, plugin, tmp_path):
    def dumps(arguments):
        ready = tmp_path / "requests.txt"
        ready.unlink(missing_ok=True)
        with subprocess.Popen(
            ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", *map(str, arguments)],
            cwd=tmp_path,
            env=environment(PYTHONPATH=plugin),
            stderr=subprocess.DEVNULL,
        ) as process:
            while not ready.exists():
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGQUIT)
            _, status = os.waitpid(process.pid, 0)
            process.returncode = -signal.SIGQUIT
        assert os.WTERMSIG(status) == signal.SIGQUIT
        return os.WCOREDUMP(status)

    plain = "import time; open('requests.txt', 'w'); time.sleep(60)"
    if not dumps([sys.executable, "-c", plain]):
        pytest.skip("this machine dumps no core at all")
    slow = ("--option=delay=30", f"--option=log={tmp_path / 'requests.txt'}")
    assert not dumps(command("run", "--backend=service", *slow, "--photos-dir", photos))


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("OPENAI_API_KEY=sk-0123456789abcdef\n", 0o644, True),
        ("OPENAI_API_KEY=sk-0123456789abcdef\n", 0o620, True),
        ("OPENAI_API_KEY=sk-0123456789abcdef\n", 0o600, False),
        ("OPENAI_API_KEY=${HELD_ELSEWHERE}\nPHOTOS_DIR=photos\n", 0o644, False),
        ("PHOTOS_DIR=photos\n", 0o644, False),
    ],
)
def test_a_config_whose_keys_others_can_read_is_pointed_out(tmp_path, text, mode, told):
    draw(tmp_path / "photos" / "a.jpg")
    config = tmp_path / "config.env"
    config.write_text(text)
    config.chmod(mode)
    done = caption("run", "--photos-dir=photos", "--quiet", cwd=tmp_path, HELD_ELSEWHERE="x")
    assert done.returncode == 0, done.stderr
    assert ("can be read by others on this machine: chmod 600" in done.stderr) is told
    assert "0123456789" not in done.stderr
    doctor = caption("doctor", cwd=tmp_path, HELD_ELSEWHERE="x")
    assert ("chmod 600" in doctor.stdout) is told
