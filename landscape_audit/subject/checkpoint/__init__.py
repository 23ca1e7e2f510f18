"""A checkpoint on disk: its header, its tensors, and what it takes to recognise it again."""
