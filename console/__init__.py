"""What a person types and reads: flags, the progress bar, sentences, the log, signals.

Only the two apps import this package.
"""
