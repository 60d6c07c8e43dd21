"""What asking again costs, when it is done, and what stands when it does not help."""

import pytest
import tenacity
from PIL import Image

from picture_captioner.backends.base import BackendSettings, Caption, CaptionBackend
from picture_captioner.backends.fields import expand
from picture_captioner.errors import (
    AccessDeniedError,
    ApiError,
    CeilingReachedError,
    ModelError,
    TransientError,
    Usage,
)
from picture_captioner.journal.reading import JournalIndex
from picture_captioner.pipeline.asking.prices import OwnPrice, Prices
from picture_captioner.pipeline.asking.service import BackendService, ChosenBackend
from picture_captioner.pipeline.asking.spending import Budget, Ceilings
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.threads import Stop

PHOTO = Image.new("RGB", (4, 3))
PRICE = OwnPrice(input_per_million=1000.0, output_per_million=1000.0)  # a tenth of a cent a token
GOOD = '{"caption": "A dog.", "tags": ["dog", "sea", "sand"]}'
FEW = '{"caption": "Fog.", "tags": ["Fog"]}'


class Scripted(CaptionBackend):
    """Answers as told, and remembers what it was asked."""

    name, summary, default_model, destination = "scripted", "of a test", "s-1", "service.test"

    def __init__(self, *script, fields=(), placeholder=False):
        super().__init__(BackendSettings(model="s-1", fields=expand(fields)))
        self.script, self.placeholder = list(script), placeholder
        self.asked, self.hints = [], []

    def caption(self, image, hints, fault=None):
        self.hints.append(hints)
        return self.answer(fault)

    def answer(self, fault):
        self.asked.append(fault)
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        return Caption(said, input_tokens=900, output_tokens=100, requests=1)


class Bench:
    """One service of a run, without photos, journal or threads."""

    def __init__(self, *script, max_requests=None, backend_class=Scripted, **backend):
        self.backend = backend_class(*script, **backend)
        self.stop = Stop()
        identity = Identity("scripted", "s-1", "0" * 12, placeholder=self.backend.placeholder)
        chosen = ChosenBackend(self.backend, identity, Prices(None, "s-1", PRICE))
        budget = Budget(Ceilings(max_requests=max_requests), JournalIndex())
        self.service = BackendService(chosen, 1, budget, self.stop, lambda text: None)
        self.service._retrier._retrying.wait = tenacity.wait_none()

    def run(self, hints=()):
        (answered,) = self.service.ask([PHOTO], [tuple(hints)])
        return answered.answer, self.service.ended


def failed(code, **usage):
    known = {"input_tokens": 900, "output_tokens": 100, "requests": 1} | usage
    return ModelError(f"it was {code}", code=code, usage=Usage(**known))


def codes(bench):
    return [fault and fault.code for fault in bench.backend.asked]


def test_not_json_twice_and_then_good_is_three_requests_and_their_cost():
    bench = Bench("prose", "more prose", GOOD, fields=["tags"])
    caption, fatal = bench.run()
    assert fatal is None
    assert (caption.text, caption.fields) == ("A dog.", {"tags": ["dog", "sea", "sand"]})
    assert codes(bench) == [None, "not_json", "not_json"]
    assert (caption.requests, caption.input_tokens, caption.output_tokens) == (3, 2700, 300)
    assert caption.cost_usd == pytest.approx(3.0)


def test_not_json_for_ever_is_one_verdict_with_the_cost_of_all():
    bench = Bench("prose", "prose", "prose", "never asked for", fields=["tags"])
    verdict, fatal = bench.run()
    assert isinstance(verdict, ModelError)
    assert (verdict.code, fatal, len(bench.backend.asked)) == ("not_json", None, 3)
    assert verdict.usage["requests"] == 3
    assert verdict.usage["cost_usd"] == pytest.approx(3.0)


@pytest.mark.parametrize("code", ["empty", "truncated", "reasoning"])
def test_a_plain_caption_is_asked_for_again_too(code):
    bench = Bench(failed(code), "A dog.")
    caption, _ = bench.run()
    assert caption.text == "A dog."
    assert codes(bench) == [None, code]
    assert (caption.requests, caption.input_tokens) == (2, 1800)
    assert caption.cost_usd == pytest.approx(2.0)


def test_an_empty_text_is_asked_for_again():
    bench = Bench(" ", "A dog.")
    assert bench.run()[0].requests == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [("I'm sorry, I can't help with that.", "refused"), ("I don't see an image.", "no_image")],
)
def test_a_refusal_in_words_is_asked_about_once_more(said, code):
    bench = Bench(said, "A dog.")
    assert bench.run()[0].text == "A dog."
    assert codes(bench) == [None, code]
    bench = Bench(said, said, "never asked for")
    verdict, _ = bench.run()
    assert (verdict.code, verdict.usage["requests"]) == (code, 2)


