"""`python -m picture_captioner` is `caption`."""

from picture_captioner.cli.caption_app import main

if __name__ == "__main__":
    main()
