"""Whole runs against a model whose answers are no captions: nothing of it is stored as one."""

from __future__ import annotations

import json
import random
import re
import shutil

import pytest
from PIL import Image

from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import caption, library, records

REFUSAL = "I'm sorry, but I can't assist with that request."
BLIND = "Es wurde leider kein Bild angehängt. Bitte laden Sie das Foto hoch."


class Model(OpenAIServer):
    """Says what `says(number)` gives for the number-th caption request."""

    def __init__(self, says, model="first"):
        self.says, self.asked = says, 0
        self.models = (model,)
        super().__init__()

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        self.asked += 1
        said = self.says(self.asked)
        return said if isinstance(said, Reply) else Reply(body=completion(said))


def run(cwd, model, *arguments, timeout=60, **env):
    flags = ("--photos-dir=photos", "--backend=compatible", f"--base-url={model.base_url}")
    flags += ("--model=first", "--max-workers=1")
    return caption("run", *flags, *arguments, cwd=cwd, timeout=timeout, **env)


@pytest.mark.parametrize(("said", "code"), [(REFUSAL, "refused"), (BLIND, "no_image")])
def test_a_refusal_in_words_is_asked_about_again_and_then_of_the_next(tmp_path, said, code):
    library(tmp_path / "photos", 3)
    with (
        Model(lambda number: said if number in (2, 3) else f"Photo {number}.") as first,
        Model(lambda number: f"Seen by the second, {number}.", "second") as second,
    ):
        done = run(tmp_path, first, f"--fallback=compatible:second@{second.base_url}")
        assert done.returncode == 0, done.stderr
        assert (first.asked, second.asked) == (4, 1)
        again = first.captions_asked()[2].json["messages"][-1]["content"][-1]["text"]
    assert "describe" in again.rpartition("\n\n")[2]
    assert [r["caption"] for r in records(tmp_path / "captions.jsonl")] == [
        "Photo 1.",
        "Seen by the second, 1.",
        "Photo 4.",
    ]


def test_alone_it_is_a_verdict_with_what_it_cost(tmp_path):
    library(tmp_path / "photos", 3)
    with Model(lambda number: REFUSAL if number in (2, 3) else f"Photo {number}.") as model:
        done = run(tmp_path, model)
    assert done.returncode == 0, done.stderr
    failed = records(tmp_path / "captions.jsonl")[1]
    assert (failed["status"], failed["caption"]) == ("error_model", None)
    assert (failed["error"]["code"], failed["requests"]) == ("refused", 2)
    assert REFUSAL in failed["error"]["message"]


def test_a_model_that_sees_nothing_ends_the_run_with_a_sentence(tmp_path):
    library(tmp_path / "photos", 25)
    with Model(lambda number: BLIND) as model:
        done = run(tmp_path, model)
    assert done.returncode == 69
    assert "the first 20 photos all failed the same way (no_image)" in done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert {(r["status"], r.get("withdrawn"), r["requests"]) for r in found} == {
        ("error_model", True, 2)
    }
    with Model(lambda number: f"Photo {number}.") as model:
        done = run(tmp_path, model)
    assert (done.returncode, model.asked) == (0, 25), "all of them are asked about again"


def test_what_was_billed_counts_for_the_ceilings_though_no_verdict_is_proved(tmp_path):
    library(tmp_path / "photos", 25)
    with Model(lambda number: BLIND) as model:
        for asked in (40, 50, 50):
            done = run(tmp_path, model, "--max-requests=50")
            assert model.asked == asked
            assert done.returncode == (69 if asked == 40 else 3), done.stderr
    assert "this journal has taken 50" in done.stderr


def test_a_redo_of_which_no_verdict_is_proved_leaves_the_captions(tmp_path):
    library(tmp_path / "photos", 21)
    with Model(lambda number: f"Photo {number}.") as model:
        assert run(tmp_path, model).returncode == 0
    with Model(lambda number: BLIND) as model:
        assert run(tmp_path, model, "--force").returncode == 69
    stats = json.loads(caption("stats", "--json", cwd=tmp_path).stdout)
    assert (stats["by_status"], stats["requests"]) == ({"success": 21}, 21 + 2 * 20)


def different(folder, count):
    """Photos of which no two look alike."""
    for seed in range(count):
        rng = random.Random(seed)
        blocks = Image.new("L", (9, 8))
        blocks.putdata([rng.randrange(256) for _ in range(72)])
        folder.mkdir(exist_ok=True)
        blocks.resize((90, 80), Image.Resampling.NEAREST).save(folder / f"{seed:03d}.png")


