"""Events, days and trips of photos with times as cameras write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np

from picture_captioner.library.facts import Place
from picture_captioner.report.chunks import make_chunks
from picture_captioner.report.model import Level
from tests.report.support import photo

HOME, AWAY = (47.66, 9.18), (41.89, 12.48)


def taken(name: str, time: str, place: tuple[float, float] | None = None, **known):
    latitude, longitude = place or (None, None)
    return photo(
        name,
        taken_at=datetime.fromisoformat(time),
        latitude=latitude,
        longitude=longitude,
        **known,
    )


def chunks(photos, level: Level, vectors=None, names=None):
    labels = [p.caption or "" for p in photos]
    return [c for c in make_chunks(photos, labels, vectors, names) if c.level is level]


def day(date: str, count: int, place=None, first_hour: int = 9):
    return [
        taken(f"{date}/{i}", f"{date}T{first_hour:02d}:{i:02d}:00", place) for i in range(count)
    ]


def test_what_happened_is_called_by_the_folder_that_somebody_made_for_it():
    def event(folder: str, time: str, count: int = 3):
        return [taken(f"{folder}/{time}{i}.jpg", f"{time}T1{i}:00:00") for i in range(count)]

    photos = [
        *event("2024/Geburtstag Emma", "2024-06-01"),
        *event("2024/Geburtstag Emma/von Tante Ute", "2024-06-01", 1),
        *event("2019-07-12 Portugal/100CANON", "2019-07-12"),
        *event("2019-07-12 Portugal/100CANON", "2019-07-20"),
        *event("Neuer Ordner (2)", "2020-01-01"),
        *event("100ND750", "2020-03-01"),
        *event("102NCZ_5", "2020-05-01"),
        *event("Alle vom Handy", "2021-01-01"),
        *event("Alle vom Handy", "2023-01-01"),
        *event("3 Tage Rom", "2022-05-05", 1),
        *event("2022/05", "2022-05-05", 1),
    ]
    assert [(str(c.start.date()), c.name) for c in chunks(photos, Level.EVENT)] == [
        ("2019-07-12", "Portugal"),
        ("2019-07-20", "Portugal"),
        ("2020-01-01", None),
        ("2020-03-01", None),
        ("2020-05-01", None),
        ("2021-01-01", None),
        ("2022-05-05", None),
        ("2023-01-01", None),
        ("2024-06-01", "Geburtstag Emma"),
    ]
    assert [c.name for c in chunks(event("3 Tage Rom", "2022-05-05"), Level.DAY)] == ["3 Tage Rom"]


def test_a_folder_is_looked_at_once_however_many_events_are_in_it(monkeypatch):
    """Of 50,000 photos it takes 2 ms, and they are of 5,000 events."""
    looked = []
    percentile = np.percentile
    monkeypatch.setattr(np, "percentile", lambda *said: looked.append(said) or percentile(*said))
    make_chunks([p for n in range(1, 9) for p in day(f"2024-07-{n:02d}", 3)], [""] * 24, None, None)
    assert looked == []
    photos = [taken(f"Familie/{n}.jpg", f"2024-{n:02d}-01T10:00:00") for n in range(1, 9)]
    assert {chunk.name for chunk in make_chunks(photos, [""] * 8, None, None)} == {None}
    assert len(looked) == 1


def test_photos_without_a_time_are_in_no_chunk():
    photos = [photo("a.jpg"), taken("b.jpg", "2024-07-13T10:00")]
    (event,) = chunks(photos, Level.EVENT)
    assert event.members.tolist() == [1]
    assert make_chunks([photo("a.jpg")], [""], None, None) == ()


def test_a_camera_without_a_zone_and_a_phone_with_one_share_an_afternoon():
    photos = [
        taken("phone2", "2024-07-13T15:10:00+02:00"),
        taken("camera1", "2024-07-13T15:05:00"),
        taken("phone1", "2024-07-13T15:00:00+02:00"),
        taken("camera2", "2024-07-13T15:15:00"),
    ]
    (event,) = chunks(photos, Level.EVENT)
    assert [photos[i].rel_path for i in event.members] == ["phone1", "camera1", "phone2", "camera2"]
    assert event.start == photos[2].taken_at


def test_where_every_photo_has_a_zone_a_flight_does_not_turn_time_back():
    east, west = timezone(timedelta(hours=2)), timezone(timedelta(hours=-4))
    before = photo("z", taken_at=datetime(2024, 7, 13, 14, 0, tzinfo=east))
    after = photo("a", taken_at=datetime(2024, 7, 13, 12, 0, tzinfo=west))  # four hours later
    (event,) = chunks([after, before], Level.EVENT)
    assert event.members.tolist() == [1, 0]


def test_a_party_after_midnight_belongs_to_the_evening():
    photos = [taken(str(i), t) for i, t in enumerate(["2024-12-31T23:50", "2025-01-01T00:05"])]
    photos += [taken("2", "2025-01-01T03:59"), taken("3", "2025-01-01T04:00")]
    days = chunks(photos, Level.DAY)
    assert [d.members.tolist() for d in days] == [[0, 1, 2], [3]]


def test_chunks_know_their_parents():
    photos = [p for d in (13, 14) for p in day(f"2024-07-{d}", 25)]
    found = {c.id: c for c in make_chunks(photos, [""] * 50, None, None)}
    events = [c for c in found.values() if c.level is Level.EVENT]
    for event in events:
        (parent,) = event.parents
        assert found[parent].level is Level.DAY
        assert set(event.members) <= set(found[parent].members)
        (trip,) = found[parent].parents
        assert found[trip].level is Level.TRIP
        assert found[trip].parents == ()
    assert len(events) == 2


def test_a_trip_is_days_away_from_home():
    home = [p for d in ("01", "03", "05", "20", "22") for p in day(f"2024-07-{d}", 30, HOME)]
    away = [p for d in (11, 12, 14) for p in day(f"2024-07-{d}", 3, AWAY)]
    (trip,) = chunks(home + away, Level.TRIP)
    assert len(trip.members) == 9
    assert trip.start.day == 11 and trip.end.day == 14


def test_without_places_a_trip_is_busy_days_in_a_row():
    quiet = [p for d in range(1, 10) for p in day(f"2024-06-{d:02d}", 3)]
    busy = [p for d in (20, 21, 22) for p in day(f"2024-06-{d}", 25)]
    alone = day("2024-06-28", 40)
    (trip,) = chunks(quiet + busy + alone, Level.TRIP)
    assert (trip.start.day, trip.end.day) == (20, 22)


def test_years_of_a_camera_without_places_hide_no_trip_of_a_phone():
    camera = [p for d in range(1, 29) for p in day(f"2004-06-{d:02d}", 3 + 20 * (d in (7, 8)))]
    home = [p for d in ("01", "03", "05", "20") for p in day(f"2024-07-{d}", 3, HOME)]
    away = [p for d in (11, 12, 14) for p in day(f"2024-07-{d}", 3, AWAY)]
    old, new = chunks(camera + home + away, Level.TRIP)
    assert (str(old.start.date()), old.end.day) == ("2004-06-07", 8)
    assert (str(new.start.date()), new.end.day) == ("2024-07-11", 14)


def test_who_takes_many_photos_every_day_is_not_on_a_trip():
    start = datetime.fromisoformat("2024-01-01")
    photos = [
        photo(f"{d}/{i}", taken_at=start + timedelta(days=d, minutes=600 + i))
        for d in range(60)
        for i in range(21)
    ]
    assert chunks(photos, Level.TRIP) == []


def test_the_typical_photo_is_the_one_most_like_the_others():
    photos = day("2024-07-13", 5)
    vectors = np.array([[1, 0], [0, 1], [1, 0.9], [0, 0], [0.9, 1]], dtype=np.float32)
    (event,) = chunks(photos, Level.EVENT, vectors)
    assert event.typical in {2, 4}
    (event,) = chunks(photos, Level.EVENT, np.zeros((5, 2), np.float32))
    assert event.typical == 2


def test_keywords_of_events():
    photos = [
        taken("a", "2024-07-13T10:00", caption="A boat on the lake."),
        taken("b", "2024-07-13T10:01", caption="A boat in the harbour."),
        taken("c", "2024-08-13T10:00", caption="Snow on a mountain."),
    ]
    lake, snow = chunks(photos, Level.EVENT)
    assert lake.keywords[0] == "boat"
    assert "snow" in snow.keywords


def test_places_are_the_commonest_of_a_chunk():
    photos = [*day("2024-07-13", 3, HOME), taken("x", "2024-07-13T09:30:00", AWAY)]
    names = {HOME: Place("Konstanz, Germany", "Paradies"), AWAY: Place("Rome, Italy")}
    (event,) = chunks(photos, Level.EVENT, names=lambda places: [names[p] for p in places])
    assert event.place == "Konstanz, Germany"


def test_a_time_at_the_edge_of_the_calendar():
    photos = [taken("a", "0001-01-01T00:00"), taken("b", "9999-12-31T23:59:59")]
    assert len(chunks(photos, Level.DAY)) == 2