@pytest.mark.parametrize(
    "verdict",
    [failed("refused"), failed("unfinished"), ApiError("no", code="refused"), ValueError("a bug")],
)
def test_a_filters_refusal_and_a_bug_are_not_argued_with(verdict):
    bench = Bench(verdict)
    answer, _ = bench.run()
    assert not isinstance(answer, Caption)
    assert len(bench.backend.asked) == 1


def test_a_placeholder_would_only_fail_again():
    bench = Bench(failed("empty"), placeholder=True)
    assert bench.run()[0].code == "empty"
    assert len(bench.backend.asked) == 1


def test_each_cut_doubles_the_room_and_other_faults_keep_it():
    bench = Bench(failed("truncated"), failed("truncated"), GOOD, fields=["tags"])
    bench.run()
    assert [fault.more_tokens for fault in bench.backend.asked[1:]] == [2, 4]
    bench = Bench(failed("truncated"), "prose", GOOD, fields=["tags"])
    bench.run()
    assert [fault.more_tokens for fault in bench.backend.asked[1:]] == [2, 2]


def test_few_tags_are_taken_from_a_second_answer():
    bench = Bench(FEW, FEW, fields=["tags"])
    caption, _ = bench.run()
    assert caption.fields == {"tags": ["fog"]}
    assert "3 to 5 were asked for" in bench.backend.asked[1].message
    assert caption.requests == 2


def test_a_repair_that_ends_in_a_refusal_is_a_refusal_with_both_costs():
    verdict, _ = Bench(failed("empty"), failed("refused")).run()
    assert (verdict.code, verdict.usage["requests"]) == ("refused", 2)
    assert verdict.usage["cost_usd"] == pytest.approx(2.0)


def test_a_repair_is_retried_like_any_request():
    down = TransientError("503", code="http_503")
    caption, _ = Bench(failed("empty"), down, down, "A dog.").run()
    assert (caption.text, caption.requests) == ("A dog.", 4)


def test_a_service_that_goes_down_during_a_repair_leaves_the_first_verdict():
    down = [TransientError("503", code="http_503") for _ in range(5)]
    bench = Bench(failed("empty"), *down, "never asked for")
    verdict, fatal = bench.run()
    assert (verdict.code, fatal) == ("empty", None)
    assert len(bench.backend.asked) == 6
    assert verdict.usage["requests"] == 6
    assert verdict.usage["cost_usd"] == pytest.approx(1.0)


@pytest.mark.parametrize("ending", [AccessDeniedError("no key"), None])
def test_what_was_billed_is_kept_when_the_run_ends_during_a_repair(ending):
    bench = Bench(failed("empty"), ending, max_requests=None if ending else 1)
    verdict, fatal = bench.run()
    assert isinstance(fatal, AccessDeniedError if ending else CeilingReachedError)
    assert (verdict.code, verdict.usage["cost_usd"]) == ("empty", pytest.approx(1.0))


def test_a_stop_leaves_the_first_verdict():
    bench = Bench(failed("empty"))
    bench.stop.on_stop(lambda: None)
    said = bench.backend.answer

    def answer_and_stop(fault):
        bench.stop.request()
        return said(fault)

    bench.backend.answer = answer_and_stop
    verdict, fatal = bench.run()
    assert (verdict.code, fatal, len(bench.backend.asked)) == ("empty", None, 1)


def test_only_the_photos_of_a_batch_that_failed_are_asked_about_again():
    bench = Bench("B2.")
    answers = [Caption("A cat."), failed("empty"), Caption("A cow.")]
    bench.backend.caption_batch = lambda images, hints: answers
    answered = bench.service.ask([PHOTO] * 3, [("a",), ("b",), ("c",)])
    assert [a.answer.text for a in answered] == ["A cat.", "B2.", "A cow."]
    assert bench.backend.hints == [("b",)]


def test_the_hints_are_told_again():
    bench = Bench(failed("empty"), "A lake.")
    bench.run(hints=["lake"])
    assert bench.backend.hints == [("lake",), ("lake",)]


def test_a_backend_of_another_package_that_takes_no_fault_is_asked_the_same_again():
    class Plain(Scripted):
        def caption(self, image, hints):
            self.hints.append(hints)
            return self.answer("not told")

    bench = Bench(failed("empty"), "A lake.", backend_class=Plain)
    assert bench.run(hints=["lake"])[0].text == "A lake."
    assert bench.backend.asked == ["not told"] * 2
    assert bench.backend.hints == [("lake",)] * 2
