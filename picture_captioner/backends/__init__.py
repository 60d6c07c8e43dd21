"""Who writes captions: the base class, the registry, one file per backend."""
