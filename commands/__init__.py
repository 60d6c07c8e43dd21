"""What each command of the two apps does: it wires the parts and tells the person.

Imported by the apps only, when the command runs; `caption.py` itself stays light.
"""
