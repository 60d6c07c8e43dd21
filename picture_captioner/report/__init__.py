"""Arrays and records in, a report out: opens no photo, runs no model.

    model.py         what a report consists of
    build.py         `build_report`: from photos and vectors to a `Report`

Clusters
    layout.py        the map (t-SNE for a small library, UMAP with numba's code kept between runs)
    identical.py     photos with the same vector: one place, one cluster
    density.py       groups in the map (HDBSCAN), and of a handful of photos
    engines.py       the table behind --engine
    geometry.py      unit vectors, centroids, cosine distances, principal components
    clustering.py    an engine's groups as clusters, named as in the previous run
    run_state.py     what a run leaves behind for the next
    assigning.py     new photos and outliers into clusters that exist

Words
    labels.py        a label for each photo
    keywords.py      class-based TF-IDF, and what clusters are called
    words.py         captions into words that say something of a photo

Time
    contradictions.py  captions of one burst or event that contradict each other
    chunks.py        events (adaptive gaps in capture time), days and trips
    places.py        names of places, offline

Likeness
    duplicates.py    exact copies, near-duplicates and bursts
    hash_pairs.py    perceptual hashes that are close

Outputs
    csv_export.py    a row for every photo
    markdown.py      to skim
    summary.py       for machines
    forgetting.py    photos out of them
    text.py          names and captions as text that nothing obeys
    page/            the HTML report
"""
