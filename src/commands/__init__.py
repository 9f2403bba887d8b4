"""Programs that are not stages of the pipeline, one per Makefile target."""
