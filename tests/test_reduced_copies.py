"""A run may caption a photo from the copy inside its file; a dry run decodes the photo itself."""

import image_loader  # noqa: F401 - lets Pillow write HEIF
from tests.images import encoded, gradient
from tests.support import caption, effective


def test_a_dry_run_decodes_the_photo_itself(tmp_path):
    data = encoded(gradient(640, 480), "HEIF", thumbnails=[256], quality=90)
    start = data.index(b"mdat") + 4
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "damaged.heic").write_bytes(
        data[:start] + bytes(100) + data[start + 100 :]
    )
    found = {}
    for journal, flags in {"run.jsonl": [], "dry.jsonl": ["--dry-run"]}.items():
        done = caption(
            *("run", "--photos-dir=photos", "--backend=mock", "--max-edge=256"),
            *(f"--captions-jsonl={journal}", *flags),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        found[journal] = effective(tmp_path / journal)["damaged.heic"]["status"]
    assert found == {"run.jsonl": "success", "dry.jsonl": "error_corrupt"}
