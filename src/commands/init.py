"""Detect the layout of a competition's files and write params.yaml for it."""

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Mapping

from podium.competition import fetch
from podium.competition.archive import Archive
from podium.config.competition import Competition
from podium.core import files, params_file, paths, program
from podium.core.errors import UserError, examples
from podium.init import (
    facts,
    folders,
    guard,
    guesses,
    missing_images,
    printout,
    template,
    unread,
    weights,
)
from podium.init import source as sources
from podium.init.dry_run import dry_run
from podium.init.guesses import Guess
from podium.init.layout import Layout
from podium.init.survey import Survey, survey
from podium.init.understand import understand
from podium.params import schema
from podium.planning import limit

ANSWERS = {
    "task": "binary | multiclass | multilabel | ordinal | regression | multitarget",
    "metric": "the metric on the competition's evaluation page, e.g. macro_f1",
    "prepare.id_column": "the column with the image ids or file names",
    "prepare.label_column": "the label column, or one per class or target, separated by commas",
    "prepare.no_label": "values that are missing labels: label=Not sure,label=Skip; none: no value",
    "prepare.label_pattern": "a regular expression whose group captures the label in the file name",
    "prepare.label_map": "the label of each class folder: Cover=0,JMiPOD=1,UERD=1",
    "prepare.more_train_csv": "further tables of labeled images, like val.csv; none: ignore them",
    "prepare.more_train_images": "further folders of labeled images, like val; none: ignore them",
    "prepare.unlabeled": "rows without a label: error, or drop them",
    "prepare.raters": "how to combine different labels of an image: majority, soft, first, …",
    "prepare.on_bad_image": "missing and damaged images: error, skip, or blank (black test images)",
    "prepare.positive_class": "one of the two classes; none: the last in sort order",
    "prepare.features": "columns as further inputs: auto, none, or names separated by commas",
    "prepare.stack": "the parts of image names that become channels, in order; none: separate",
    "prepare.channels": "the images' channels: 3 (RGB), or as many as the files have",
    "prepare.group_column": "the column of groups to keep within one fold; none: no groups",
    "prepare.unit_column": "the columns that tell apart what a row of the submission is, like a,b",
    "prepare.group_pattern": "the same, for file names: a regular expression with one group; none",
}


def main() -> None:
    """Fetch the files, infer their layout, ask about what is uncertain, and write params.yaml."""
    options = _options()
    if params_file.PARAMS.exists():
        guard.check_committed(params_file.PARAMS, command="make init")
    source, slug = sources.source_and_slug(options.source, options.slug)
    weights.check_weights(options.pretrained)
    with sources.staging(paths.RAW, slug) as raw:
        fetch.fetch(Competition(source=source, slug=slug), raw=raw, solution=paths.SOLUTION)
        with Archive(raw / f"{slug}.zip") as archive:
            content = survey(archive)
            print(printout.files(content, slug), flush=True)
            is_interactive = sys.stdin.isatty() and sys.stdout.isatty() and not options.yes
            answers = {key: text for key in ANSWERS if (text := getattr(options, key)) is not None}
            layout = resolve(content, answers, ask if is_interactive else None)
            print(printout.settings(layout), flush=True)
            try:
                if layout.error is not None:
                    raise layout.error
                tables = dry_run(archive, layout)
            except UserError as error:
                answerable = [guess for guess in layout.guesses if guess.key in ANSWERS]
                if folders.ON_BAD_IMAGE in str(error):
                    answerable.append(missing_images.guess((), ()))
                hint = printout.correction_hint(error, answerable, source)
                raise UserError(f"{unread.explain(error, content)}\n{hint}") from None
        chosen, device = weights.read(options.pretrained), facts.detect_device()
        measured, choice = None, None
        if not options.quick or options.minutes is not None:
            from podium.init import decide  # imports torch, which takes seconds
            from podium.planning import stopwatch

            data = decide.Data(archive, layout, tables, device, chosen)
            with stopwatch.cpu_time() if options.cpu_time else contextlib.nullcontext():
                measured, choice = decide.decide(data, minutes=options.minutes, quick=options.quick)
        text = template.render(
            layout,
            tables,
            source=source,
            slug=slug,
            device=device,
            weights=chosen,
            measured=measured,
            choice=choice,
        )
        schema.validate(params_file.parse(text, source="make init"), source="make init")
    files.write_text(params_file.PARAMS, text)
    if chosen is not None and chosen.architecture is None:
        print(f"  {chosen.path}: not named after a timm architecture. Check `architecture`.")
    print(printout.next_steps(layout.guesses))


def resolve(
    content: Survey, answers: Mapping[str, str], ask: Callable[[Guess], str | None] | None
) -> Layout:
    """Infer the layout, ask about the first uncertain guess, infer it again with the answer, and so
    on. `ask` returns an answer, or None to accept the guess; without it, nothing is asked.

    Raises:
        UserError: if one of `answers` is to a question that does not arise for these files.
    """
    answers, accepted = dict(answers), set[str]()
    layout = understand(content, answers)
    while ask is not None:
        uncertain = (guess for guess in layout.guesses if guess.is_open)
        question = next((guess for guess in uncertain if guess.key not in accepted), None)
        if question is None:
            break
        if (answer := ask(question)) is None:
            accepted.add(question.key)
        else:
            answers[question.key] = answer
            layout = understand(content, answers)
    if layout.error is None:
        unused = answers.keys() - {guess.key for guess in layout.guesses}
        if unused:
            names = ", ".join(sorted(map(guesses.option, unused)))
            raise UserError(f"{names}: not applicable to these files. Remove the option.")
    return layout


def ask(guess: Guess) -> str | None:
    """Ask on the terminal until the answer is valid. None (Enter or end of input) accepts the
    guess.
    """
    print(f"\n{guess.key} ({guess.confidence}: {guess.reason})")
    if guess.alternatives:
        alternatives = [guesses.to_text(value) for value in guess.alternatives]
        print(f"  alternatives: {examples(alternatives, most=12)}")
    while True:
        try:
            answer = input(f"{guess.name} [{guesses.to_text(guess.value)}]: ").strip()
            if not answer:
                return None
            guess.parsed(answer)
        except EOFError:
            print()
            return None
        except UserError as error:
            print(f"  {error}")
        else:
            return answer


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make init", description=__doc__)
    parser.add_argument("source", help="folder, zip archive, or Kaggle competition (slug or URL)")
    parser.add_argument("--slug", help="the competition's name in its Kaggle URL")
    parser.add_argument("--yes", action="store_true", help="accept all guesses without asking")
    for key, description in ANSWERS.items():
        parser.add_argument(guesses.option(key), dest=key, metavar="VALUE", help=description)
    parser.add_argument("--pretrained", metavar="FILE", help="weights to use instead of timm's")
    parser.add_argument("--quick", action="store_true", help="guess the settings of the models")
    parser.add_argument(
        "--minutes",
        type=limit.positive,
        help="choose models, sizes, epochs and folds for which `dvc repro` takes so long here",
    )
    parser.add_argument(
        "--cpu-time", action="store_true", help="the minutes are CPU time, of all cores together"
    )
    try:  # `make init ARGS=…` passes its options as one text that no shell may interpret
        options = shlex.split(os.environ.get("PODIUM_INIT_ARGS", ""))
    except ValueError as error:
        parser.error(f"ARGS: {error}")
    parsed = parser.parse_args([*options, *sys.argv[1:]])
    if parsed.cpu_time and parsed.minutes is None:
        parser.error("--cpu-time is for --minutes. Set both.")
    return parsed


if __name__ == "__main__":
    program.run(main)
