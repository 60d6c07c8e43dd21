"""Bombs, loops, huge metadata, files of other programs: all bounded in time and memory."""

from __future__ import annotations

import pytest

from picture_captioner.pipeline.decoding.decoder import DEFAULT_LIMITS, Decoder
from tests.support import caption, records, report
from tests.torture.healthy import healthy
from tests.torture.inspection import LOST_WORKER, VERDICTS, inspect
from tests.torture.monsters import MIB, monsters
from tests.torture.mutants import mutant

SLOW = {"zip bomb.png", "bomb of one bit.png", "wide canvas.tif"}
"""These ask for up to 178 million pixels, which is allowed: they take seconds."""


@pytest.mark.timeout(900)
def test_monsters_are_bounded(tmp_path, share, tried, record_property):
    results = {}
    with Decoder() as loader:
        for name, make in monsters(share(2, 100)):
            if name in share(SLOW, set()):
                continue
            path = tmp_path / name
            path.write_bytes(make())
            results[name] = inspect(loader, path, as_jpeg=True)
            path.unlink()
    wrong = [f"{name}: {o.wrong}" for name, o in results.items() if o.wrong]
    wrong += [f"{name}: {o.word}" for name, o in results.items() if o.word in LOST_WORKER]
    wrong += [f"{name}: {o.seconds:.0f} s" for name, o in results.items() if o.seconds > 45]
    cap = DEFAULT_LIMITS.memory_bytes
    wrong += [
        f"{n}: {o.peak_bytes / MIB:.0f} MiB" for n, o in results.items() if o.peak_bytes > cap
    ]
    slowest = max(results, key=lambda name: results[name].seconds)
    largest = max(results, key=lambda name: results[name].peak_bytes)
    for name, outcome in results.items():
        told = f"{outcome.word}, {outcome.seconds:.1f} s, {outcome.peak_bytes / MIB:.0f} MiB"
        record_property(name, told)
    tried(
        f"bombs, loops, huge metadata; the slowest, {slowest}, took "
        f"{results[slowest].seconds:.1f} s, the largest, {largest}, "
        f"{results[largest].peak_bytes / MIB:,.0f} MiB",
        len(results),
        lost=len(wrong),
    )
    assert not wrong


@pytest.mark.timeout(900)
def test_runs_through_broken_photos_record_each_once(tmp_path, share, tried):
    photos = tmp_path / "photos"
    photos.mkdir()
    count = share(25, 2000)
    for number in range(count):
        made = mutant(1_000_000 + number)
        (photos / made.name).write_bytes(made.data)
    for name, make in monsters(1):
        if name not in SLOW:
            (photos / name).write_bytes(make())
    (photos / "good.jpg").write_bytes(healthy()["jpg/baseline"])
    expected = {path.name for path in photos.iterdir()}
    lost = 0
    ways = (("--dry-run",), ("--backend=mock", "--force"))
    for flags in share(ways[:1], ways):
        journal = tmp_path / f"{flags[0]}.jsonl"
        done = caption(
            "run", *flags, "--photos-dir", photos, "--captions-jsonl", journal,
            cwd=tmp_path, timeout=800,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "samples per pixel" not in done.stderr  # what Pillow logs
        found = {r["rel_path"]: r for r in records(journal)}  # of a dry run, too
        lost += len(expected ^ set(found)) + len(records(journal)) - len(found)
        for name, record in found.items():
            code = record.get("error", {}).get("code", "picture")
            lost += code not in VERDICTS | {"picture"}
            lost += (record["status"] == "success") != (code == "picture")
            if name == "good.jpg":
                assert code == "picture"
    tried(
        "broken photos through a dry run and a mock run",
        len(share(ways[:1], ways)) * len(expected),
        lost=lost,
    )
    assert not lost


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_a_report_on_broken_photos_is_written(tmp_path, tried):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(1000):
        made = mutant(2_000_000 + number)
        (photos / made.name).write_bytes(made.data)
    done = caption("run", "--backend=mock", "--photos-dir", photos, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    written = report("--photos-dir", photos, "--embedder", "pixels", cwd=tmp_path, timeout=600)
    assert written.returncode == 0, written.stderr
    assert "Traceback" not in written.stderr
    page = (tmp_path / "report_out" / "cluster_report.html").read_bytes()
    lost = int(b"s3cret" in page)
    tried("broken photos in a report", 1000, lost=lost)
    assert not lost
