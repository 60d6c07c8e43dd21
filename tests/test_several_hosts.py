"""Whole runs with `--base-url` repeated: nothing lost or twice, each host named and checked."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

from tests.providers.contracts import contract
from tests.providers.openai_server import OpenAIServer, failure
from tests.support import caption, effective, library, records


class Paced(OpenAIServer):
    """Takes a while for each photo, and dies after so many (`mortal`), connections and all."""

    contract = contract("compatible")

    def __init__(self, seconds=0.0, mortal=None):
        self.seconds, self.mortal = seconds, mortal
        self.answered, self.admitted = [], 0
        self.lock = threading.Lock()
        super().__init__()
        self.models = ("m",)

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        with self.lock:
            if self.mortal is not None and self.admitted >= self.mortal:
                return failure(503, "shutting down")
            self.admitted += 1
        time.sleep(self.seconds)
        with self.lock:
            self.answered.append(request.body)
        return super().reply_to(request)


def run(cwd, servers, *arguments, **env):
    urls = [f"--base-url={server.base_url}" for server in servers]
    flags = ("--backend=compatible", "--photos-dir=photos", "--max-workers=9")
    return caption("run", *flags, *urls, *arguments, cwd=cwd, **env)


def test_three_hosts_one_slow_one_dying_lose_no_photo_and_answer_none_twice(tmp_path):
    library(tmp_path / "photos", 60)
    with Paced(0.02) as fast, Paced(0.25) as slow, Paced(0.02, mortal=8) as dying:
        done = run(tmp_path, (fast, slow, dying))
        assert done.returncode == 0, done.stderr
        named = f"{fast.host}, {slow.host} and {dying.host}"
        assert f"Sending 60 photos to {named}" in done.stderr
        assert done.stderr.index(named) < done.stderr.index("Sending 60")
        assert f"{dying.host} is put aside" in done.stderr
        asked = Counter(body for server in (fast, slow, dying) for body in server.answered)
    assert set(asked.values()) == {1}
    assert len(asked) == 60
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == len(effective(tmp_path / "captions.jsonl")) == 60
    assert {record["status"] for record in found} == {"success"}
    assert {record["model"] for record in found} == {"m"}
    assert 0 < len(slow.answered) < len(fast.answered)
    assert len(dying.answered) == 8
    assert f"Answered by {fast.host} {len(fast.answered)}" in done.stderr


def test_all_hosts_down_in_the_middle_end_the_run_and_the_next_one_goes_on(tmp_path):
    library(tmp_path / "photos", 30)
    with Paced(mortal=5) as one, Paced(mortal=5) as other:
        done = run(tmp_path, (one, other))
        assert done.returncode == 69, done.stderr
    assert {r["status"] for r in records(tmp_path / "captions.jsonl")} == {"success"}
    with Paced() as well:
        assert run(tmp_path, (well,)).returncode == 0
    assert len(records(tmp_path / "captions.jsonl")) == 30


def test_a_host_that_is_down_from_the_beginning_is_told_and_left(tmp_path):
    library(tmp_path / "photos", 6)
    with Paced() as gone:
        pass
    with Paced() as well:
        done = run(tmp_path, (gone, well))
        assert done.returncode == 0, done.stderr
        assert f"{gone.host} is put aside" in done.stderr
        assert len(well.answered) == 6


def test_local_only_holds_for_each_address_and_each_servers_word(tmp_path):
    library(tmp_path / "photos", 2)
    with Paced() as here, Paced() as passing_on:
        done = run(tmp_path, (here,), "--base-url=https://gpu.example.org/v1", "--local-only")
        assert done.returncode == 78
        assert "gpu.example.org is another machine" in done.stderr
        passing_on.show = {"remote_host": "https://ollama.com:443", "capabilities": ["vision"]}
        done = run(tmp_path, (here, passing_on), "--local-only", "--model=m")
        assert done.returncode == 78, done.stderr
        assert "passes every photo on to ollama.com" in done.stderr
        assert here.captions_asked() == passing_on.captions_asked() == []


def test_hosts_in_config_env_are_separated_by_commas(tmp_path):
    library(tmp_path / "photos", 4)
    with Paced() as one, Paced() as other:
        urls = f"{one.base_url}, {other.base_url}"
        (tmp_path / "config.env").write_text(f"COMPATIBLE_BASE_URL={urls}\n")
        checked = caption("backends", "--check", "--json", cwd=tmp_path)
        rows = [r for r in json.loads(checked.stdout) if r["name"] == "compatible"]
        assert [row["host"] for row in rows] == [one.host, other.host]
        flags = ("--backend=compatible", "--photos-dir=photos", "--model=m")
        done = caption("run", *flags, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"Sending 4 photos to {one.host} and {other.host}" in done.stderr
        assert len(one.answered) + len(other.answered) == 4
        assert one.answered
        assert other.answered
