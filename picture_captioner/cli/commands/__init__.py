"""What each command does: it wires the parts and tells the person. Imported when it runs."""
