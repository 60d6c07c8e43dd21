"""Facts, thumbnail and vector of every photo: once each, whatever happens in between."""

import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from picture_captioner.errors import ModelError, NoPhotosError
from picture_captioner.library.ledger import Standing, standing
from picture_captioner.library.store import Library
from picture_captioner.metadata.claims import TakenFrom
from picture_captioner.pipeline.recording.outcomes import Outcome, Silent
from tests.images import encoded, faulty_png, gradient
from tests.pipeline.library_update.embedding_program import (
    BATCH,
    IDENTITY,
    CountingEmbedder,
    draw_numbered,
    embed_photos,
    find,
)
from tests.support import spoil

REPOSITORY = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "embedding_program.py"
FAULTS = REPOSITORY / "tests" / "faults" / "decoder"


@pytest.fixture
def photos_dir(tmp_path):
    for number in range(12):
        draw_numbered(tmp_path / "photos" / f"{number % 3}" / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        yield library


@pytest.fixture
def log(tmp_path):
    return tmp_path / "embedded.txt"


@pytest.fixture
def embed(photos_dir, library, log):
    """Run the flow over what the walk finds."""

    def run(embedder="counting", identity=IDENTITY, edge=32, **given):
        if embedder == "counting":
            embedder = CountingEmbedder(log)
        given = {"decoders": 1, "batch_size": 5} | given
        return embed_photos(
            photos_dir, find(photos_dir), library, embedder, identity, edge, Silent(), **given
        )

    return run


def embedded(log):
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def all_facts(library, photos_dir):
    return {
        p.rel_path: library.facts.of_file(p.rel_path, p.size, p.mtime_ns) for p in find(photos_dir)
    }


def test_every_photo_gets_facts_thumbnail_and_vector(embed, library, photos_dir, log):
    draw_numbered(photos_dir / "IMG_20240131_142233.png", 12)
    result = embed()
    assert (result.known, result.stopped, result.abandoned) == (0, False, False)
    assert result.outcomes.counts == {Outcome.EXAMINED: 13}
    assert sorted(embedded(log)) == list(range(13))
    facts = all_facts(library, photos_dir)
    named = facts["IMG_20240131_142233.png"]
    assert (named.width, named.height, named.taken_from) == (24, 16, TakenFrom.NAME)
    keys = [facts[f"{n % 3}/{n}.png"].content_sha256 for n in range(12)]
    known, vectors = library.vectors(IDENTITY, keys)
    assert known.all()
    assert vectors[:, 1].tolist() == list(range(12))
    with Image.open(io.BytesIO(library.thumbnail(keys[0]))) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (24, 16))


def test_the_second_time_no_file_is_opened(embed, photos_dir, log):
    embed()
    spoil(photos_dir)
    result = embed()
    assert (result.known, result.outcomes.settled) == (12, 0)
    assert len(embedded(log)) == 12


def test_moved_photos_and_copies_are_recognised_and_changed_ones_computed(
    embed, library, photos_dir, log
):
    embed()
    (photos_dir / "0").rename(photos_dir / "moved")
    shutil.copy(photos_dir / "1" / "1.png", photos_dir / "copy.png")
    draw_numbered(photos_dir / "1" / "4.png", 500)
    result = embed()
    assert result.outcomes.counts == {Outcome.RECOGNISED: 5, Outcome.EXAMINED: 1}
    assert embedded(log)[12:] == [500]
    assert None not in all_facts(library, photos_dir).values()


def test_copies_within_one_run_are_computed_once(embed, library, photos_dir, log):
    for number in range(20):
        shutil.copy(photos_dir / "1" / "1.png", photos_dir / f"copy-{number}.png")
    result = embed()
    assert result.outcomes.counts == {Outcome.EXAMINED: 12, Outcome.RECOGNISED: 20}
    assert sorted(embedded(log)) == list(range(12))
    assert None not in all_facts(library, photos_dir).values()


