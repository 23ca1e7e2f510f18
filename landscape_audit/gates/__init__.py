"""Policies read, checked before anything is measured, and held against an audit. The demands are in `policy.py`."""
