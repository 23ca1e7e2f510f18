"""An audit on a model card: one block in its text, and entries in the model-index of its front matter."""
