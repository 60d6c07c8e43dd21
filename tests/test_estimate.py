"""What `estimate` says before and after the first photos, and the bill that ends a run."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest
from PIL import Image

from picture_captioner.journal.writing import Journal
from tests.journal.support import photo
from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import caption, library, records

KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def camera(tmp_path):
    """Three photos of a 12-megapixel camera, of a kilobyte each."""
    (tmp_path / "photos").mkdir()
    for number in range(3):
        picture = Image.new("1", (4032, 3024))
        picture.putpixel((number, 0), 1)
        picture.save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def estimate(cwd, *arguments, **env):
    """Its figures, with no key and no server anywhere."""
    done = caption("estimate", "--json", "--photos-dir=photos", *arguments, cwd=cwd, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said(cwd, *arguments):
    done = caption("estimate", "--photos-dir=photos", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {line.split("  ")[0]: line for line in done.stdout.splitlines()}


def test_photos_are_named_as_for_run(camera):
    for words, photos in (("photos", 3), ("photos/0.png", 1), ("photos/0.png photos/2.png", 2)):
        done = caption("estimate", "--json", *words.split(), cwd=camera)
        assert json.loads(done.stdout)["photos"] == photos, done.stderr
    done = caption("compare", "--backends=mock", "--json", "photos/1.png", cwd=camera)
    assert [*json.loads(done.stdout)[0]["captions"]] == ["1.png"], done.stderr
    done = caption("estimate", "nowhere", cwd=camera)
    assert (done.returncode, done.stdout) == (64, "")


@pytest.mark.parametrize(
    ("backend", "image", "edge", "price_in", "price_out"),  # US dollars per million
    [
        ("openai", 922, 1024, 0.2, 1.2),
        ("anthropic", 972, 1008, 0.1, 0.5),
        ("gemini", 560, 768, 0.3, 2.5),
    ],
)
def test_a_price_before_the_first_photo_needs_neither_key_nor_server(
    camera, backend, image, edge, price_in, price_out
):
    found = estimate(camera, f"--backend={backend}")
    assert (found["basis"], found["edge"], found["remaining"]) == ("rule", edge, 3)
    sent, written = found["input_tokens_per_photo"], found["output_tokens_per_photo"]
    assert image + 40 < sent < image + 120
    assert (found["input_tokens"], found["output_tokens"]) == (3 * sent, 3 * written)
    assert found["input_cost_usd"] == pytest.approx(3 * sent * price_in / 1e6, abs=1e-6)
    assert found["output_cost_usd"] == pytest.approx(3 * written * price_out / 1e6, abs=1e-6)
    total = found["input_cost_usd"] + found["output_cost_usd"]
    assert found["cost_usd"] == pytest.approx(total, abs=2e-6)
    assert found["batch_cost_usd"] == pytest.approx(total / 2, abs=2e-6)
    assert found["price_source"].startswith("genai-prices")
    assert found["price_date"] >= "2026-10-14"
    assert found["seconds_an_answer_assumed"] == found["seconds_at_workers"] == 4.0
    assert sorted(path.name for path in camera.iterdir()) == ["photos"], "nothing is written"


def test_what_was_moved_since_it_was_captioned_costs_nothing(camera):
    photos = camera / "photos"
    with Journal(camera / "captions.jsonl") as journal:
        for path in sorted(photos.iterdir()):
            status, content = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
            known = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
            journal.append(photo(path.name, "A dog", content_sha256=content, **known))
    (photos / "new").mkdir()
    (photos / "0.png").rename(photos / "new" / "moved.png")
    Image.new("RGB", (64, 48)).save(photos / "fourth.png")
    found = estimate(camera, "--backend=openai")
    assert (found["done"], found["moved"], found["remaining"]) == (2, 1, 1)
    told = said(camera, "--backend=openai")["moved"]
    assert "1 more, moved since captioned: they keep their captions" in told


def test_what_is_sent_smaller_is_cheaper(camera):
    flags = ("--backend=openai", "--model=gpt-5.4-mini", "--max-workers=2")
    whole, small = estimate(camera, *flags), estimate(camera, *flags, "--max-edge=512")
    assert small["edge"] == 512
    assert small["input_tokens_per_photo"] < whole["input_tokens_per_photo"] / 2
    assert whole["seconds_at_workers"] == 8.0
    low = estimate(camera, "--backend=openai", "--model=gpt-4o", "--option=detail=low")
    assert 85 + 40 < low["input_tokens_per_photo"] < 85 + 120


def test_headers_that_cannot_be_read_are_no_reason_to_know_nothing(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    found = estimate(tmp_path, "--backend=openai")
    assert found["headers_unreadable"] == 1
    assert found["headers_read"] == 0
    assert "dimensions" not in said(tmp_path, "--backend=openai")
    assert found["input_tokens_per_photo"] > 1229, "for the largest picture that is sent"


def test_hints_and_facts_are_a_part_of_the_price(camera):
    flags = ("--backend=openai", "--model=gpt-4.1")
    alone = estimate(camera, *flags)
    assert alone["told_tokens_per_photo"] is None
    tags = [f"tag number {i}" for i in range(40)]
    (camera / "hints.jsonl").write_text(json.dumps({"rel_path": "1.png", "tags": tags}) + "\n")
    hinted = estimate(camera, *flags, "--hints=hints.jsonl")
    more = hinted["input_tokens_per_photo"] - alone["input_tokens_per_photo"]
    assert more == hinted["told_tokens_per_photo"] > 40, "a third of what one photo's take"
    assert hinted["cost_usd"] > alone["cost_usd"]
    assert hinted["told_unknown_photos"] == 0

    (camera / "photos").rename(camera / "Lake")
    (camera / "photos").mkdir()
    (camera / "Lake").rename(camera / "photos" / "A week at Lake Constance")
    told = estimate(camera, *flags, "--context=folder,date")
    assert told["told_unknown_photos"] == 3
    assert told["told_tokens_per_photo"] > 30
    line = said(camera, *flags, "--context=folder,date")["told"]
    assert "of 3 photos nothing is known yet" in line
    done = caption(
        "process", "--photos-dir=photos", "--stage=normalize", "--stage=metadata", cwd=camera
    )
    assert done.returncode == 0, done.stderr
    known = estimate(camera, *flags, "--context=folder,date")
    assert known["told_unknown_photos"] == 0
    assert known["told_tokens_per_photo"] == told["told_tokens_per_photo"], "no photo has a date"


@pytest.mark.parametrize("flags", [["--backend=xai"], ["--backend=openai", "--model=gpt-6-luna"]])
def test_a_model_without_a_published_rule_is_unknown_until_it_was_billed(camera, flags):
    lines = said(camera, *flags)
    assert "unknown" in lines["tokens"]
    assert "unknown" in lines["cost"]
    assert f"run --photos-dir=photos {' '.join(flags)} --limit 20" in lines["cost"]
    assert not lines.keys() & {"batch", "price"}


def test_a_price_of_ones_own(camera):
    flags = ("--backend=hyperbolic", "--max-edge=560")
    lines = said(camera, *flags)
    assert "unknown" in lines["cost"]
    assert "--prices-file" in lines["cost"]
    price = {"input_per_million": 1000, "output_per_million": 1000, "as_of": "2026-11-01"}
    (camera / "prices.json").write_text(json.dumps({"Qwen/Qwen2.5-VL-7B-Instruct": price}))
    lines = said(camera, *flags, "--prices-file=prices.json")
    assert "of your price file, as of 2026-11-01" in lines["price"]
    assert "USD in + 0.18 USD out" in lines["cost"]
    assert "batch" not in lines


def test_commands_in_an_estimate_have_the_flags_that_were_given(camera):
    (camera / "photos" / "broken.jpg").write_bytes(b"no photo")
    (camera / "ask.txt").write_text("What is it?")
    given = ["--backend=openai", "--model=gpt-4.1", "--captions-jsonl=mine.jsonl"]
    given += ["--exclude=1.png", "--prompt-file=ask.txt", "--option=detail=low", "--context=date"]
    lines = said(camera, *given)
    batch, unreadable = lines["batch"].split("'")[1], lines["unreadable"].partition("which: ")[2]
    for line, told, more in (("batch", batch, "--batch"), ("unreadable", unreadable, "--dry-run")):
        words = shlex.split(told)
        assert (words[2], words[-1]) == ("run", more), lines[line]
        assert {"--photos-dir=photos", *given} <= {*words}, lines[line]
    looked = lines["told"]
    assert "process --photos-dir=photos --captions-jsonl=mine.jsonl" in looked


def test_a_known_price_is_not_called_unknown(camera):
    """With a server of one's own nothing says how many tokens a photo takes."""
    price = {"input_per_million": 0.2, "output_per_million": 0.8}
    (camera / "prices.json").write_text(json.dumps({"my-model": price}))
    with OpenAIServer() as server:
        server.models = ("my-model",)
        flags = ["--backend=compatible", f"--base-url={server.base_url}", "--model=my-model"]
        flags += ["--prices-file=prices.json"]
        done = caption("run", "--photos-dir=photos", *flags, "--max-cost=1", cwd=camera)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Sending ")]
    assert "price unknown" not in line
    assert "cost unknown, since nothing says how many tokens a photo takes" in line
    words = shlex.split(line.rpartition("('")[2].removesuffix("')"))
    assert words[2] == "estimate"
    assert {"--photos-dir=photos", *flags} == {*words[3:]}
    assert caption(*words[2:], cwd=camera).returncode == 0


