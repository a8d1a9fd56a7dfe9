"""One thin main per stage: python -m experiments.STAGE --config=FILE --workdir=DIR."""
