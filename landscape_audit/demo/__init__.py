"""A project as a user would have made it: a small network trained on real handwritten digits."""
