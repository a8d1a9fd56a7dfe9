"""Answers of a model, their scores, intervals, and the answers that a policy hides."""