def test_a_model_on_a_machine_of_ones_own_costs_nothing(camera):
    lines = said(camera, "--backend=ollama")
    assert "none" in lines["cost"]
    assert "unknown" in lines["time"]


def bill(tokens, finish="stop"):
    """An answer for which so many tokens are billed as input."""
    usage = {"prompt_tokens": tokens, "completion_tokens": 12, "total_tokens": tokens + 12}
    return Reply(body=completion(finish=finish) | {"usage": usage})


def run_openai(cwd, server, *arguments):
    flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
    return caption("run", *flags, "--max-workers=1", *arguments, cwd=cwd, OPENAI_API_KEY=KEY)


def test_after_some_photos_the_estimate_is_what_was_billed(camera):
    with OpenAIServer() as server:
        done = run_openai(camera, server, "--limit=2")
        assert done.returncode == 0, done.stderr
        assert "no metadata; at most about 0.00" in done.stderr
        asked = len(server.seen)
        flags = ("--backend=openai", f"--base-url={server.base_url}")
        found, lines = estimate(camera, *flags), said(camera, *flags)
        assert len(server.seen) == asked, "an estimate asks nobody"
    assert (found["basis"], found["billed_photos"], found["remaining"]) == ("billed", 2, 1)
    assert (found["input_tokens_per_photo"], found["output_tokens_per_photo"]) == (900, 12)
    paid = [record["cost_usd"] for record in records(camera / "captions.jsonl")]
    assert found["cost_usd"] == pytest.approx(sum(paid) / 2, abs=1e-6)
    assert found["seconds_an_answer"] is not None
    assert found["seconds_an_answer_assumed"] is None
    assert found["rule_input_tokens_per_photo"] > 922
    assert "as billed for 2 photos so far" in lines["cost"]
    assert "by rule" in lines
    lines = said(camera, *flags, "--include=[01].png")
    assert "nothing to do" in lines["time"]
    assert "cost" not in lines


