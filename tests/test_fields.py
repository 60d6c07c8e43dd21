"""Structured fields from the command line to the journal, against a provider on loopback."""

from __future__ import annotations

import json
import re

import pytest

from picture_captioner.backends.field_values import FIELD_NAMES
from picture_captioner.backends.fields import FieldsAsked
from picture_captioner.cli.commands.compose import make_backend, settings_for
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.errors import UsageError
from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import ROOT, caption, draw, library, records

KEY = "sk-canary-0123456789abcdef"
PROSE = Reply(body=completion("A dog on a beach."))
GOOD = Reply(body=completion('{"caption": "This image shows a dog.", "tags": ["A", "b", "c"]}'))


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def run(cwd, server, *arguments, **env):
    where = (f"--base-url={server.base_url}", "--photos-dir=photos", "--max-workers=1")
    return caption(
        "run", "--backend=openai", *where, *arguments, cwd=cwd, **{"OPENAI_API_KEY": KEY} | env
    )


def one_record(cwd):
    (record,) = records(cwd / "captions.jsonl")
    return record


def test_a_full_run_writes_every_field_and_only_once(tmp_path, server):
    library(tmp_path / "photos", 3)
    done = run(tmp_path, server, "--fields=full")
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert len(found) == len(server.captions_asked()) == 3
    for record in found:
        assert list(record)[:3] == ["rel_path", "caption", "status"]
        assert set(record) >= set(FIELD_NAMES)
        assert record["caption"] == "Word 1"
        assert len(record["tags"]) == 4
        assert record["tags"] == [tag.lower() for tag in record["tags"]]
        assert record["people_count"] == {"value": 2, "confidence": 0.75}
        assert record["season"] == {"value": "spring", "confidence": 0.75}
        assert set(record["quality"]) == {"score", "note", "confidence"}
        assert record["requests"] == 1
    assert server.captions_asked()[0].json["max_completion_tokens"] > 1500
    assert "Nothing to do" in run(tmp_path, server, "--fields=title,full").stderr
    again = run(tmp_path, server, "--stale=prompt", "--limit=1")
    assert again.returncode == 0, again.stderr
    assert "tags" not in records(tmp_path / "captions.jsonl")[-1]
    assert len({r["prompt_sha256"] for r in records(tmp_path / "captions.jsonl")}) == 2


def test_not_json_twice_and_then_good_costs_three_requests(tmp_path, server):
    draw(tmp_path / "photos" / "1.jpg")
    server.script.extend([PROSE, PROSE, GOOD])
    done = run(tmp_path, server, "--fields=tags")
    assert done.returncode == 0, done.stderr
    record = one_record(tmp_path)
    assert (record["status"], record["caption"]) == ("success", "A dog.")
    assert record["tags"] == ["a", "b", "c"]
    assert len(server.captions_asked()) == record["requests"] == 3
    assert (record["input_tokens"], record["output_tokens"]) == (2700, 36)
    assert (
        server.captions_asked()[1].json["messages"] != server.captions_asked()[0].json["messages"]
    ), "the fault is named"
    assert "\n        1 of them asked about again, 3 requests in all: " in done.stderr
    draw(tmp_path / "photos" / "2.jpg", seed=2)
    done = run(tmp_path, server, "--fields=tags")
    assert "asked about again" not in done.stderr
    single = records(tmp_path / "captions.jsonl")[-1]
    assert single["requests"] == 1
    assert record["cost_usd"] == pytest.approx(3 * single["cost_usd"])


def test_not_json_for_ever_is_an_error_and_never_a_caption(tmp_path, server):
    draw(tmp_path / "photos" / "1.jpg")
    server.script.extend([PROSE] * 10)
    done = run(tmp_path, server, "--fields=tags", "--max-tags=4")
    assert done.returncode == 0, done.stderr
    record = one_record(tmp_path)
    assert (record["status"], record["caption"]) == ("error_model", None)
    assert record["error"] == {"code": "not_json", "message": "the answer is not a JSON object"}
    assert len(server.captions_asked()) == record["requests"] == 3
    assert record["cost_usd"] > 0
    assert "A dog" not in json.dumps(record)
    assert " --retry-status=error_model --retry-only" in done.stderr
    for again in ("--fields=tags", "--max-tags=4", "--backend=openai", "--photos-dir="):
        assert f" {again}" in done.stderr


def test_a_ceiling_counts_what_is_asked_again(tmp_path, server):
    draw(tmp_path / "photos" / "1.jpg")
    draw(tmp_path / "photos" / "2.jpg", seed=2)
    server.script.extend([GOOD, PROSE, PROSE, PROSE])
    for _ in range(2):
        done = run(tmp_path, server, "--fields=tags", "--max-requests=3", "--retry-status=all")
        assert done.returncode == 3, done.stderr
        assert len(server.captions_asked()) == 3
    assert sum(r["requests"] for r in records(tmp_path / "captions.jsonl")) == 3


def test_fields_come_from_the_settings_and_a_limit_of_tokens_is_kept(tmp_path, server):
    draw(tmp_path / "photos" / "1.jpg")
    done = run(tmp_path, server, CAPTION_FIELDS="summary, title", CAPTION_MAX_TOKENS="77")
    assert done.returncode == 0, done.stderr
    assert list(one_record(tmp_path))[1:5] == ["caption", "status", "title", "summary"]
    assert server.captions_asked()[0].json["max_completion_tokens"] == 77


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"backend": "mock", "fields": "caption,tagz"}, "--fields tagz: expected caption, title"),
        ({"backend": "mock", "fields": "tagz"}, "did you mean 'tags'?"),
        ({"fields": "tags"}, "the template backend writes captions only; for tags choose"),
        ({"fields": "tags"}, "openai, anthropic, gemini"),
        ({"backend": "mock", "max_tags": 4}, "--fields caption,tags"),
    ],
)
def test_what_cannot_be_had_is_a_usage_error(tmp_path, monkeypatch, flags, told):
    monkeypatch.chdir(tmp_path)
    given = RunFlags(given=flags)
    with pytest.raises(UsageError, match=re.escape(told)):
        make_backend(given, settings_for(given))


def test_a_setting_that_is_wrong_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPTION_FIELDS", "titel")
    with pytest.raises(UsageError, match=r"--fields titel: .*did you mean 'title'"):
        make_backend(flags := RunFlags(given={"backend": "mock"}), settings_for(flags))


def test_a_dry_run_makes_placeholders_of_the_fields(tmp_path):
    draw(tmp_path / "photos" / "1.jpg")
    done = caption("run", "--photos-dir=photos", "--dry-run", "--fields=full", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = one_record(tmp_path)
    assert record["placeholder"] is True
    assert record["tags"] == ["mock", "placeholder", "48x36"]
    assert record["scene"] == {"value": "unknown", "confidence": 0.0}


def test_the_document_of_the_format_names_every_field():
    text = (ROOT / "docs" / "journal-format.md").read_text("utf-8")
    named = re.findall(r"^\| `(\w+)` \|.*`full` \|", text, re.MULTILINE)
    assert ("caption", *named) == FIELD_NAMES


def test_the_document_of_the_providers_gives_the_token_limit():
    text = (ROOT / "docs" / "api_providers.md").read_text("utf-8")
    assert f"{FieldsAsked(FIELD_NAMES).max_tokens:,} for `full`" in " ".join(text.split())
