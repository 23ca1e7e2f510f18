"""Every expensive measurement, taken once and shared."""