def test_facts_and_thumbnails_without_an_embedder(embed, library, photos_dir):
    result = embed(None, None)
    assert result.outcomes.counts == {Outcome.EXAMINED: 12}
    assert library.identities() == {}
    facts = all_facts(library, photos_dir)
    assert all(library.thumbnail(f.content_sha256) for f in facts.values())
    assert embed(None, None).known == 12
    for identity in (IDENTITY, "other:1"):  # now vectors are wanted too, of two embedders
        assert embed(identity=identity).outcomes.counts == {Outcome.EXAMINED: 12}
    assert library.identities() == {IDENTITY: 12, "other:1": 12}
    assert embed(None, None).known == 12


def test_an_embedder_of_thumbnails_opens_no_photo_whose_facts_are_known(
    embed, library, photos_dir, log
):
    embed(None, None)
    spoil(photos_dir)
    damaged = all_facts(library, photos_dir)["1/4.png"].content_sha256
    library.save_thumbnail(damaged, b"RIFF\0\0\0\0WEBP no picture")
    result = embed(edge=None)
    assert result.outcomes.counts == {Outcome.EXAMINED: 11, Outcome.MODEL_ERROR: 1}
    assert [failure.code for failure in result.outcomes.failures] == ["bad_thumbnail"]
    assert len(embedded(log)) == 11
    assert library.identities() == {IDENTITY: 11}


def test_broken_photos_and_their_copies_cost_themselves_only(embed, photos_dir, log):
    broken = encoded(gradient(), "JPEG")[:900]
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (photos_dir / name).write_bytes(broken)
    (photos_dir / "empty.jpg").write_bytes(b"")
    (photos_dir / "gone.png").symlink_to(photos_dir / "1" / "1.png")
    photos = find(photos_dir)
    gone = next(p for p in photos if p.rel_path == "1/1.png" or p.rel_path == "gone.png")
    (photos_dir / gone.rel_path).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.find", lambda _: photos)
        result = embed()
    assert result.outcomes.counts[Outcome.CORRUPT] == 4
    assert result.outcomes.counts[Outcome.UNREADABLE] == 1
    assert result.outcomes.counts[Outcome.EXAMINED] == 11
    assert result.outcomes.reasons == {"truncated": 3, "empty_file": 1, "unreadable": 1}


