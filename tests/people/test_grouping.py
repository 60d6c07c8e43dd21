"""A human's word outlives every run; clusters and single faces fill in the rest."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picture_captioner.people.clustering import cluster
from picture_captioner.people.decisions import Decisions, FaceKey, rekeyed, without_faces
from picture_captioner.people.faces import Box
from picture_captioner.people.grouping import find_people
from picture_captioner.people.persons import Status
from tests.people.test_clustering import crowd, unit

FACES = 48
WHO, VECTORS = crowd(6, FACES, seed=5)
PHOTOS = [f"{i // 2:064x}" for i in np.random.default_rng(5).permutation(FACES)]
"""Two faces a photo, some of them of one person: the detector saw a mirror."""
KEYS = [str(FaceKey(photo, Box(100 * i, 10, 50, 60))) for i, photo in enumerate(PHOTOS)]
LABELS = cluster(VECTORS).labels


def found(*lines, labels=LABELS, previous=None):
    said = Decisions.fold(lines)
    return find_people(KEYS, PHOTOS, VECTORS, labels, said, previous)


def faces_of(who):
    return [i for i in range(FACES) if WHO[i] == who]


def test_without_a_word_everybody_is_somebody():
    people = found()
    assert len(people.persons) == 6
    for person in people.persons.values():
        assert len({WHO[face] for face in person.faces}) == 1


def test_a_name_stays_with_the_faces_after_a_new_clustering():
    first = found()
    anna = max(first.persons.values(), key=lambda person: len(person.faces))
    lines = [
        {"kind": "name", "person": anna.identity, "name": "Anna"},
        {"kind": "member", "person": anna.identity, "faces": [KEYS[f] for f in anna.faces]},
    ]
    shuffled = (LABELS + 3) % 6  # other numbers for the same clusters
    for labels in (LABELS, shuffled, np.full(FACES, -1)):
        people = found(*lines, labels=labels)
        assert people.persons[anna.identity].name == "Anna"
    again = found(*lines, labels=shuffled)
    assert set(again.persons[anna.identity].faces) == set(anna.faces)


def test_the_same_faces_keep_the_same_ids():
    first = found()
    for labels in (LABELS, (LABELS + 1) % 6):
        again = found(labels=labels, previous=first.of_face)
        assert again.of_face == first.of_face


def test_somebody_in_two_clusters_keeps_the_id_run_after_run():
    parts = LABELS.copy()
    for who in range(6):  # everybody in two clusters, the second the larger one
        parts[faces_of(who)[3:]] += 6
    people = found(labels=parts)
    assert len(people.persons) < len({*parts.tolist()} - {-1})
    for _ in range(3):
        again = found(labels=parts, previous=people.of_face)
        assert again.of_face == people.of_face
        people = again


def test_an_unnamed_person_keeps_the_id_when_two_of_the_faces_are_linked():
    first = found()
    somebody = max(first.persons.values(), key=lambda person: len(person.faces))
    link = {"kind": "must_link", "faces": [KEYS[f] for f in somebody.faces[-2:]]}
    assert found(link, previous=first.of_face).of_face == first.of_face


def test_a_box_that_moved_a_little_is_the_same_face_and_another_is_not():
    said = Decisions.fold([{"kind": "not_face", "face": "ab:10,10,100,100"}])
    assert rekeyed(said, ["ab:15,12,96,104"]) == {"ab:10,10,100,100": "ab:15,12,96,104"}
    assert rekeyed(said, ["ab:90,90,100,100", "cd:10,10,100,100"]) == {}


def test_the_last_word_counts_although_the_box_has_moved():
    """Each decision was made after another detector had looked at the photo."""
    content = "ab"
    early, later, latest = (f"{content}:{x},10,100,100" for x in (10, 20, 30))
    beside = f"{content}:95,10,100,100"
    says = lambda kind, face, who: {"kind": kind, "person": who, "faces": [face], "face": face}  # noqa: E731
    said = Decisions.fold([says("confirm", early, "one"), says("confirm", later, "two")])
    assert (said.persons["one"].confirmed, said.holder) == (set(), {early: "two"})
    said = Decisions.fold([says("confirm", early, "one"), says("not_person", later, "one")])
    assert (said.holder, said.not_person) == ({}, {(early, "one")})
    said = Decisions.fold(
        [says("not_face", early, ""), says("confirm", later, "one"), says("confirm", beside, "two")]
    )
    assert (said.not_faces, said.holder) == (set(), {early: "one", beside: "two"})
    assert rekeyed(said, [latest, beside]) == {early: latest, beside: beside}
    assert said.face(latest) == early
    assert said.face("cd:10,10,100,100") == "cd:10,10,100,100"


def test_a_key_that_somebody_spoiled_costs_itself():
    said = Decisions.fold(
        [
            {"kind": "confirm", "person": "one", "faces": ["ab:1,2,3", KEYS[0], "", None]},
            {"kind": "must_link", "faces": []},
            {"kind": "must_link", "faces": ["nonsense"]},
        ]
    )
    assert (said.holder, said.unreadable) == ({KEYS[0]: "one"}, 4)
    assert find_people(KEYS, PHOTOS, VECTORS, LABELS, said).of_face[0] == "one"


def test_merged_persons_are_one_and_split_ones_are_two():
    first = found()
    one, other = sorted(first.persons)[:2]
    members = [
        {"kind": "member", "person": p, "faces": [KEYS[f] for f in first.persons[p].faces]}
        for p in (one, other)
    ]
    merged = found(*members, {"kind": "merge", "person": other, "into": one})
    assert other not in merged.persons
    both = first.persons[one].faces + first.persons[other].faces
    assert set(merged.persons[one].faces) >= {f for f in both if merged.of_face[f]}
    assert len(merged.persons[one].faces) > len(first.persons[one].faces)
    gone = first.persons[one].faces[:3]
    lines = [{"kind": "confirm", "person": "new", "faces": [KEYS[f] for f in gone]}]
    split = found(*lines)
    assert [split.of_face[f] for f in gone] == ["new"] * 3


def test_two_faces_of_one_photo_are_two_people_unless_somebody_says_so():
    vectors = np.repeat(unit(np.random.default_rng(9).normal(size=(1, 128))), 6, axis=0)
    photos = ["a", "a", "b", "c", "d", "e"]
    keys = [f"{photo}:{i * 100},0,50,50" for i, photo in enumerate(photos)]
    labels = cluster(vectors).labels
    people = find_people(keys, photos, vectors, labels, Decisions())
    assert Counter(people.status)[Status.PENDING] == 1
    assert people.doubts[0].why == "another face of the same photo is nearer"
    [identity] = people.persons
    said = Decisions.fold([{"kind": "confirm", "person": identity, "faces": keys[:2]}])
    people = find_people(keys, photos, vectors, labels, said)
    assert people.of_face == [identity] * 6


def test_a_contradiction_is_shown():
    a, b = KEYS[faces_of(0)[0]], KEYS[faces_of(1)[0]]
    people = found(
        {"kind": "confirm", "person": "one", "faces": [a]},
        {"kind": "confirm", "person": "two", "faces": [b]},
        {"kind": "must_link", "faces": [a, b]},
    )
    [said] = people.violations
    assert {a, b} <= {*said.split()}
    assert "must be one person's and belong to one and two" in said
    assert f"'caption.py people different {' '.join(sorted((a, b)))}' takes it back" in said


def test_same_and_different_take_each_other_back():
    a, b = KEYS[faces_of(0)[0]], KEYS[faces_of(1)[0]]
    same, different = ({"kind": kind, "faces": [a, b]} for kind in ("must_link", "cannot_link"))
    for rows, links, bars in (((same, different), 0, 1), ((different, same), 1, 0)):
        said = Decisions.fold(rows)
        assert (len(said.must_link), len(said.cannot_link)) == (links, bars)
        assert found(*rows).violations == []


def test_one_of_three_linked_faces_is_taken_out_by_the_last_word():
    a, b, c = (KEYS[face] for face in faces_of(0)[:3])
    link, bar = {"kind": "must_link", "faces": [a, b, c]}, {"kind": "cannot_link", "faces": [a, c]}
    said = Decisions.fold([link, bar])
    assert (said.must_link, said.cannot_link) == ([(a, b)], {frozenset((a, c))})
    people = found(link, bar)
    assert people.violations == []
    persons = [people.of_face[face] for face in faces_of(0)[:3]]
    assert persons[0] == persons[1] != persons[2]


def test_two_who_are_on_one_photo_are_no_question():
    vectors = np.repeat(np.array([[1.0, 0.0], [0.8, 0.6]], np.float32), 2, axis=0)
    keys = [f"{photo}:0,0,9,9" for photo in "abcd"]
    labels = np.array([0, 0, 1, 1])
    for photos, questions in (("abcd", 1), ("abca", 0)):
        people = find_people(keys, [*photos], vectors, labels, Decisions(), same_group=0.99)
        assert (len(people.persons), len(people.suggestions)) == (2, questions)


faces = st.integers(0, FACES - 1).map(KEYS.__getitem__)
persons = st.sampled_from(["p1", "p2", "p3"])
decisions = st.one_of(
    st.builds(lambda p: {"kind": "name", "person": p, "name": p.upper()}, persons),
    st.builds(lambda p, f: {"kind": "confirm", "person": p, "faces": [f]}, persons, faces),
    st.builds(lambda p, f: {"kind": "member", "person": p, "faces": [f]}, persons, faces),
    st.builds(lambda p, f: {"kind": "not_person", "person": p, "face": f}, persons, faces),
    st.builds(lambda f: {"kind": "not_face", "face": f}, faces),
    st.builds(lambda a, b: {"kind": "must_link", "faces": [a, b]}, faces, faces),
    st.builds(lambda a, b: {"kind": "cannot_link", "faces": [a, b]}, faces, faces),
    st.builds(lambda a, b: {"kind": "apart", "persons": [a, b]}, persons, persons),
    st.builds(lambda a, b: {"kind": "merge", "person": a, "into": b}, persons, persons),
    st.builds(lambda p: {"kind": "hide", "person": p}, persons),
    st.just({"kind": "from a later version"}),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(decisions, max_size=25), st.booleans())
def test_nothing_that_was_said_is_lost(lines, clustered):
    said = Decisions.fold(lines)
    people = found(*lines, labels=LABELS if clustered else np.full(FACES, -1))
    firm = [s is Status.CONFIRMED for s in people.status]
    for identity, person in said.persons.items():
        assert people.persons[identity].name == person.name
        assert people.persons[identity].hidden == person.hidden
        for face in map(KEYS.index, person.confirmed):
            assert people.of_face[face] == identity
    for face in map(KEYS.index, said.not_faces):
        assert people.of_face[face] is None
    for face, identity in said.not_person:
        assert people.of_face[KEYS.index(face)] != identity or firm[KEYS.index(face)]
    for pair in said.cannot_link:
        together = [KEYS.index(face) for face in pair]
        same = len({people.of_face[f] for f in together}) == 1
        if len(together) == 2 and same and people.of_face[together[0]]:
            assert all(firm[f] for f in together)
    for person in people.persons.values():
        photos = Counter(PHOTOS[f] for f in person.faces)
        for photo in [p for p, count in photos.items() if count > 1]:
            assert all(firm[f] for f in person.faces if PHOTOS[f] == photo)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_faces(count):
    people = find_people(
        KEYS[:count], PHOTOS[:count], VECTORS[:count], cluster(VECTORS[:count]).labels, Decisions()
    )
    assert people.persons == {}
    assert people.of_face == [None] * count


def test_what_was_said_of_faces_holds_of_the_same_picture_with_another_hash():
    """Both ways, and the last word counts, wherever it was said."""
    old, new = "aa:10,10,100,100", "bb:10,10,100,100"
    other = "aa:300,10,100,100"
    rows = [
        {"kind": "name", "person": "anna", "name": "Anna"},
        {"kind": "confirm", "person": "anna", "faces": [old]},
        {"kind": "not_face", "face": other},
        {"kind": "cannot_link", "faces": [old, "cc:1,1,9,9"]},
        {"kind": "carried", "content": "aa", "into": "bb"},
    ]
    said = Decisions.fold(rows)
    assert said.persons["anna"].confirmed == {old, new}
    assert said.not_faces == {other, "bb:300,10,100,100"}
    assert frozenset((new, "cc:1,1,9,9")) in said.cannot_link
    rows += [
        {"kind": "not_person", "person": "anna", "face": new},
        {"kind": "confirm", "person": "ben", "faces": [new]},
        {"kind": "carried", "content": "bb", "into": "aa"},
    ]
    said = Decisions.fold(rows)
    assert said.persons["ben"].confirmed == {old, new}
    assert said.persons["anna"].confirmed == set()
    assert without_faces(rows[4], {"bb"}) is None
    assert without_faces(rows[4], {"dd"}) == rows[4]


def test_a_link_that_contradicts_a_no_names_the_commands_that_resolve_it():
    [anna, *_] = found().persons.values()
    mine, theirs = (KEYS[face] for face in anna.faces[:2])
    rows = [
        {"kind": "name", "person": anna.identity, "name": "Anna"},
        {"kind": "confirm", "person": anna.identity, "faces": [mine]},
        {"kind": "must_link", "faces": [mine, theirs]},
        {"kind": "not_person", "person": anna.identity, "face": theirs},
    ]
    [said] = found(*rows).violations
    assert f"people confirm {anna.identity} {theirs}'" in said
    assert f"people different {mine} {theirs}'" in said
    confirm = {"kind": "confirm", "person": anna.identity, "faces": [theirs]}
    apart = {"kind": "cannot_link", "faces": [mine, theirs]}
    assert found(*rows, confirm).violations == found(*rows, apart).violations == []
