"""`run --vocabulary` against servers that misbehave: what is in no record."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.providers import anthropic_server, gemini_server, openai_server
from tests.support import caption, library, records

TERMS = [f"{what} {number}" for number in range(125) for what in ("lake", "Dog", "kayak", "café")]
FILE = "\n".join(("# 500 terms", *TERMS, "hound = Dog 1", "boat = kayak 2", ""))
PHOTOS = 7

PROSE = "Tags: lake 1, sunset. A fine photo."
ANSWERS = (
    {"caption": "A lake.", "tags": ["lake 1", "sunset", "DOG 7", "kayaks 3"]},
    {"caption": "A lake.", "tags": "lake 2, paradise, hound, #Café 4"},
    {"caption": "A lake.", "tags": ["sunset", "paradise", "lake 126", "lake"]},
    {"Photo": {"Caption": "A lake.", "Tags": ["lake 1 > sunset", "boats", "x" * 5_000]}},
    {"caption": "A lake.", "tags": [], "tags_outside": ["sunset"]},
    {"caption": "A lake.", "tags": ["lake 3", 7, None]},
    {"caption": "A lake.", "tags": {"0": "sunset"}},
    {"caption": "A lake.", "tags": ["\u202elake 5", "lake\u00a05", "lake 5; sunset", "\ud800"]},
)

BACKENDS = {
    "openai": ("OPENAI_API_KEY", "Expected at most 500 enum values in total within a schema"),
    "ollama": ("", "failed to parse grammar: too many rules"),
    "compatible": ("COMPATIBLE_API_KEY", "guided_json: grammar is too large"),
    "anthropic": ("ANTHROPIC_API_KEY", "The compiled grammar is too large"),
    "gemini": ("GEMINI_API_KEY", "The specified schema produces a constraint that has too many "
               "states for serving."),
}  # fmt: skip


def texts():
    """Answers as they come in, for ever: good and bad ones, and some that are no JSON."""
    return itertools.cycle([*map(json.dumps, ANSWERS), PROSE])


class Server:
    """One of the three protocols, which says what it is told to say for ever."""

    def __init__(self, backend, refuses_schema):
        self.backend = backend
        said, complaint = texts(), BACKENDS[backend][1]
        if backend == "anthropic":
            self.inner, self.key = anthropic_server.AnthropicServer(), anthropic_server.KEY
            good, bad = anthropic_server.message, anthropic_server.error
            failure = bad(400, "invalid_request_error", complaint)
        elif backend == "gemini":
            self.inner, self.key = gemini_server.GeminiServer(), gemini_server.KEY
            good, failure = gemini_server.response, gemini_server.error(
                400, "INVALID_ARGUMENT", complaint
            )  # fmt: skip
        else:
            self.inner, self.key = openai_server.OpenAIServer(), "sk-canary-0123456789"
            failure = openai_server.failure(400, complaint)

            def good(text):
                return openai_server.Reply(body=openai_server.completion(text))

        answers = (good(next(said)) for _ in itertools.count())
        self.inner.script.extend([failure] * refuses_schema)
        self.inner.script.extend(itertools.islice(answers, 6 * PHOTOS))

    @property
    def url(self):
        return getattr(self.inner, "base_url", None) or self.inner.url

    def bodies(self):
        seen = getattr(self.inner, "seen", None) or self.inner.received
        return [r.body for r in seen if r.method == "POST" and b"photo" in r.body.lower()]


@pytest.mark.parametrize("refuses_schema", [0, 1])
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_tag_outside_of_a_strict_vocabulary_is_in_any_record(tmp_path, backend, refuses_schema):
    library(tmp_path / "photos", PHOTOS)
    (tmp_path / "terms.txt").write_text(FILE, encoding="utf-8")
    server = Server(backend, refuses_schema)
    with server.inner:
        done = caption(
            "run", f"--backend={backend}", f"--base-url={server.url}", "--photos-dir=photos",
            "--fields=tags", "--vocabulary=terms.txt", "--model=gpt-5.6-luna"
            if backend in {"openai", "compatible"} else "--max-tags=4", "--max-workers=1",
            cwd=tmp_path, **({BACKENDS[backend][0]: server.key} if BACKENDS[backend][0] else {}),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert len({record["rel_path"] for record in found}) == PHOTOS
    tags = {tag for record in found for tag in record.get("tags", ())}
    assert tags
    assert tags <= set(TERMS)
    assert {"lake 1", "Dog 1", "Dog 7", "kayak 3", "café 4", "kayak 2"} & tags
    assert all("sunset" not in json.dumps(record) for record in found)
    refused = sum(record.get("tags_outside", 0) for record in found)
    assert f"  {refused} tags outside of the vocabulary left out: " in done.stderr
    if not refuses_schema:
        assert ('"enum"' in str(server.bodies()[0])) is (backend not in {"anthropic", "gemini"})
    assert all(b"lake 124; Dog 124" in body for body in server.bodies())


def test_a_vocabulary_in_the_settings_counts_and_a_flag_needs_tags(tmp_path):
    library(tmp_path / "photos", 1)
    (tmp_path / "terms.txt").write_text("beach\n")
    given = ("run", "--backend=mock", "--photos-dir=photos")
    done = caption(*given, "--vocabulary=terms.txt", cwd=tmp_path)
    assert done.returncode == 64
    assert "--vocabulary goes with tags: add --fields caption,tags" in done.stderr
    done = caption(*given, "--fields=tags", cwd=tmp_path, CAPTION_VOCABULARY="terms.txt")
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "captions.jsonl")
    assert record["tags"] == []
    done = caption(*given, "--fields=tags", "--vocabulary=no.txt", cwd=tmp_path)
    assert done.returncode == 64
    assert "--vocabulary no.txt: No such file" in done.stderr
