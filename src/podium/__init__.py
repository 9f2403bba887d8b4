"""The library that the stages in `src/` call. It never imports a stage."""
