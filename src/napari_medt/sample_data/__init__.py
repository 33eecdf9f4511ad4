"""Generated sample images with their ground truth, and the generator that draws them."""
