"""Launcher: `uv run cluster_report.py`. The command line is in picture_captioner/cli/."""

from picture_captioner.cli.report_app import main

if __name__ == "__main__":
    main()
