"""Drawings: one file a detail kind. Only svg.py imports matplotlib."""
