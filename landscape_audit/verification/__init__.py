"""A report held against its own results, the checkpoint and the policy. Reports are foreign data."""
