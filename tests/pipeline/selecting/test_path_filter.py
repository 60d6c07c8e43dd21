"""Patterns against real trees: what each line of --include and --exclude takes."""

import os

import pytest

from picture_captioner.errors import UsageError
from picture_captioner.pipeline.selecting.path_filter import PathFilter
from tests.pipeline.selecting.trees import make, paths, walk

FILES = ["2023/a.jpg", "2023/x/b.heic", "2024/x/a.jpg", "old/2023/c.jpg", "top.jpg", "a\nb/n.jpg"]
FILES += ["[x].jpg", "caf\u00e9/e.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.heic", ["2023/x/b.heic"]),
        ("2023/**", ["2023/a.jpg", "2023/x/b.heic"]),
        ("/2023", ["2023/a.jpg", "2023/x/b.heic"]),
        ("2023", ["2023/a.jpg", "2023/x/b.heic", "old/2023/c.jpg"]),
        ("2023/", ["2023/a.jpg", "2023/x/b.heic", "old/2023/c.jpg"]),
        ("**/2023/*.jpg", ["2023/a.jpg", "old/2023/c.jpg"]),
        ("2023/**/*.heic", ["2023/x/b.heic"]),
        ("2023/**/a.jpg", ["2023/a.jpg"]),
        ("202?/*/a.jpg", ["2024/x/a.jpg"]),
        ("202[!3-9]/**", []),
        ("202[^3]/**", ["2024/x/a.jpg"]),
        ("top.jpg/", []),
        ("2023[!x]a.jpg", []),
        ("t**.jpg", ["top.jpg"]),
        ("n.jpg", ["a\nb/n.jpg"]),
        ("a?b", ["a\nb/n.jpg"]),
        (r"\[x\].jpg", ["[x].jpg"]),
        ("[[]x[]].jpg", ["[x].jpg"]),
        ("cafe\u0301/", ["caf\u00e9/e.jpg"]),
        ("**", FILES),
    ],
)
def test_patterns_mean_the_same_to_include_and_to_exclude(tmp_path, pattern, expected):
    make(tmp_path, *FILES)
    assert sorted(paths(walk(tmp_path, include=[pattern]))) == sorted(expected)
    assert sorted(paths(walk(tmp_path, exclude=[pattern]))) == sorted(set(FILES) - set(expected))


def test_patterns_see_names_that_are_not_utf8(tmp_path):
    make(tmp_path, b"caf\xe9/a.jpg", b"caf\xe8/b.jpg")
    assert paths(walk(tmp_path, include=[os.fsdecode(b"*\xe9/*")])) == ["caf\udce9/a.jpg"]
    assert len(paths(walk(tmp_path, include=["caf?"]))) == 2


def test_exclude_wins_and_an_excluded_folder_is_not_entered(tmp_path):
    make(tmp_path, "a.jpg", "private/b.jpg", "private/deep/c.jpg", "z.heic", "z.mov")
    result = walk(tmp_path, include=["*.jpg", "*.mov"], exclude=["private"])
    assert paths(result) == ["a.jpg"]
    assert sorted(result.excluded.examples) == ["private", "z.heic"]
    assert result.videos.examples == ["z.mov"]


@pytest.mark.parametrize(
    "pattern", ["", "/", "a[b", "[z-a]", "[]", "a\\", "!a.jpg", "../a", "a//b", "./a"]
)
def test_a_bad_pattern_is_a_usage_error_that_names_it(pattern):
    with pytest.raises(UsageError, match=r"--exclude '") as caught:
        PathFilter(exclude=["*.jpg", pattern])
    assert repr(pattern) in str(caught.value)
