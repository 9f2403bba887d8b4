"""Follow a notebook: its log, and how it ends."""

import time
from typing import Any

from podium.core import console
from podium.core.errors import UserError
from podium.kaggle_gpu.client import Client
from podium.kaggle_gpu.log import Log
from podium.kaggle_gpu.state import Notebook, State

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 30.0  # between two status requests
QUEUE_MINUTES = 15.0  # between two lines that say that a notebook is queued
MISSING_SECONDS = 60.0  # before a notebook counts as deleted: Kaggle may list a new one late
ACTIVE = ("queued", "running", "new_script")


def wait(client: Client, state: State, notebook: Notebook) -> None:
    """Print the log of a notebook until it is complete.

    Raises:
        UserError: if it fails, is cancelled or deleted.
    """
    log = Log(client.api, notebook.ref, printed=notebook.printed)
    pause, previous, queued_at = MIN_PAUSE_SECONDS, "", time.monotonic()
    seen_at = time.monotonic()
    while True:
        found = client.status(notebook.ref)
        status, message = found or ("missing", "")
        seen_at = seen_at if found is None else time.monotonic()
        is_over = status not in (*ACTIVE, "missing")
        for line in log.rest() if is_over else log.new():
            console.say(line)
        if log.printed != notebook.printed:
            notebook.printed = log.printed
            state.save()
        is_long = time.monotonic() - queued_at > 60 * QUEUE_MINUTES
        if status != previous or (status == "queued" and is_long):
            queued_at = time.monotonic()
            hint = ": Kaggle has no free GPU yet" if status == previous else ""
            console.say(f"notebook {notebook.ref}: {status}{hint}")
        if status == "complete":
            return
        if is_over:
            state.forget(failed=True)
            raise UserError(
                f"The notebook {notebook.ref} ended with status {status}: "
                f"{message or 'no reason given'}. Its results are lost, earlier ones are kept. "
                f"See https://www.kaggle.com/code/{notebook.ref}, and rerun to start another."
            )
        if found is None and time.monotonic() - seen_at > MISSING_SECONDS:
            log.close()
            log = _find_again(client, state, notebook)
            seen_at = time.monotonic()
        time.sleep(pause)
        pause, previous = min(1.5 * pause, MAX_PAUSE_SECONDS), status


def _find_again(client: Client, state: State, notebook: Notebook) -> Log:
    """Continue with a notebook that was renamed.

    Raises:
        UserError: if it was deleted.
    """
    name = client.renamed(notebook.kernel_id)
    if name is None:
        state.forget(failed=True)
        raise UserError(
            f"The notebook {notebook.ref} was deleted. Its results are lost, earlier ones are "
            "kept. Rerun to start another."
        )
    if name != notebook.ref:
        console.say(f"notebook {notebook.ref} is called {name} now")
    notebook.ref = name
    state.save()
    return Log(client.api, name, printed=notebook.printed)


def failure(notebook: Notebook, outcome: dict[str, Any]) -> str:
    """What has failed in a notebook, and what to do."""
    rules = f"https://www.kaggle.com/competitions/{notebook.competition}/rules"
    advice = {
        "gpu": "Verify your phone number at https://www.kaggle.com/settings: Kaggle gives a GPU "
        "only then. Then rerun.",
        "rules": f"Accept the competition's rules ({rules}), check competition.slug, and rerun.",
        "user": "",
        "system": "What has arrived is kept. Rerun to start another notebook.",
    }
    message = f"{str(outcome['message']).rstrip().removesuffix('.')}."
    return f"{notebook.ref}: {message} {advice[outcome['kind']]}".rstrip()
