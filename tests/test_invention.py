"""A caption that names what nobody told is asked for again, and if need be kept for review."""

from __future__ import annotations

import json

import pytest

from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import caption, draw, records


class Service(OpenAIServer):
    """Answers with these captions, the last one for ever."""

    models = ("m",)

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        super().__init__()

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        self.asked.append(request.body.decode())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Reply(body=completion(answer))


def run(folder, server, *arguments):
    flags = (
        "--backend=openai",
        f"--base-url={server.base_url}",
        "--model=m",
        "--photos-dir=photos",
    )
    done = caption("run", *flags, *arguments, cwd=folder, OPENAI_API_KEY="sk-test-0123456789")
    assert done.returncode == 0, done.stderr
    return records(folder / "captions.jsonl")[-1]


@pytest.fixture
def here(tmp_path):
    draw(tmp_path / "photos" / "Anna in Rome" / "a.jpg", 1)
    return tmp_path


def test_asked_again_and_mended(here):
    with Service("A woman before the Eiffel Tower.", "A woman before a tower.") as server:
        record = run(here, server)
    assert (record["caption"], "suspect" in record) == ("A woman before a tower.", False)
    assert (record["requests"], record["input_tokens"]) == (2, 1800)
    assert "Your last answer named Eiffel Tower" in server.asked[1]


def test_kept_with_its_names_and_shown_for_review(here):
    with Service("A woman before the Eiffel Tower.") as server:
        record = run(here, server)
        assert len(server.asked) == 2
    assert record["suspect"] == ["Eiffel Tower"]
    stats = caption("stats", "--json", cwd=here)
    assert json.loads(stats.stdout)["suspect"] == 1
    assert "search status:suspect" in caption("stats", cwd=here).stderr
    assert "a.jpg" in caption("search", "status:suspect", cwd=here).stdout
    assert caption("accept", "Anna in Rome/a.jpg", cwd=here).returncode == 0
    assert caption("search", "status:suspect", cwd=here).stdout == ""


def test_what_was_told_is_not_made_up(here):
    with Service("Anna stands in Rome.") as server:
        record = run(here, server, "--context=folder")
        assert len(server.asked) == 1
    assert "suspect" not in record


def test_who_asks_for_names_is_not_asked_again_but_sees_them(here):
    with Service("A woman before the Eiffel Tower.") as server:
        record = run(here, server, "--prompt=Name the landmark.")
        assert len(server.asked) == 1
    assert record["suspect"] == ["Eiffel Tower"]


def test_why_a_caption_was_rejected_is_told_once_and_is_no_part_of_the_question(here):
    with Service("A red square.") as server:
        first = run(here, server)
        done = caption("reject", first["rel_path"], "--reason", "It is Ben, not Anna", cwd=here)
        assert done.returncode == 0, done.stderr
        server.answers = ["Anna sits in a red square.", "A red square, seen again."]
        again = run(here, server)
        assert len(server.asked) == 3, "a name in the reason is not one that was given"
        assert "The reason given: It is Ben, not Anna" in server.asked[1]
        assert again["prompt_sha256"] == first["prompt_sha256"]
        run(here, server, "--stale=prompt")
        assert len(server.asked) == 3
