"""The owner of library.db: what is known of each photo besides its caption.

A cache and an index (docs/library.md): rebuilt from photos and journal at any time, never the
source of truth.

    store.py       `Library`: all that follows, open; files, thumbnails and vectors
    captions.py    the full-text index, which follows the journal
    selection.py   `Selection`: what is asked for, and its grammar
    searching.py   from a selection to photos: words, filters, vectors in one ranking
    looks.py       which of the photos found look alike
    conditions.py  filters in SQL
    word_search.py  where the words of a search are found
    words.py       from words to expressions that FTS5 accepts; `dogs` finds `dog`, in 20 languages
    texts.py       `Texts`: what is written in photos
    tags.py        `Tags`: those that a model gave, and how many photos have each
    told.py        `Others`: what other programs and people say; the surest time of each photo
    facts.py       `Facts`: width, time, place, ..., and the names of places
    faces.py       `Faces`: faces, and whose each is
    face_table.py  all of them as arrays, which clusters are made of
    face_runs.py   `FaceRuns`: clustering runs, and which face is in which cluster
    carrying.py    what is known of a photo into which words were written goes along
    forgetting.py  photos out of every table and free page
    clean_images.py  small clean copies of photos, in a folder beside the file
    vectors.py     half-precision vectors by model and key
    home.py        what a database has to be able to do
    database.py    the file: its transactions; file_access.py begins it, moves a broken one aside
    postgresql.py  a server: postgresql_access.py reaches it, postgresql_migrating.py prepares it
                   (postgresql_schema.py: its tables), postgresql_search.py finds words
                   and near vectors there
    copying.py     a library copied from one home to the other
    ledger.py      `Ledger`: what each stage did to each photo
    syncing.py     journals of several machines into one library, on a server
    schema.py      its tables, as numbered migrations; text that SQLite would not take
    migrating.py   from an older version to ours; drops rows that this program never wrote
"""
