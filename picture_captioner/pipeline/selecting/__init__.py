"""Which photos a run takes.

walk.py            find the photos below a directory
photos_root.py     which directory that is, and whether it is still there
path_filter.py     --include and --exclude; folders with pictures that nobody took
file_list.py       --files-from
selection.py       which of them this run takes, in which order (--order, --shard), and which
                   captions can be had without asking
hints.py           tags and facts told to the model (--hints, --context)
"""