@pytest.mark.parametrize("workers", [1, 8])
def test_one_text_for_photos_that_differ_ends_the_run_with_a_sentence(tmp_path, workers):
    different(tmp_path / "photos", 40)
    with Model(lambda number: "A beautiful photo of a lovely moment.") as model:
        done = run(tmp_path, model, f"--max-workers={workers}")
    assert done.returncode == 69
    assert "8 photos in a row that look nothing alike got one and the same text" in done.stderr
    found = records(tmp_path / "captions.jsonl")
    held = {r["rel_path"] for r in found if r["status"] == "success"}
    withdrawn = [r["rel_path"] for r in found if r.get("withdrawn")]
    assert len(held) >= 7
    assert sorted(withdrawn) == sorted(held), "none of the one text stays as a caption"
    told = re.findall(r"asks again: (\d+) captions? with that one text", done.stderr)
    assert sum(map(int, told)) == len(held), "a thread that was late tells its own"
    with Model(lambda number: f"Photo {number}.") as model:
        done = run(tmp_path, model)
    assert done.returncode == 0, done.stderr
    captions = {r["rel_path"]: r["caption"] for r in records(tmp_path / "captions.jsonl")}
    assert len(captions) == 40
    assert all(said.startswith("Photo ") for said in captions.values())


def test_copies_of_a_caption_that_is_withdrawn_are_withdrawn_too(tmp_path):
    different(tmp_path / "photos", 20)
    for number in range(20):
        shutil.copy(tmp_path / f"photos/{number:03d}.png", tmp_path / f"photos/{number:03d}b.png")
    with Model(lambda number: "A beautiful photo of a lovely moment.") as model:
        done = run(tmp_path, model)
    assert done.returncode == 69, done.stderr
    found = records(tmp_path / "captions.jsonl")
    held = {r["rel_path"] for r in found if r["status"] == "success"}
    assert any(path.endswith("b.png") for path in held)
    assert {r["rel_path"] for r in found if r.get("withdrawn")} == held


def test_with_a_fallback_the_blind_one_is_put_aside(tmp_path):
    different(tmp_path / "photos", 20)
    with (
        Model(lambda number: "A beautiful photo of a lovely moment.") as first,
        Model(lambda number: f"Seen by the second, {number}.", "second") as second,
    ):
        done = run(tmp_path, first, f"--fallback=compatible:second@{second.base_url}")
    assert done.returncode == 0, done.stderr
    assert "is put aside: 8 photos in a row" in done.stderr
    found = records(tmp_path / "captions.jsonl")
    assert [r["model"] for r in found if not r.get("withdrawn")] == ["first"] * 7 + ["second"] * 13
    assert len([r for r in found if r.get("withdrawn")]) == 7
    assert "Remaining: 7 photos; run the same command again" in done.stderr


def test_a_success_of_another_program_without_a_caption_is_not_done(tmp_path):
    library(tmp_path / "photos", 3)
    names = [path.relative_to(tmp_path / "photos").as_posix() for path in photos(tmp_path)]
    said = [None, "", "A dog."]
    lines = [
        json.dumps({"rel_path": name, "caption": text, "status": "success"})
        for name, text in zip(names, said, strict=True)
    ]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    checked = caption("journal", "check", cwd=tmp_path)
    assert checked.returncode == 74
    assert "line 1 (byte 0) is not a record: a success without a caption" in checked.stdout
    assert "2 damaged lines" in checked.stderr
    with Model(lambda number: f"Photo {number}.") as model:
        done = run(tmp_path, model)
    assert (done.returncode, model.asked) == (0, 2), done.stderr
    assert {r["rel_path"] for r in records(tmp_path / "captions.jsonl")[3:]} == set(names[:2])


def photos(tmp_path):
    return sorted(path for path in (tmp_path / "photos").rglob("*") if path.is_file())


def stored(tmp_path, model, *arguments):
    """A run, and what became of the photos, sorted: captions, and the codes of errors."""
    done = run(tmp_path, model, *arguments)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "captions.jsonl")
    return sorted(r["caption"] or r["error"]["code"] for r in found)


def test_errors_of_a_server_and_labels_are_stored_as_no_captions(tmp_path):
    page = "<html><body>502 Bad Gateway</body></html>"
    said = [page, '{"error": "Internal", "code": 500}', "Service Unavailable"]
    said += ['{"caption": null}', "The image shows", "Rate limit exceeded."]
    answers = [text for bad in said for text in (bad, bad, bad, "A dog in the snow.")]
    library(tmp_path / "photos", 2 * len(said))
    with Model(lambda number: answers[number - 1]) as model:
        found = stored(tmp_path, model)
    assert found == ["A dog in the snow."] * 6 + ["broken"] * 4 + ["empty"] * 2


def test_one_error_of_a_server_costs_one_more_request_and_no_photo(tmp_path):
    library(tmp_path / "photos", 2)
    said = ["Error: upstream timed out", "A cat.", '{"captions": ["A dog.", "A brown dog."]}']
    with Model(lambda number: said[number - 1]) as model:
        assert stored(tmp_path, model) == ["A cat.", "A dog."]
    assert model.asked == 3


def test_a_photo_from_a_pocket_is_captioned_as_that_with_one_request(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, colour in (("a", (3, 2, 4)), ("b", (12, 9, 9))):
        Image.new("RGB", (64, 48), colour).save(tmp_path / "photos" / f"{name}.png")
    said = ["The image is completely black.", "The photo is entirely black."]
    with Model(lambda number: said[number - 1]) as model:
        assert stored(tmp_path, model) == said
        assert model.asked == 2
    assert all(record["blank"] is True for record in records(tmp_path / "captions.jsonl"))
    checked = caption("journal", "recheck", cwd=tmp_path)
    assert "Every one of 2 captions" in checked.stderr
