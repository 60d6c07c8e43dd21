"""`--context`: each kind of fact leaves only when it is named, for the named host alone."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.metadata.takeout_trees import about, album, as_bytes
from tests.providers.openai_server import OpenAIServer, Reply, completion
from tests.support import caption, draw, records
from tests.test_fallback import REFUSED, Server

CANARIES = {
    "people": "Canaria Peoplesworth",
    "place": "Konstanz",
    "date": "25 February 2019",
    "folder": "Canary Folder",
    "album": "Canary Album",
    "keywords": "canarykeyword",
}
COORDINATES = ("47.66", "9.17", "47,39")


class Service(OpenAIServer):
    """Remembers what it is asked."""

    models = ("m",)

    def __init__(self):
        self.asked = []
        super().__init__()

    def reply_to(self, request):
        if not request.path.endswith("/chat/completions"):
            return super().reply_to(request)
        self.asked.append(request.everything().decode("utf-8", "replace"))
        return Reply(body=completion("A lake."))


@pytest.fixture
def here(tmp_path):
    photos = tmp_path / "photos" / "Canary Folder"
    draw(photos / "IMG_1.jpg", 1, exif=_exif())
    said = about(
        "IMG_1.jpg",
        people=[{"name": CANARIES["people"]}],
        geoData={"latitude": 47.6603, "longitude": 9.1758, "altitude": 400.0},
    )
    (photos / "IMG_1.jpg.json").write_bytes(as_bytes(said))
    (photos / "metadata.json").write_bytes(as_bytes(album(CANARIES["album"])))
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        'syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject>'
        f"<rdf:Bag><rdf:li>{CANARIES['keywords']}</rdf:li><rdf:li>{CANARIES['people']}</rdf:li>"
        "<rdf:li>47.6603 9.1758</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"
        "</x:xmpmeta>"
    )
    (photos / "IMG_1.jpg.xmp").write_text(packet)
    return tmp_path


def _exif():
    exif = Image.Exif()
    exif[0x010F] = "CanaryMaker"
    return exif


def run(here, server, *arguments):
    flags = (
        "--backend=openai",
        f"--base-url={server.base_url}",
        "--model=m",
        "--photos-dir=photos",
    )
    done = caption("run", *flags, *arguments, cwd=here, OPENAI_API_KEY="sk-test-0123456789")
    assert done.returncode == 0, done.stderr
    return done


def heard(server):
    text = "\n".join(server.asked)
    assert not any(number in text for number in COORDINATES)
    assert "CanaryMaker" not in text
    assert "IMG_1" not in text
    return {kind for kind, canary in CANARIES.items() if canary in text}


@pytest.mark.needs("reverse_geocode")
def test_a_canary_of_each_kind_leaves_only_when_it_is_named(here):
    told = set()
    with Service() as server:
        done = run(here, server)
        assert heard(server) == set()
        assert "Telling" not in done.stderr
        for kind, canary in CANARIES.items():
            server.asked.clear()
            done = run(here, server, f"--context={kind}", "--stale=prompt")
            assert heard(server) == {kind}, done.stderr
            [line] = [line for line in done.stderr.splitlines() if line.startswith("Telling")]
            assert line.startswith(f"Telling {server.host} of each photo what is known of: {kind}.")
            assert canary in line
            assert "Name no other person" in server.asked[0]
            told.add(records(here / "captions.jsonl")[-1]["prompt_sha256"])
            server.asked.clear()
            run(here, server, f"--context={kind}", "--stale=prompt")
            assert server.asked == [], "the prompt is the same"
        run(here, server, "--context=" + ",".join(CANARIES), "--stale=prompt")
        assert heard(server) == set(CANARIES)
    assert len(told) == len(CANARIES)


def test_no_other_host_hears_what_was_named_for_the_first(here):
    with Server("first", lambda _: REFUSED) as first, Server("second") as second:
        seen = {first: [], second: []}
        for server in seen:
            server.rule = _noting(server.rule, seen[server])
        done = caption(
            "run",
            "--photos-dir=photos",
            "--backend=openai",
            f"--base-url={first.base_url}",
            "--model=first",
            f"--fallback=openai:second@{second.base_url}",
            "--context=people,album",
            cwd=here,
            OPENAI_API_KEY="sk-test-0123456789",
        )
    assert done.returncode == 0, done.stderr
    assert first.asked
    assert second.asked == 1
    assert "without the facts" in done.stderr
    [record] = records(here / "captions.jsonl")
    plain = records_of_plain_prompt(here)
    assert record["prompt_sha256"] == plain


def _noting(rule, seen):
    def noting(number):
        seen.append(number)
        return rule(number)

    return noting


def records_of_plain_prompt(here):
    from picture_captioner.backends.base import BackendSettings

    return BackendSettings(model="second").prompt_sha256()


def test_what_is_not_named_kind_by_kind_stays_here(here):
    with Service() as server:
        flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
        for value, told in (("all", "named kind by kind"), ("gps", "expected people, place")):
            done = caption(
                "run", *flags, f"--context={value}", cwd=here, OPENAI_API_KEY="sk-test-0123456789"
            )
            assert (done.returncode, told in done.stderr) == (64, True), done.stderr
        done = caption(
            "run",
            *flags,
            "--context=people",
            "--no-library",
            cwd=here,
            OPENAI_API_KEY="sk-test-0123456789",
        )
        assert (done.returncode, "--no-library" in done.stderr) == (64, True)
        assert server.asked == []


def test_a_fact_is_told_apart_from_a_tag():
    from picture_captioner.backends.base import BackendSettings, Told
    from picture_captioner.backends.hosted import _hints
    from picture_captioner.backends.prompt import question

    settings = BackendSettings(model="m")
    hints = ("dog", Told("place", "Konstanz"), Told("people", "Anna"), Told("people", "Ben"))
    asked = question(settings, hints)
    assert "may be wrong: dog.\n" in asked
    assert "- People in it: Anna, Ben\n- Place: Konstanz\nName no other" in asked
    digests = {settings.prompt_sha256(h) for h in (hints, hints[:1], ("dog", "Konstanz"), ())}
    assert len(digests) == 4
    packed = json.loads(json.dumps([(getattr(h, "kind", ""), str(h)) for h in hints]))
    assert question(settings, _hints(packed)) == asked
