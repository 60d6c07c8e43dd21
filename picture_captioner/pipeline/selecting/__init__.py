"""Which photos a run takes.

walk.py            find the photos below a directory
photos_root.py     which directory that is, and whether it is still there
path_filter.py     --include and --exclude
file_list.py       --files-from
order.py           --order and --shard
selection.py       which of them this run takes, and which captions can be had without asking
hints.py           tags told to the model (--hints)
"""