def test_a_bill_of_many_times_the_estimate_stops_the_run_and_is_recorded(tmp_path):
    library(tmp_path / "photos", 6)
    with OpenAIServer() as server:
        server.script.extend([bill(100), bill(66_000)])
        done = run_openai(tmp_path, server)
        assert done.returncode == 3, done.stderr
        found = records(tmp_path / "captions.jsonl")
        assert [record["input_tokens"] for record in found][:2] == [100, 66_000]
        assert len(found) <= 3, "and what was under way"
        expensive = found[1]
        assert f"stopped at {expensive['rel_path']}" in done.stderr
        assert f"{expensive['cost_usd']:.6f} USD (66,000 tokens in, 12 out)" in done.stderr
        enough = done.stderr.partition("to go on: ")[2].split(" (")[0].split()
        server.script.extend([bill(66_000)] * 6)
        again = run_openai(tmp_path, server, *enough)
    assert again.returncode == 0, again.stderr
    assert "as billed so far" in again.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 6


def test_a_failure_with_such_a_bill_is_recorded_too(tmp_path):
    library(tmp_path / "photos", 6)
    with OpenAIServer() as server:
        server.script.extend([bill(66_000, finish="length")] * 3)  # asked again twice
        done = run_openai(tmp_path, server)
    assert done.returncode == 3, done.stderr
    (record, *_) = records(tmp_path / "captions.jsonl")
    assert (record["status"], record["error"]["code"]) == ("error_model", "truncated")
    assert record["cost_usd"] > 0.01


