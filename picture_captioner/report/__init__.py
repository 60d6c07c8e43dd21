"""Arrays and records in, a report out: opens no photo, runs no model.

    model.py         what a report consists of
    build.py         `build_report`: from photos and vectors to a `Report`

Clusters
    compiled.py      numba's code kept between runs
    neighbours.py    each photo's nearest neighbours
    layout.py        the map (t-SNE for a small library, UMAP)
    identical.py     photos with the same vector: one place, one cluster
    density.py       groups in the map (HDBSCAN)
    few_photos.py    the same for a handful of photos
    engines.py       the table behind --engine
    geometry.py      unit vectors, centroids, cosine distances
    identity.py      which cluster is which of the previous run
    run_state.py     what a run leaves behind for the next
    assigning.py     new photos and outliers into clusters that exist

Words
    labels.py        a label for each photo
    naming.py        what clusters are called
    keywords.py      class-based TF-IDF
    words.py         captions into words
    stop_words.py    words that say nothing of a photo, by language

Time
    chunks.py        events, days and trips as chunks
    events.py        adaptive gaps in capture time (PhotoTOC)
    trips.py         days in a row that belong together
    places.py        names of places, offline

Likeness
    duplicates.py    exact copies, near-duplicates and bursts
    hash_pairs.py    perceptual hashes that are close

Outputs
    csv_export.py    a row for every photo
    markdown.py      to skim
    summary.py       for machines
    text.py          names and captions as text that nothing obeys
    page/            the HTML report
"""
