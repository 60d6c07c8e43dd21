"""A model in this process: tiny, but with the real classes, files, processor and generation."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.needs import need

torch = need("torch")

from PIL import Image

from picture_captioner.backends.base import BackendSettings, Caption, Fault
from picture_captioner.backends.local_families import FAMILIES as TABLE
from picture_captioner.backends.local_families import MIN_VISUAL_TOKENS, same_length
from picture_captioner.backends.local_hf import LocalBackend, LocalOptions
from picture_captioner.errors import (
    BackendUnavailableError,
    ModelError,
    TransientError,
    UsageError,
)
from tests.local_models import (
    FAMILIES,
    NEW_TOKENS,
    make_model,
    out_of_memory_above,
)
from tests.support import draw

SIZES = [(100, 60), (300, 200), (64, 200), (240, 180), (64, 64)]
BLIND = {"gemma3"}
"""Drawn at random, its weights drown the picture: every photo gets the same words."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    paths = [draw(folder / f"{i}.png", seed=37 * i, size=size) for i, size in enumerate(SIZES)]
    return [Image.open(path).convert("RGB") for path in paths]


@pytest.fixture
def make_backend(local_model):
    def make(family="qwen2_5_vl", model=None, **options):
        told: list[str] = []
        options = {"device": "cpu", "batch_size": 8, "max_pixels": 50_000} | options
        settings = BackendSettings(
            model=str(model or local_model(family)),
            max_tokens=NEW_TOKENS,
            options=LocalOptions(**options),
            notice=told.append,
        )
        backend = LocalBackend(settings)
        backend.check()
        backend.told = told
        return backend

    return make


def draw_picture(size, seed):
    noise = torch.Generator().manual_seed(seed)
    coarse = torch.randint(256, (6, 6, 3), generator=noise, dtype=torch.uint8).numpy()
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def linear_layers(backend):
    """Kinds of linear layers by the part of the model that they are in."""
    kinds: dict[str, set[str]] = {}
    for name, module in backend._engine.model.named_modules():
        if type(module).__name__ in {"Linear", "Linear4bit", "Linear8bitLt"}:
            part = ".".join(name.split(".")[:2])
            kinds.setdefault(part, set()).add(type(module).__name__)
    return kinds


def no_hints(images):
    return [()] * len(images)


@pytest.mark.parametrize("quantization", ["none", "int4"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_captions_a_batch_as_it_captions_each_photo(
    make_backend, pictures, family, quantization
):
    backend = make_backend(family, quantization=quantization)
    together = backend.caption_batch(pictures, no_hints(pictures))
    alone = [backend.caption_batch([picture], [()])[0] for picture in pictures]
    assert all(isinstance(answer, Caption) for answer in together), together
    if quantization == "none":  # 4-bit layers round, and padding moves what they round
        assert together == alone
    if family not in BLIND:
        assert len({answer.text for answer in together}) > 1, "the pictures are seen"
    assert all(0 < answer.output_tokens <= NEW_TOKENS for answer in together)
    assert all(answer.input_tokens > 16 for answer in together)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "smolvlm", "qwen3_5"])
def test_captions_stay_with_their_photo_in_any_order(make_backend, pictures, family):
    backend = make_backend(family)
    hints = [("short",), (), ("a", "much longer hint", "than the others"), (), ("x",)]
    alone = [backend.caption_batch([p], [h])[0].text for p, h in zip(pictures, hints, strict=True)]
    assert len(set(alone)) >= 3, "equal captions would prove nothing"
    for order in itertools.islice(itertools.permutations(range(len(pictures))), 0, 120, 17):
        answers = backend.caption_batch([pictures[i] for i in order], [hints[i] for i in order])
        assert [answer.text for answer in answers] == [alone[i] for i in order]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("quantization", "kind"), [("int4", "Linear4bit"), ("int8", "Linear8bitLt")]
)
def test_only_the_language_model_is_quantised(make_backend, family, quantization, kind):
    layers = linear_layers(make_backend(family, quantization=quantization))
    language = {part for part in layers if part.endswith((".language_model", ".text_model"))}
    assert len(language) == 1
    for part, kinds in layers.items():
        assert kinds == ({kind} if part in language else {"Linear"}), part


def test_quantised_layers_are_nf4_with_double_quantisation(make_backend):
    model = make_backend(quantization="int4")._engine.model
    weight = model.model.language_model.layers[0].mlp.up_proj.weight
    assert weight.quant_type == "nf4"
    assert weight.quant_state.nested
    assert model.model.visual.blocks[0].attn.qkv.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "smolvlm", "internvl"])
