"""The napari widget and sample images: the only code that knows Qt and napari."""