def test_a_limit_for_one_photo_needs_a_price(tmp_path):
    library(tmp_path / "photos", 1)
    with OpenAIServer() as server:
        server.models = ("my-model",)
        flags = ("--backend=compatible", f"--base-url={server.base_url}", "--photos-dir=photos")
        done = caption("run", *flags, "--max-photo-cost=1", cwd=tmp_path)
        assert done.returncode == 78
        assert not server.captions_asked()
    assert "--max-photo-cost needs a price" in done.stderr
    assert "--prices-file" in done.stderr


def test_such_a_failure_is_not_handed_on_to_another_backend(tmp_path):
    library(tmp_path / "photos", 2)
    with OpenAIServer() as server, OpenAIServer() as other:
        server.script.extend([bill(66_000, finish="length")] * 3)  # asked again twice
        done = run_openai(tmp_path, server, f"--fallback=ollama:llava@{other.base_url}")
        assert done.returncode == 3, done.stderr
        assert not other.captions_asked()
    assert records(tmp_path / "captions.jsonl")[0]["cost_usd"] > 0.01


def test_a_server_of_one_model_is_known_by_what_it_answered(camera):
    with OpenAIServer() as server:
        server.models = ("qwen2.5vl:3b",)
        flags = ("--backend=compatible", f"--base-url={server.base_url}")
        lines = said(camera, *flags)
        assert "unknown" in lines["tokens"]
        assert f"--base-url={server.base_url}" in lines["tokens"]
        done = caption("run", "--photos-dir=photos", *flags, "--limit=2", cwd=camera)
        assert done.returncode == 0, done.stderr
        found = estimate(camera, *flags)
    assert (found["model"], found["basis"], found["billed_photos"]) == ("qwen2.5vl:3b", "billed", 2)


def test_a_trial_says_how_long_a_server_of_ones_own_takes(camera):
    with OpenAIServer() as server:
        server.models, server.show = ("qwen2.5vl:3b",), {"capabilities": ["vision"]}
        flags = (f"--base-url={server.base_url}", "--backend=ollama", "--max-workers=2")
        assert "unknown" in said(camera, *flags)["time"]
        assert "--trial 4" in said(camera, *flags)["time"]
        assert not server.captions_asked(), "nothing is sent unasked"
        found = estimate(camera, *flags, "--trial=2")
        assert len(server.captions_asked()) == 2
        assert found["trial_photos"] == 1, "the first one loads the model"
        assert found["trial_seconds"] == pytest.approx(
            3 * found["trial_seconds_per_photo"], abs=0.06
        )
        told = said(camera, *flags, "--trial=3")["time"]
        assert "as 2 photos took" in told
        assert "one after the other" in told
        assert sorted(path.name for path in camera.iterdir()) == ["photos"], "nothing is recorded"


def test_a_trial_says_what_a_photo_costs_where_no_rule_does(camera):
    (camera / "prices.json").write_text(
        json.dumps({"gpt-4o-mini": {"input_per_million": 1000, "output_per_million": 0}})
    )
    with OpenAIServer() as server:
        flags = ("--backend=compatible", f"--base-url={server.base_url}", "--model=gpt-4o-mini")
        flags += ("--prices-file=prices.json", "--trial=2")
        found, lines = estimate(camera, *flags), said(camera, *flags)
    assert (found["basis"], found["billed_photos"], found["remaining"]) == ("trial", 2, 3)
    assert found["cost_usd"] == pytest.approx(3 * 0.9)
    assert found["trial_cost_usd"] == pytest.approx(2 * 0.9)
    assert "about 2.70 USD, 0.90 USD a photo, as billed for 2 photos in the trial" in lines["cost"]
    assert "1.80 USD, in no journal" in lines["trial"]


def test_a_trial_without_an_answer_is_no_time(camera):
    with OpenAIServer() as server:
        server.script.extend([Reply(body=completion(""))] * 9)
        flags = (f"--base-url={server.base_url}", "--backend=compatible", "--photos-dir=photos")
        done = caption("estimate", *flags, "--model=llava:latest", "--trial=2", cwd=camera)
    assert done.returncode == 69, done.stderr
    assert "captioned none of the photos tried" in done.stderr
