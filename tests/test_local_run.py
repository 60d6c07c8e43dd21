"""A model through the whole program: flags, decoders, batches, journal, stops."""

from __future__ import annotations

import pytest

from tests.needs import need

torch = need("torch")

import picture_captioner.cli.caption_app as program
from picture_captioner.backends import local_engine
from tests.faulty_local import RED, draw_culprit, install_faulty
from tests.local_models import NEW_TOKENS, make_model, out_of_memory_above
from tests.support import caption, draw, library, records


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return make_model("qwen2_5_vl", tmp_path_factory.mktemp("models") / "tiny-vl")


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """Run the program in this process, where a fault can be put into the model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("picture_captioner.cli.logs.configure_logging", lambda *_: None)
    monkeypatch.setattr("picture_captioner.cli.commands.pending.configure_logging", lambda *_: None)

    def execute(*flags, photos=10):
        library(tmp_path / "photos", photos)
        return program.execute(
            [
                *("run", "--backend=local", f"--model={model}", "--device=cpu", "--in-process"),
                *("--photos-dir=photos", f"--max-new-tokens={NEW_TOKENS}", "--max-pixels=20000"),
                *flags,
            ]
        )

    return execute


@pytest.fixture
def fault(monkeypatch):
    """Let the model meet a hook, given the photos and the tokens of each prompt."""

    def install(hook):
        load = local_engine.load_model

        def load_with_fault(plan):
            model = load(plan)

            def before(_module, _args, kwargs):
                if kwargs["input_ids"].shape[1] > 1:
                    hook(*kwargs["input_ids"].shape)

            model.register_forward_pre_hook(before, with_kwargs=True)
            return model

        monkeypatch.setattr(local_engine, "load_model", load_with_fault)

    return install


def test_the_program_captions_with_a_model_in_a_folder(model, tmp_path):
    library(tmp_path / "photos", 6)
    flags = ("--device=cpu", "--quantization=int4", "--batch-size=4", "--option=max_pixels=20000")
    done = caption(
        *("run", "--backend=local", f"--model={model}", "--photos-dir=photos", *flags),
        *("--max-new-tokens", NEW_TOKENS, "--max-workers=3", "--local-only"),
        cwd=tmp_path,
        timeout=200,
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    written = records(tmp_path / "captions.jsonl")
    assert len(written) == 6
    for record in written:
        assert record["status"] == "success"
        assert (record["backend"], record["model"]) == ("local", "tiny-vl")
        assert record["caption"]
        assert record["input_tokens"] > record["output_tokens"] > 0
        assert "placeholder" not in record
        assert "cost_usd" not in record
    assert "Loading tiny-vl (Qwen2.5-VL) on cpu in int4" in done.stderr
    assert "--max-workers does nothing, --batch-size does" in done.stderr
    assert "Sending" not in done.stderr
    assert str(model) not in (tmp_path / "captions.jsonl").read_text("ascii")
    noise = [line for line in done.stderr.splitlines() if "it/s" in line or "Warning" in line]
    assert noise == []


def test_a_run_puts_photos_of_one_length_into_one_batch(run, monkeypatch, tmp_path):
    monkeypatch.setattr("picture_captioner.pipeline.asking.captioning.BATCH_LINGER_SECONDS", 60.0)
    shapes = [(120, 90), (90, 120), (100, 100), (300, 60)]
    for number in range(24):
        draw(tmp_path / "photos" / f"{number:02d}.png", number, size=shapes[number % 4])
    batches, prepare = [], local_engine.Engine.prepare

    def watched(engine, images, questions):
        prepared = prepare(engine, images, questions)
        batches.append(prepared.tokens)
        return prepared

    monkeypatch.setattr(local_engine.Engine, "prepare", watched)
    assert run("--batch-size=4", photos=0) == 0
    assert sorted(map(len, batches)) == [2, 2, 4, 4, 4, 4, 4], "upright and level go together"
    assert sum(max(batch) * len(batch) - sum(batch) for batch in batches) == 0
    answers = {r["rel_path"]: r["caption"] for r in records(tmp_path / "captions.jsonl")}
    assert len(set(answers.values())) > 12
    assert run("--batch-size=1", "--force", photos=0) == 0
    alone = {r["rel_path"]: r["caption"] for r in records(tmp_path / "captions.jsonl")[24:]}
    assert alone == answers


def test_a_model_goes_by_its_short_name_everywhere(tmp_path):
    make_model("qwen3_vl", tmp_path / "models" / "Qwen" / "Qwen3-VL-2B-Instruct")
    library(tmp_path / "photos", 2)
    lines = ["BACKEND=local", "MODEL=Qwen3-VL-2B", "MODELS_DIR=models", "PHOTOS_DIR=photos"]
    (tmp_path / "config.env").write_text("\n".join(lines) + "\n")
    flags = ("--device=cpu", "--max-pixels=20000", f"--max-new-tokens={NEW_TOKENS}")
    done = caption("run", *flags, cwd=tmp_path, timeout=200, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert "Loading Qwen/Qwen3-VL-2B-Instruct (Qwen3-VL) on cpu" in done.stderr
    named = {record["model"] for record in records(tmp_path / "captions.jsonl")}
    assert named == {"Qwen/Qwen3-VL-2B-Instruct"}
    again = caption(
        "run", *flags, "--model=Qwen/Qwen3-VL-2B-Instruct", "--stale=model", cwd=tmp_path
    )
    assert again.returncode == 0
    assert len(records(tmp_path / "captions.jsonl")) == 2, "both names are one model"
    compared = caption(
        "compare", "--backends=local:qwen3-vl-2b,template", cwd=tmp_path, timeout=200
    )
    assert compared.returncode == 0, compared.stderr
    assert "| model | Qwen/Qwen3-VL-2B-Instruct | template-1 |" in compared.stdout


def test_a_short_name_that_is_none_is_told_with_the_nearest(tmp_path):
    library(tmp_path / "photos", 1)
    done = caption(
        "run", "--backend=local", "--model=qwen3-vl-3b", "--photos-dir=photos", cwd=tmp_path
    )
    assert done.returncode == 64
    assert "there is no model 'qwen3-vl-3b'; did you mean 'qwen3-vl-4b'?" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_whatever_the_model_dies_of_costs_the_culprit_alone(model, tmp_path):
    library(tmp_path / "photos", 55)
    for number, way in enumerate(RED):
        draw_culprit(tmp_path / "photos" / "000" / f"{5 + 10 * number:05d}x.png", way)
    once = tmp_path / "once"
    done = caption(
        *("run", "--backend=faulty", f"--model={model}", "--photos-dir=photos", "--timeout=6"),
        *("--device=cpu", "--batch-size=4", "--option=max_pixels=20000", f"--option=once={once}"),
        *("--max-new-tokens", NEW_TOKENS),
        cwd=tmp_path,
        timeout=1500,
        OMP_NUM_THREADS="1",
        PYTHONPATH=install_faulty(tmp_path / "plugin"),
    )
    assert done.returncode == 0, done.stderr
    written = records(tmp_path / "captions.jsonl")
    assert len(written) == len({record["rel_path"] for record in written}) == 60
    failed = {r["rel_path"]: r["error"]["code"] for r in written if r["status"] != "success"}
    assert sorted(failed.values()) == ["hung", *["process_died"] * 4]
    assert all(name.endswith("x.png") for name in failed)
    inside = (tmp_path / "once.inside").read_text().split()
    assert "2" in inside, "two batches were under way"
    assert once.exists(), "it died while it loaded, once"


def test_running_out_of_memory_costs_no_photo(run, fault, tmp_path, capsys):
    fault(out_of_memory_above(2))
    assert run("--batch-size=8") == 0
    assert [r["status"] for r in records(tmp_path / "captions.jsonl")] == ["success"] * 10
    said = capsys.readouterr().err
    assert "do not fit into the memory of the device; going on with 4" in said
    assert "busy " in said
    assert "batch 2" in said


def test_a_lost_device_stops_with_69_and_records_nothing_for_the_innocent(
    run, fault, tmp_path, capsys
):
    seen = []

    def lose_after_two_batches(photos, _):
        seen.append(photos)
        if len(seen) > 2:
            raise RuntimeError("CUDA error: unspecified launch failure")

    fault(lose_after_two_batches)
    assert run("--batch-size=2") == 69
    written = records(tmp_path / "captions.jsonl")
    assert len(written) == sum(seen[:2])
    assert {record["status"] for record in written} == {"success"}
    said = capsys.readouterr().err
    assert "the device failed" in said
    assert "run the same command again" in said


def test_flags_of_a_model_in_this_process_belong_to_its_backend(tmp_path):
    library(tmp_path / "photos", 1)
    for flag in ("--batch-size=2", "--max-pixels=50000", "--quantization=int4", "--revision=main"):
        done = caption("run", "--backend=mock", "--photos-dir=photos", flag, cwd=tmp_path)
        assert done.returncode == 64
        name = flag.partition("=")[0]
        assert f"{name}: the mock backend has no such option" in done.stderr
    assert not (tmp_path / "captions.jsonl").exists()


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--quantization=int2", "'auto', 'int4', 'int8' or 'none'"),
        ("--batch-size=0", "--batch-size: expected 'auto' or a number from 1 to 1024"),
        ("--batch-size=many", "--batch-size: expected 'auto' or a number from 1 to 1024"),
        ("--max-pixels=10", "greater than or equal to 16384"),
        ("--device=tpu", "'auto', 'cuda', 'mps' or 'cpu'"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_usage_error(run, flag, words, capsys, tmp_path):
    assert run(flag, photos=1) == 64
    assert words in capsys.readouterr().err
    assert not (tmp_path / "captions.jsonl").exists()


def memory_while_captioning(model, photos):
    """Resident memory in MB after each 50th of so many batches of two."""
    import psutil
    from PIL import Image

    from picture_captioner.backends.base import BackendSettings
    from picture_captioner.backends.local_hf import LocalBackend, LocalOptions

    options = LocalOptions(device="cpu", batch_size=2, max_pixels=20_000, max_new_tokens=4)
    backend = LocalBackend(BackendSettings(model=str(model), options=options))
    process, seen = psutil.Process(), []
    for number in range(photos // 2):
        pair = [
            Image.new("RGB", (80 + (7 * number + 31 * i) % 200, 100), (number % 256, 80, 90))
            for i in range(2)
        ]
        backend.caption_batch(pair, [(), ()])
        if number % 50 == 49:
            seen.append(process.memory_info().rss / 1e6)
    return seen


def test_memory_is_flat_over_two_hundred_photos(model):
    seen = memory_while_captioning(model, 200)
    assert seen[-1] - seen[0] < 60, seen


@pytest.mark.torture
def test_memory_is_flat_from_the_500th_photo_to_the_5000th(model):
    seen = memory_while_captioning(model, 5000)
    after_500 = seen[4:]
    assert max(after_500) - after_500[0] < 60, seen
