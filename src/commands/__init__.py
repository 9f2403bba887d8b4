"""The programs beside the pipeline, one per Makefile target."""