def test_max_pixels_limits_what_a_photo_costs(make_backend, family):
    large = Image.new("RGB", (2000, 1500), (90, 120, 200))
    cost = [
        make_backend(family, max_pixels=area).caption(large, ()).input_tokens
        for area in (17_000, 50_000, 802_816)
    ]
    assert cost == sorted(cost)
    assert cost[0] < cost[2]


def test_tiny_photos_are_scaled_up_and_the_same_in_a_batch(make_backend):
    backend = make_backend()
    tiny = [Image.new("RGB", size, (9, 99, 199)) for size in [(1, 1), (2, 30), (300, 2)]]
    answers = backend.caption_batch(tiny, no_hints(tiny))
    assert answers == [backend.caption(picture, ()) for picture in tiny]


def test_greedy_answers_repeat_and_a_temperature_varies_them(make_backend, pictures):
    greedy = make_backend()
    assert greedy.caption(pictures[0], ()) == greedy.caption(pictures[0], ())
    warm = make_backend(temperature=2.0)
    assert len({warm.caption(pictures[0], ()).text for _ in range(8)}) > 1


def test_an_answer_without_an_end_is_no_caption(make_backend, pictures, tmp_path):
    endless = make_model("qwen2_5_vl", tmp_path / "endless", forced_eos_token_id=None)
    backend = make_backend(model=endless, max_new_tokens=3)
    answers = backend.caption_batch(pictures, no_hints(pictures))
    cut = [answer for answer in answers if isinstance(answer, ModelError)]
    assert cut, answers
    assert {(error.code, error.usage["output_tokens"]) for error in cut} == {("truncated", 3)}
    assert "--max-new-tokens" in str(cut[0])


def test_records_name_a_folder_by_its_last_part_only(make_backend, local_model):
    backend = make_backend()
    assert backend.settings.model == local_model().name
    assert backend.destination is None


def test_before_loading_it_says_what_where_and_how_much(make_backend):
    told = make_backend(quantization="int4").told
    assert len(told) == 1
    for words in ("qwen2_5_vl (Qwen2.5-VL)", "on cpu", "int4", "GB", "weights", "visual tokens"):
        assert words in told[0]


def test_a_task_model_says_that_it_takes_no_question(make_backend):
    told = make_backend("florence2").told
    assert "knows tasks, not questions: asking <MORE_DETAILED_CAPTION>" in told[0]


# --- batches of one length -----------------------------------------------------------------------

SIDES = [1, 20, 55, 56, 100, 223, 224, 225, 333, 640, 672, 896]


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_that_are_said_to_be_of_one_length_are(make_backend, family):
    backend = make_backend(family)
    found: dict[object, set[int]] = {}
    for size in [(w, h) for w in SIDES for h in SIDES if max(w, h) < 100 * min(w, h)][::3]:
        (tokens,) = backend._engine.prepare([Image.new("RGB", size)], ["What is it?"]).tokens
        found.setdefault(backend.batch_kind(size), set()).add(tokens)
    assert all(len(lengths) == 1 for lengths in found.values()), found
    assert not family.startswith("qwen") or len(found) == len(set().union(*found.values()))


@given(
    size=st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    unit=st.sampled_from([28, 32]),
    most=st.integers(16 * 32 * 32, 3_000_000),
)
def test_the_length_is_what_the_processor_makes_of_a_size(size, unit, most):
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    assume(max(size) <= 200 * min(size))
    family = next(f for f in TABLE.values() if f.unit == unit)
    width, height = size
    high, wide = smart_resize(height, width, unit, MIN_VISUAL_TOKENS * unit**2, most)
    assert same_length(family, size, most) == high * wide // unit**2
    assert same_length(family, size[::-1], most) == same_length(family, size, most)


def test_the_parent_knows_the_length_without_loading_the_model(local_model):
    settings = BackendSettings(model=str(local_model()), options=LocalOptions(device="cpu"))
    backend = LocalBackend(settings)
    assert backend.batch_kind((640, 480)) is None
    backend.find_files()
    assert backend.batch_kind((640, 480)) == backend.batch_kind((480, 640)) == 23 * 17
    assert backend._engine is None


def masks(backend):
    """Whether each call of attention in the language model has a mask, as they come."""
    seen = []

    def before(_module, _args, kwargs):
        seen.append(kwargs["attention_mask"] is not None)

    layer = backend._engine.model.model.language_model.layers[0].self_attn
    layer.register_forward_pre_hook(before, with_kwargs=True)
    return seen


