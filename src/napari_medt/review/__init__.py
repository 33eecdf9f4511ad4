"""How a mask was made, and pictures of it for people without a viewer."""
