"""Jobs as files for `vllm run-batch`, answered elsewhere."""

from __future__ import annotations

import json

import pytest

from tests.providers.batch_dialects import OpenAIBatches
from tests.support import library, records

MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"


def answers_to(requests: list[dict]) -> list[dict]:
    """What vLLM writes for these lines, in the form of its output file."""
    with OpenAIBatches() as server:
        return [server.line(line["custom_id"], "ok", line["body"]) for line in requests]


def test_files_go_out_and_their_answers_come_back(tmp_path, preloaded):
    library(tmp_path / "photos", 5)
    who = ["--photos-dir=photos", "--backend=compatible", f"--model={MODEL}"]
    run = preloaded.run("batch", "submit", *who, "--to-files=jobs", cwd=tmp_path)
    assert run.returncode == 0, run.said
    (file,) = (tmp_path / "jobs").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    requests = [json.loads(line) for line in file.read_text().splitlines()]
    assert {line["body"]["model"] for line in requests} == {MODEL}
    assert b"000/0000" not in file.read_bytes()

    run = preloaded.run("batch", "collect", "--photos-dir=photos", cwd=tmp_path)
    assert run.returncode == 0, run.said
    assert "Still running: 1 job" in run.said
    lines = [json.dumps(line) for line in answers_to(requests)]
    out = file.with_name(f"{file.stem}.out.jsonl")
    out.write_text("\n".join(lines)[:-40])
    run = preloaded.run("batch", "collect", "--photos-dir=photos", cwd=tmp_path)
    assert run.returncode == 69, run.said
    assert "breaks off" in run.said
    assert len(records(tmp_path / "captions.jsonl")) == 4
    out.write_text("\n".join(lines) + "\n")
    run = preloaded.run("batch", "collect", "--photos-dir=photos", cwd=tmp_path)
    assert run.returncode == 0, run.said
    found = records(tmp_path / "captions.jsonl")
    assert len({r["rel_path"] for r in found}) == len(found) == 5
    assert not list((tmp_path / "jobs").iterdir())


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_damaged_line_of_a_file_is_passed_over(tmp_path, preloaded, end):
    library(tmp_path / "photos", 3)
    who = ["--photos-dir=photos", "--backend=compatible", f"--model={MODEL}"]
    run = preloaded.run("batch", "submit", *who, "--to-files=jobs", cwd=tmp_path)
    assert run.returncode == 0, run.said
    (file,) = (tmp_path / "jobs").iterdir()
    requests = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [json.dumps(line, ensure_ascii=False) for line in answers_to(requests)]
    lines[0] = lines[0].replace("A photo", "A\u2028photo")  # a line's end to str.splitlines
    file.with_name(f"{file.stem}.out.jsonl").write_text("\n".join([*lines[:2], "null", "7"]) + end)
    run = preloaded.run("batch", "collect", "--photos-dir=photos", cwd=tmp_path)
    assert run.returncode == 69, run.said
    assert f" --to-files={tmp_path / 'jobs'}' sends them once more" in run.said
    assert "2 damaged lines among the answers, passed over: 1 photo pending again" in run.said
    assert len(records(tmp_path / "captions.jsonl")) == 2


def test_files_need_a_model_by_name(tmp_path, preloaded):
    library(tmp_path / "photos", 1)
    run = preloaded.run(
        "batch", "submit", "--photos-dir=photos", "--backend=openai", "--to-files=j", cwd=tmp_path
    )
    assert run.returncode == 64
    assert "--to-files goes with --backend compatible" in run.said
