"""Image in, probabilities and labels out. Knows no Qt and no napari."""
