"""Linear algebra on tensors and products. Knows no audit."""