def test_photos_of_one_length_need_no_mask_and_are_told_the_same(make_backend):
    backend = make_backend(max_pixels=20_000)
    shapes = [(300, 200), (200, 300), (240, 240), (400, 100)]
    mixed = [draw_picture(shape, seed) for seed in range(3) for shape in shapes]
    alone = [backend.caption(picture, ()) for picture in mixed]
    seen = masks(backend)
    assert backend.caption_batch(mixed, no_hints(mixed)) == alone
    assert all(seen)
    seen.clear()
    kinds = [backend.batch_kind(picture.size) for picture in mixed]
    assert len(set(kinds)) == 3, "upright or not, it is as long"
    for kind in set(kinds):
        chosen = [i for i, k in enumerate(kinds) if k == kind]
        answers = backend.caption_batch([mixed[i] for i in chosen], [()] * len(chosen))
        assert answers == [alone[i] for i in chosen]
    assert seen
    assert not any(seen)


# --- memory and device ---------------------------------------------------------------------------


def on_forward(backend, hook):
    """Call `hook` with the shape of each prompt that the model is given: photos, tokens."""

    def before(_module, _args, kwargs):
        ids = kwargs.get("input_ids")
        if ids.shape[1] > 1:  # the prompt, not the tokens that follow one by one
            hook(*ids.shape)

    return backend._engine.model.register_forward_pre_hook(before, with_kwargs=True)


def test_out_of_memory_halves_the_batch_goes_on_and_remembers(make_backend, pictures):
    backend = make_backend(batch_size=8)
    many = [pictures[i % len(pictures)] for i in range(8)]
    expected = backend.caption_batch(many, no_hints(many))
    shapes = []
    on_forward(backend, lambda photos, _: shapes.append(photos))
    on_forward(backend, out_of_memory_above(2))
    assert backend.caption_batch(many, no_hints(many)) == expected
    assert shapes == [8, 4, 2, 2, 4, 2, 2]
    assert backend.batch_now == 2
    assert [line for line in backend.told if "do not fit" in line] == [
        "8 photos at a time do not fit into the memory of the device; going on with 4",
        "4 photos at a time do not fit into the memory of the device; going on with 2",
    ]


@pytest.mark.parametrize(
    "words",
    [
        'NVML_SUCCESS == r INTERNAL ASSERT FAILED at "CUDACachingAllocator.cpp":1016',
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "CUDA error: device not ready",
    ],
)
def test_what_may_be_want_of_memory_is_tried_with_less_before_the_device_is_lost(
    make_backend, pictures, words
):
    backend = make_backend()
    expected = backend.caption_batch(pictures, no_hints(pictures))
    room = [2]

    def cramped(photos, _):
        if photos > room[0]:
            raise RuntimeError(words)

    on_forward(backend, cramped)
    assert backend.caption_batch(pictures, no_hints(pictures)) == expected
    assert backend.batch_now <= 2
    room[0] = 0
    with pytest.raises(BackendUnavailableError, match="the device failed"):
        backend.caption(pictures[0], ())


def test_auto_grows_until_memory_runs_out_and_settles_below(make_backend, pictures, monkeypatch):
    monkeypatch.setitem(LocalBackend.check.__globals__["MAX_AUTO_BATCH"], "cpu", 16)
    backend = make_backend(batch_size="auto")
    on_forward(backend, out_of_memory_above(6))
    sizes = []
    for _ in range(10):
        sizes.append(backend.batch_now)
        many = [pictures[i % len(pictures)] for i in range(backend.batch_now)]
        answers = backend.caption_batch(many, no_hints(many))
        assert all(isinstance(answer, Caption) for answer in answers)
    assert sizes[:4] == [1, 2, 4, 8]
    assert sizes[-1] in {5, 6}


def test_a_photo_that_does_not_fit_alone_is_its_own_error(make_backend, pictures):
    backend = make_backend()
    wide = Image.new("RGB", (600, 80), (200, 30, 30))
    few = pictures[0]
    tokens = []
    hook = on_forward(backend, lambda _, length: tokens.append(length))
    backend.caption(few, ())
    hook.remove()

    def refuse_large(_photos, length):
        if length > tokens[0]:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    on_forward(backend, refuse_large)
    answers = backend.caption_batch([few, wide, few], [()] * 3)
    assert isinstance(answers[0], Caption)
    assert answers[0] == answers[2]
    assert isinstance(answers[1], ModelError)
    assert answers[1].code == "out_of_memory"
    assert "--max-pixels" in str(answers[1])


def test_memory_that_others_took_is_not_the_photos_fault(make_backend, pictures):
    backend = make_backend()
    backend.caption(pictures[0], ())
    on_forward(backend, out_of_memory_above(0))
    with pytest.raises(TransientError) as error:
        backend.caption(pictures[0], ())
    assert error.value.code == "out_of_memory"


@pytest.mark.parametrize(("wider", "verdict"), [(1, "the others'"), (60, "its own")])
def test_a_photo_hardly_larger_than_one_that_fitted_is_not_too_large(make_backend, wider, verdict):
    backend = make_backend()
    backend.caption(Image.new("RGB", (200, 150), (9, 90, 200)), ())
    on_forward(backend, out_of_memory_above(0))
    with pytest.raises(TransientError if verdict == "the others'" else ModelError):
        backend.caption(Image.new("RGB", (200 + wider, 150)), ())


