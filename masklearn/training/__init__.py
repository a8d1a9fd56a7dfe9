"""Mask decisions to corrupted examples, to losses, to steps, to the training loop."""
