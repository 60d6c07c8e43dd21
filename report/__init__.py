"""From vectors and records to clusters, labels, events, duplicates, and the files that show them.

Opens no photo and runs no model: it is handed arrays and records.

    model.py   what a report consists of
    page/      the HTML report
"""
