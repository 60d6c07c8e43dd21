"""Capture times in file names: the patterns that cameras write, and nothing that looks like one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from picture_captioner.metadata.times import time_from_name

TIME = (2024, 1, 31, 14, 22, 33)


def local(*parts):
    return datetime(*parts)  # noqa: DTZ001


@pytest.mark.parametrize(
    "name",
    [
        "IMG_20240131_142233.jpg",
        "IMG_20240131_142233_1.jpg",
        "IMG_20240131_142233123.jpg",
        "MVIMG_20240131_142233.jpg",
        "PANO_20240131_142233.vr.jpg",
        "00100lPORTRAIT_00100_BURST20240131142233_COVER.jpg",
        "20240131_142233.heic",
        "20240131_142233(0).jpg",
        "WP_20240131_14_22_33_Pro.jpg",
        "Screenshot_2024-01-31-14-22-33-123_com.android.chrome.png",
        "Screenshot_20240131-142233.png",
        "Screenshot 2024-01-31 at 14.22.33.png",
        "2024-01-31 14.22.33.jpg",
        "2024-01-31 14.22.33-1.jpg",
        "2024-01-31_14-22-33.jpg",
        "2024-01-31T14:22:33.jpg",
        "signal-2024-01-31-14-22-33-123.jpg",
        "signal-2024-01-31-142233.jpeg",
        "signal-2024-01-31-142233_002.jpeg",
        "photo_2024-01-31_14-22-33.jpg",
        "2024.01.31 14.22.33.jpg",
        "Burst 12 20240131142233.jpg",
        "00100lPORTRAIT_00100_BURST20240131142233123_COVER.jpg",
        "2024-01-31_14h22_33.png",
        "Снимок экрана 2024-01-31 в 14.22.33.png",
        "Screenshot 2024-01-31 at 2.22.33 PM.png",
        "Screenshot 2024-01-31 at 2.22.33\u202fPM (2).png",
        "Bildschirmfoto 2024-01-31 um 14.22.33.png",
        "Bildschirm\u00adfoto 2024-01-31 um 14.22.33.png",
        "Capture d\u2019\u00e9cran 2024-01-31 \u00e0 14.22.33.png",
        "Capture d\u2019e\u0301cran 2024-01-31 a\u0300 14.22.33.png",
    ],
)
def test_names_with_a_time(name):
    assert time_from_name(name) == (local(*TIME), True)


@pytest.mark.parametrize(
    ("clock", "hour"),
    [("12.05.10 AM", 0), ("12.05.10 PM", 12), ("1.05.10 AM", 1), ("11.05.10 PM", 23)],
)
def test_clocks_of_twelve_hours(clock, hour):
    name = f"Screenshot 2022-02-23 at {clock}.png"
    assert time_from_name(name) == (local(2022, 2, 23, hour, 5, 10), True)


def test_an_hour_that_is_none_leaves_the_day():
    assert time_from_name("Screenshot 2022-02-23 at 13.05.10 PM.png") == (
        local(2022, 2, 23, 12),
        False,
    )


def test_pixel_names_are_in_utc():
    assert time_from_name("PXL_20240131_132233123.MP.jpg") == (
        datetime(2024, 1, 31, 13, 22, 33, tzinfo=UTC),
        True,
    )


@pytest.mark.parametrize(
    "name",
    ["IMG-20240131-WA0001.jpg", "2024-01-31.jpg", "beach 2024_01_31 (2).png", "20240131.jpg"],
)
def test_names_with_the_day_alone_say_noon(name):
    assert time_from_name(name) == (local(2024, 1, 31, 12), False)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_1234.jpg",
        "DSC_20240.jpg",
        "20241331_142233.jpg",
        "20240230.jpg",
        "00000000_000000.jpg",
        "19700101_000000.jpg",
        "99991231_235959.jpg",
        "120240131142233.jpg",
        "photo_720240131.jpg",
        "1706711001000.jpg",
        "2024-0131.jpg",
        "FB_IMG_1706711001000.jpg",
        "\u0662\u0660\u0662\u0664-01-31",
        pytest.param(
            f"IMG_{datetime.now(UTC) + timedelta(days=3):%Y%m%d_%H%M%S}.jpg", id="to come"
        ),
        "",
    ],
)
def test_names_that_only_look_like_one(name):
    assert time_from_name(name) is None


def test_a_time_that_is_none_leaves_the_day():
    assert time_from_name("IMG_20240131_996099.jpg") == (local(2024, 1, 31, 12), False)


PATTERNS = [
    "IMG_%Y%m%d_%H%M%S.jpg",
    "%Y-%m-%d %H.%M.%S.png",
    "Screenshot_%Y-%m-%d-%H-%M-%S.png",
    "signal-%Y-%m-%d-%H%M%S.jpg",
    "x%Y%m%d%H%M%S",
]


@given(
    time=st.datetimes(local(1990, 1, 1), local(2026, 1, 1)),
    pattern=st.sampled_from(PATTERNS),
    before=st.text(st.characters(exclude_characters="0123456789", exclude_categories=["Cs"])),
)
def test_every_time_is_found_again(time, pattern, before):
    name = before + time.strftime(pattern)
    assert time_from_name(name) == (time.replace(microsecond=0), True)


@given(st.text(st.sampled_from("0123456789-_. :TtIMGPXL\u0660")))
@example("2024013114223")
def test_whatever_is_found_is_a_real_time_in_range(name):
    found = time_from_name(name)
    if found is not None:
        time = found.taken_at.replace(tzinfo=None)
        assert local(1990, 1, 1) <= time < datetime.now(UTC).replace(tzinfo=None) + timedelta(1)
        assert f"{time:%Y}" in name
