"""`doctor` says what is there and what is not, changes nothing, and shows no key."""

from __future__ import annotations

import json
import os
import sqlite3
import tomllib

import pytest

from picture_captioner.library.store import Library
from tests.providers.openai_server import OpenAIServer
from tests.support import ROOT, caption, library

KEY = "sk-canary-0123456789abcdef"


def doctor(cwd, *arguments, **env):
    done = caption("doctor", *arguments, cwd=cwd, **env)
    assert KEY not in done.stdout + done.stderr
    return done


def lines_about(done, about):
    return [line for line in done.stdout.splitlines() if line.split()[1] == about]


def test_an_empty_place_is_no_fault_and_stays_empty(tmp_path):
    done = doctor(tmp_path)
    assert done.returncode == 0, done.stdout
    for about in ("settings", "photos", "journal", "library", "gpu", "disk", "python", "ollama"):
        assert lines_about(done, about), about
    extras = {line.split()[2] for line in lines_about(done, "extra")}
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["optional-dependencies"]
    assert extras == declared.keys() - {"dev", "bench", "fuzz"}
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_named_and_asked_after_a_line(tmp_path):
    library(tmp_path / "photos", 2)
    caption("run", "photos", cwd=tmp_path)
    with OpenAIServer() as server:
        (tmp_path / "config.env").write_text(
            f"PHOTOS_DIR=photos\nOPENAI_API_KEY={KEY}\nCOMPATIBLE_BASE_URL={server.base_url}\n"
        )
        (tmp_path / "config.env").chmod(0o600)
        done = doctor(tmp_path)
        (request,) = server.seen
        assert "authorization" not in request.headers
        assert f"Asking {server.host} for its models" in done.stderr
    assert done.returncode == 0, done.stdout
    assert f"from {tmp_path / 'config.env'}" in lines_about(done, "settings")[0]
    assert "OPENAI_API_KEY is set" in lines_about(done, "key")[0]
    assert "2 records of 2 photos" in lines_about(done, "journal")[0]
    assert (
        "llava:latest" in lines_about(done, "compatible")[0]
        or "gpt" in lines_about(done, "compatible")[0]
    )


@pytest.mark.parametrize(
    ("memory", "model"),
    [
        (8192, "--model qwen2.5-vl-3b or --model qwen3-vl-2b or --model qwen3-vl-4b;"),
        (24564, "--model qwen2.5-vl-7b;"),
        (4096, "--model smolvlm2-500m;"),
        (0, ""),
    ],
)
def test_models_that_fit_the_card_are_named(tmp_path, memory, model):
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    told = f"A Card, 500 MiB, {memory} MiB, 580.65" if memory else "A Card, [N/A], [N/A], 580.65"
    smi.write_text(f"#!/bin/sh\necho '{told}'\n")
    smi.chmod(0o755)
    done = doctor(tmp_path, PATH=f"{smi.parent}:{os.environ['PATH']}")
    (line,) = lines_about(done, "gpu")
    assert told in line
    assert (f"--backend local with {model}" in line) is bool(model)


def test_what_is_broken_is_said_with_the_remedy_and_ends_with_78(tmp_path):
    (tmp_path / "config.env").write_text("PHOTOS_DIR=gone\nMODLE=x\n")
    (tmp_path / "captions.jsonl").write_bytes(b'{"rel_path": 1}\n{"rel_path":"a"}\n{}\n')
    (tmp_path / "library.db").write_bytes(b"no database at all" * 100)
    done = doctor(tmp_path, "--json")
    assert done.returncode == 78
    broken = {f["about"]: f for f in json.loads(done.stdout) if f["state"] == "broken"}
    assert set(broken) >= {"settings", "photos", "library"}
    assert "did you mean 'MODEL'?" in broken["settings"]["told"]
    assert "not a database" in broken["library"]["told"]
    assert all(finding["remedy"] for finding in broken.values() if finding["about"] != "journal")
    assert (tmp_path / "library.db").read_bytes().startswith(b"no database")


def test_a_library_that_is_well_is_only_read(tmp_path):
    connection = sqlite3.connect(tmp_path / "library.db")
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    before = (tmp_path / "library.db").read_bytes()
    assert lines_about(doctor(tmp_path), "library")[0].startswith("ok")
    assert (tmp_path / "library.db").read_bytes() == before


def test_a_library_on_a_server_is_asked_and_nothing_is_made(tmp_path, one_server):
    address = one_server.new_collection()
    env = {"CAPTION_LIBRARY": address.url, "CAPTION_COLLECTION": address.collection}
    done = doctor(tmp_path, **env)
    assert done.returncode == 0, done.stdout
    server, extension, collection = lines_about(done, "library")
    assert f"postgresql://club@127.0.0.1:{one_server.port}/postgres answers: Postgre" in server
    assert "no TLS" in server
    assert "pgvector 0." in extension
    assert f"no collection '{address.collection}' yet: the first use makes it" in collection
    assert one_server.sql(f"SELECT to_regnamespace('{address.collection}')") == [(None,)]
    with Library.open(address, lambda said: None):
        pass
    assert "0 photos" in lines_about(doctor(tmp_path, **env), "library")[2]
    wrong = doctor(tmp_path, f"--library={one_server.url(password='wrong-horse-9')}")
    assert wrong.returncode == 78
    (line,) = lines_about(wrong, "library")
    assert line.startswith("broken")
    assert "PGPASSFILE" in line
    assert "wrong-horse-9" not in wrong.stdout + wrong.stderr
    guest = doctor(tmp_path, f"--library={one_server.url('guest_of_doctor')}", **env)
    assert "lets nobody in" in lines_about(guest, "library")[0]
