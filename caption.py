"""Launcher: `uv run caption.py` in a checkout. The command line is in picture_captioner/cli/."""

from picture_captioner.cli.caption_app import main

if __name__ == "__main__":
    main()
