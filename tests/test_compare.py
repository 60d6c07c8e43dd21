"""`compare`: the same photos through several backends, as two Markdown tables and nothing else."""

from __future__ import annotations

import pytest

from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import ROOT, caption, library


def tables(output):
    """Each table as rows of cells, without its rule."""
    found = []
    for block in output.strip().split("\n\n"):
        lines = block.splitlines()
        assert set(lines[1]) == {"|", "-"}, lines[1]
        rows = [line[2:-2].split(" | ") for line in (lines[0], *lines[2:])]
        assert len({line.count(" | ") for line in (lines[0], *lines[2:])}) == 1
        found.append(rows)
    return found


def compare(cwd, *flags, **env):
    return caption("compare", "--photos-dir=photos", *flags, cwd=cwd, **env)


def test_backends_stand_side_by_side_and_no_journal_is_written(tmp_path):
    library(tmp_path / "photos", 8)
    done = compare(tmp_path, "--backends=template, mock", "--limit=3")
    assert done.returncode == 0, done.stderr
    captions, figures = tables(done.stdout)
    assert captions[0] == ["photo", "template", "mock"]
    assert [row[0] for row in captions[1:]] == [f"000/0000{i}.jpg" for i in (0, 2, 5)]
    assert all(row[2] == "a mock caption for a 48x36 photo" for row in captions[1:])
    named = {row[0]: row[1:] for row in figures}
    assert named["model"] == ["template-1", "mock-1"]
    assert named["photos captioned"] == ["3 of 3", "3 of 3"]
    assert all(float(seconds) > 0 for seconds in named["seconds a photo, one at a time"])
    assert named["US dollars a photo"] == ["0", "0"]
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_model_of_config_env_is_not_taken_for_every_backend(tmp_path):
    library(tmp_path / "photos", 1)
    (tmp_path / "config.env").write_text("MODEL=of-another-backend\n")
    done = compare(tmp_path, "--backends=template")
    assert dict(row[:2] for row in tables(done.stdout)[1])["model"] == "template-1"


def test_a_backend_that_cannot_be_used_costs_its_own_column(tmp_path):
    library(tmp_path / "photos", 2)
    done = compare(tmp_path, "--backends=ollama:a:b,template", "--base-url=http://localhost:9/v1")
    assert done.returncode == 69
    captions, figures = tables(done.stdout)
    assert captions[0] == ["photo", "ollama: a:b", "template"]
    assert [row[1] for row in captions[1:]] == ["*not asked*"] * 2
    assert captions[1][2].endswith(".")
    assert "ollama: a:b: no connection to localhost:9" in done.stderr
    assert {row[0]: row[1] for row in figures}["US dollars a photo"] == "-"


def test_a_backend_that_captions_none_is_no_success(tmp_path):
    library(tmp_path / "photos", 2)
    backends = "--backends=compatible:llava:latest,template"
    with OpenAIServer() as server:
        for refused, code in ((1, 0), (2, 69)):
            server.script.extend([Reply(body=completion("I cannot help with that."))] * refused)
            done = compare(tmp_path, backends, f"--base-url={server.base_url}")
            assert (done.returncode, len(tables(done.stdout))) == (code, 2), done.stderr
            told = "compatible: llava:latest: no caption of 2 photos" in done.stderr
            assert told == bool(code)
    for path in (tmp_path / "photos").rglob("*.jpg"):
        path.write_bytes(b"no photo")
    assert compare(tmp_path, "--backends=template").returncode == 0, "nobody was asked"


def test_tokens_and_price_of_a_service_are_shown(tmp_path):
    library(tmp_path / "photos", 2)
    prices = '{"llava:latest": {"input_per_million": 1.0, "output_per_million": 10.0}}'
    (tmp_path / "prices.json").write_text(prices)
    with OpenAIServer() as server:
        done = compare(
            tmp_path,
            "--backends=compatible:llava:latest",
            f"--base-url={server.base_url}",
            "--prices-file=prices.json",
        )
    assert done.returncode == 0, done.stderr
    assert "Sending 2 photos to" in done.stderr
    named = {row[0]: row[1] for row in tables(done.stdout)[1]}
    tokens = [float(named[f"{kind} tokens a photo"]) for kind in ("input", "output")]
    assert min(tokens) > 0
    cost = (tokens[0] + 10 * tokens[1]) / 1e6
    assert float(named["US dollars a photo"]) == pytest.approx(cost, rel=0.01)


def test_one_address_is_not_given_to_several_backends_and_their_keys(tmp_path):
    library(tmp_path / "photos", 1)
    keys = {"OPENAI_API_KEY": "sk-canary-0", "COMPATIBLE_API_KEY": "sk-canary-1"}
    with OpenAIServer() as server:
        url = server.base_url
        done = compare(tmp_path, "--backends=openai,compatible", f"--base-url={url}", **keys)
        assert done.returncode == 64
        assert "--backends compatible:MODEL@" in done.stderr
        assert server.seen == []
        done = compare(tmp_path, f"--backends=template,compatible:llava:latest@{url}", **keys)
        assert done.returncode == 0, done.stderr
        assert {request.headers["authorization"] for request in server.seen} == {
            f"Bearer {keys['COMPATIBLE_API_KEY']}"
        }


@pytest.mark.parametrize(
    ("backends", "words"), [("moc", "did you mean 'mock'"), (" , ", "--backends is empty")]
)
def test_names_that_do_not_exist_are_usage_errors(tmp_path, backends, words):
    library(tmp_path / "photos", 1)
    done = compare(tmp_path, f"--backends={backends}")
    assert done.returncode == 64
    assert words in done.stderr
    assert done.stdout == ""


def test_the_samples_in_the_documents_are_what_the_command_prints(tmp_path):
    samples = (ROOT / "docs" / "caption_samples.md").read_text("utf-8")
    command = f"--photos-dir={ROOT / 'examples' / 'photos'}"
    done = caption("compare", command, "--backends=template", "--limit=14", cwd=tmp_path)
    captions, _, figures = done.stdout.partition("\n\n")
    assert captions in samples
    same = [line for line in figures.splitlines() if "seconds" not in line]
    assert all(line in samples for line in same)
