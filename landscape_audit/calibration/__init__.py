"""What audits of one checkpoint that differ in seed and sample say about limits. No torch: it works from results."""
