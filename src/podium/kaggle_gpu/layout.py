"""Files of the project's folder in a notebook. Used there, so it imports no third-party package."""

from pathlib import Path

WORK = Path("work.json")  # what the driver has sent, see work.py
USER_PARAMS = Path("params.user.yaml")  # params.yaml as the user has it
NOTEBOOK_PARAMS = Path("params.notebook.yaml")  # with COMPETITION as competition.source
COMPETITION = Path("competition-files")  # link to the attached data
WHEELS = Path(".wheels")  # installed packages
HUB = Path(".hub")  # weights, as the hub's local cache has them
PROGRESS = Path(".checkpoints/progress.json")
