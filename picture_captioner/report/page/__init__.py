"""The HTML report: one page and a folder of thumbnails that work from disk, with no network.

    writer.py       `write_page`: thumbnails first, then the page in one replacement
    document.py     template, style, script and data become one file
    payload.py      a report, and who is on its photos, as columns that a browser unpacks quickly
    columns.py      numbers as base64, texts once each, JSON that cannot end its script element
    thumbnails.py   the folder of thumbnails, without litter
    palette.py      colours for clusters
    assets/         the page itself: HTML, CSS and JavaScript, with no build step

Photos, names, captions and labels are data: they travel as JSON and reach the page as text nodes.
"""
