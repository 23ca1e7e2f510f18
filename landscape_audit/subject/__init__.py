"""What is audited: checkpoint, model, data and loss, joined into one function theta -> L(theta)."""
