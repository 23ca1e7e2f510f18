"""Two audits side by side: whether they can be compared, and how much every number changed."""
