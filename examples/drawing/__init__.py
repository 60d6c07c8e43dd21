"""The pictures behind examples/photos, drawn with Pillow alone: no photo of anybody is needed."""