def test_an_embedder_that_fails_for_one_image_costs_that_one(embed, library, photos_dir):
    def picky(images):
        numbers = [image.getpixel((5, 5))[1] // 5 for image in images]
        if 7 in numbers:
            raise ModelError("no sevens", code="seven")
        return np.array([[1.0, float("nan") if n == 3 else n] for n in numbers], np.float32)

    result = embed(picky)
    assert result.outcomes.counts == {Outcome.EXAMINED: 10, Outcome.MODEL_ERROR: 2}
    assert result.outcomes.reasons == {"seven": 1, "not_finite": 1}
    assert None not in all_facts(library, photos_dir).values()  # facts are kept all the same
    assert embed().outcomes.counts == {Outcome.EXAMINED: 2}


def test_an_embedder_that_breaks_stops_the_flow(embed, library):
    def broken(images):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        embed(broken)
    assert library.identities() == {}


def test_the_embedder_sees_pixels_and_nothing_else(embed, photos_dir):
    seen = []
    exif = Image.Exif()
    exif[0x010E] = "CANARY"
    Image.new("RGB", (900, 600), "navy").save(photos_dir / "canary.jpg", exif=exif)

    def looking(images):
        seen.extend(images)
        return np.ones((len(images), 2), np.float32)

    embed(looking)
    assert len(seen) == 13
    for image in seen:
        assert type(image) is Image.Image
        assert (image.mode, image.info, dict(image.getexif())) == ("RGB", {}, {})
        assert max(image.size) <= 32


def test_photos_that_go_away_stop_the_flow(embed, photos_dir, tmp_path):
    photos = find(photos_dir)
    photos_dir.rename(tmp_path / "elsewhere")
    photos_dir.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.find", lambda _: photos)
        with pytest.raises(NoPhotosError, match="empty now"):
            embed()


def test_an_interrupt_lets_what_is_under_way_finish_and_nothing_is_computed_twice(embed, log):
    stop = threading.Event()

    def slow(images):
        stop.set()
        time.sleep(0.3)
        return CountingEmbedder(log)(images)

    first = embed(slow, interrupted=stop.is_set, batch_size=2)
    assert first.stopped
    assert not first.abandoned
    done = first.outcomes.counts[Outcome.EXAMINED]
    assert 0 < done < 12
    second = embed()
    assert second.known == done
    assert sorted(embedded(log)) == list(range(12))


def test_an_embedder_that_hangs_is_left_behind(embed):
    release, stop = threading.Event(), threading.Event()

    def hangs(images):
        stop.set()
        release.wait(20)
        return np.ones((len(images), 2), np.float32)

    result = embed(hangs, interrupted=stop.is_set, grace_seconds=0.3)
    release.set()
    assert result.stopped
    assert result.abandoned


def program(tmp_path, seconds, output=subprocess.DEVNULL):
    paths = [tmp_path / name for name in ("photos", "library.db", "log")]
    return subprocess.Popen(
        [sys.executable, PROGRAM, *paths, str(seconds)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=output,
        stderr=output,
    )


def embedded_in(library, photo):
    rows = library.ledger.of_file(photo.rel_path, photo.size, photo.mtime_ns)
    return standing(rows, "embed", IDENTITY) is Standing.DONE


def stored(tmp_path):
    """Which photos have a vector, asked of the library itself."""
    with Library.open(tmp_path / "library.db", pytest.fail) as library:
        photos = find(tmp_path / "photos")
        here = [p for p in photos if embedded_in(library, p)]
        return {int(Path(p.rel_path).stem) for p in here}


def killed_and_resumed(tmp_path, photos, kills):
    for number in range(photos):
        draw_numbered(tmp_path / "photos" / f"{number // 100}" / f"{number}.png", number)
    log = tmp_path / "log"
    for kill in range(kills):
        before, logged = stored(tmp_path), len(embedded(log))
        run = program(tmp_path, seconds=0.01)
        wanted = logged + photos // (kills + 2)
        while len(embedded(log)) < wanted and run.poll() is None:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert not before & set(embedded(log)[logged:]), f"kill {kill}"
    before, logged = stored(tmp_path), len(embedded(log))
    assert photos > len(before) > 0
    output, _ = program(tmp_path, 0, subprocess.PIPE).communicate(timeout=240)
    assert output.split() == [str(len(before)).encode(), str(photos - len(before)).encode()]
    assert not before & set(embedded(log)[logged:])
    assert stored(tmp_path) == set(range(photos))
    assert len(embedded(log)) <= photos + kills * BATCH, "only what was in flight is repeated"


def test_a_killed_flow_resumes_without_computing_a_stored_photo_again(tmp_path):
    killed_and_resumed(tmp_path, photos=300, kills=1)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_two_thousand_photos_and_ten_kills(tmp_path):
    killed_and_resumed(tmp_path, photos=2000, kills=10)


CRASHING = """
import sys
from pathlib import Path
from picture_captioner.library.store import Library
from picture_captioner.pipeline.recording.outcomes import Silent
from tests.pipeline.library_update.embedding_program import embed_photos, find

if __name__ == "__main__":
    photos = Path(sys.argv[1])
    with Library.open(Path(sys.argv[2]), print) as library:
        result = embed_photos(photos, find(photos), library, None, None, 32, Silent(), decoders=2)
    print(dict(result.outcomes.reasons), result.outcomes.settled)
"""


def test_a_decoder_that_crashes_costs_its_photo_and_its_copies(tmp_path, photos_dir):
    for name in ("x.png", "y.png"):
        (photos_dir / name).write_bytes(faulty_png("crash"))
    script = tmp_path / "crashing.py"
    script.write_text(CRASHING)
    done = subprocess.run(
        [sys.executable, script, photos_dir, tmp_path / "library.db"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTS), str(REPOSITORY)])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "{'decoder_crash': 2} 14", done.stderr
