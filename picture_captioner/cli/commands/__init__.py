"""What each command does: it wires the parts and tells the person. Imported when it runs.

A command returns its exit code. What it cannot do it raises as a `FatalError`, which no caller
handles: `cli/execution.py` says the sentence and ends with the error's exit code.
"""
