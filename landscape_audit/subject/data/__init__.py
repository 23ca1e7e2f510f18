"""The validation sample: where it comes from, how it is drawn, batched and kept."""
