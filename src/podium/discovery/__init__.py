"""What `make init` does: look at a competition's files, and write params.yaml for them."""
