"""An `audit.toml` proposed from what lies beside a checkpoint. Nothing found is run, imported or trusted."""
