"""Files, records, checkpoints, the terminal, and where results come from."""
