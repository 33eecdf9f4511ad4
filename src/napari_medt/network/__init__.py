"""The MedT family as torch modules. Knows torch only: no image, no file, no GUI."""