LOST_DEVICES = [
    RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA"),
    RuntimeError("CUDA error: device-side assert triggered"),
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700),
]


@pytest.mark.parametrize("error", LOST_DEVICES, ids=lambda e: str(e).splitlines()[0])
def test_a_lost_device_ends_the_run_and_is_not_asked_again(make_backend, pictures, error):
    backend = make_backend()
    asked = []

    def lose(photos, _):
        asked.append(photos)
        raise error

    on_forward(backend, lose)
    with pytest.raises(BackendUnavailableError, match="the device failed") as told:
        backend.caption_batch(pictures, no_hints(pictures))
    assert str(error).splitlines()[0] in str(told.value)
    assert "Compile with" not in str(told.value)
    with pytest.raises(BackendUnavailableError):
        backend.caption(pictures[0], ())
    assert asked == [len(pictures)]


def test_any_other_error_of_the_model_is_not_taken_for_one_of_the_device(make_backend, pictures):
    backend = make_backend()

    def break_down(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    on_forward(backend, break_down)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        backend.caption(pictures[0], ())


def test_one_batch_is_prepared_while_another_is_on_the_device(make_backend, pictures):
    backend = make_backend(batch_size=2)
    on_the_device, prepared = threading.Event(), threading.Event()
    engine = backend._engine
    prepare = engine.prepare

    def watched(images, questions):
        found = prepare(images, questions)
        if on_the_device.is_set():
            prepared.set()
        return found

    engine.prepare = watched

    def wait_for_the_other(*_):
        if not on_the_device.is_set():
            on_the_device.set()
            assert prepared.wait(20), "the second batch was not prepared meanwhile"

    on_forward(backend, wait_for_the_other)
    answers = {}

    def caption(name, photos):
        answers[name] = backend.caption_batch(photos, no_hints(photos))

    first = threading.Thread(target=caption, args=("first", pictures[:2]))
    first.start()
    assert on_the_device.wait(20)
    caption("second", pictures[2:4])
    first.join(20)
    alone = [backend.caption(picture, ()) for picture in pictures[:4]]
    assert answers["first"] + answers["second"] == alone


def test_threads_that_prepare_and_decode_do_not_disturb_each_other(make_backend, pictures):
    backend = make_backend(batch_size=2)
    alone = [backend.caption(picture, ()) for picture in pictures]
    seen = []

    def work(start):
        for step in range(6):
            pair = [(start + step + i) % len(pictures) for i in range(2)]
            answers = backend.caption_batch([pictures[i] for i in pair], [(), ()])
            seen.append(answers == [alone[i] for i in pair])

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [True] * 12


def test_the_status_tells_how_busy_the_device_is_and_the_batch(make_backend, pictures):
    backend = make_backend(batch_size=4)
    assert backend.status() == ""
    backend.caption_batch(pictures[:4], [()] * 4)
    assert backend.status().startswith("busy ")
    assert backend.status().endswith("%, batch 4")
    seconds = backend.seconds()
    assert seconds["generate"] > 0 < seconds["prepare"]


def test_asked_again_it_hears_what_was_wrong_and_may_answer_at_length(
    make_backend, pictures, tmp_path
):
    endless = make_model("qwen2_5_vl", tmp_path / "endless", forced_eos_token_id=None)
    backend = make_backend(model=endless, max_new_tokens=2)
    with pytest.raises(ModelError) as first:
        backend.caption(pictures[0], ())
    fault = Fault("truncated", str(first.value), more_tokens=3)
    with pytest.raises(ModelError) as second:
        backend.caption(pictures[0], (), fault)
    assert (first.value.usage["output_tokens"], second.value.usage["output_tokens"]) == (2, 6)
    assert second.value.usage["input_tokens"] > first.value.usage["input_tokens"]


def test_fields_are_asked_for_in_words_and_refused_by_a_task_model(make_backend, pictures):
    backend = make_backend()
    plain = backend.caption(pictures[0], ())
    fields = ("caption", "tags")
    backend.settings = replace(backend.settings, fields=fields)
    assert backend.caption(pictures[0], ()).input_tokens > plain.input_tokens + 50
    task = make_backend("florence2")
    other = LocalBackend(replace(task.settings, model=task._source, fields=fields))
    with pytest.raises(UsageError, match="--fields: Florence-2 writes captions only"):
        other.check()


def test_a_question_in_another_language_reaches_the_model(make_backend, pictures):
    backend = make_backend()
    plain = backend.caption(pictures[1], ())
    backend.settings = replace(backend.settings, language="French")
    assert backend.caption(pictures[1], ()).input_tokens > plain.input_tokens
