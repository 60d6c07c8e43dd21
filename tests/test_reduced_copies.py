"""Only a run whose photos stay here may take the copy inside a HEIC file for the photo."""

import pytest

from picture_captioner.image_loader import decoding  # noqa: F401 - lets Pillow write HEIF
from tests.images import encoded, gradient
from tests.support import caption, effective


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (["--backend=mock"], "success"),
        (["--backend=mock", "--dry-run"], "error_corrupt"),
        (["--backend=service"], "error_corrupt"),
    ],
    ids=["here", "dry run", "sent away"],
)
def test_the_photo_itself_is_decoded_where_it_matters(tmp_path, plugin, flags, status):
    data = encoded(gradient(640, 480), "HEIF", thumbnails=[256], quality=90)
    start = data.index(b"mdat") + 4
    photo = tmp_path / "photos" / "its own pixels are damaged.heic"
    photo.parent.mkdir()
    photo.write_bytes(data[:start] + b"\xff" * 100 + data[start + 100 :])
    done = caption(
        *("run", "--photos-dir=photos", "--max-edge=256", *flags), cwd=tmp_path, PYTHONPATH=plugin
    )
    assert done.returncode == 0, done.stderr
    assert effective(tmp_path / "captions.jsonl")[photo.name]["status"] == status
