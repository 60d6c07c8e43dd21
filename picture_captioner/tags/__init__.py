"""What a photo shows and holds, besides its caption: text in the picture (`text.py`)."""
