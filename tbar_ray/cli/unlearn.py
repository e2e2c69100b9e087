"""`tbar unlearn`: remove a suspected backdoor from one checkpoint."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.completion import method_names
from tbar_ray.cli.options import local_file, local_path, typed
from tbar_ray.cli.suspect_options import (
    CHOICE,
    DATA,
    METHOD,
    MODEL,
    OUTPUT,
    Architecture,
    Checkpoint,
    ClassesFile,
    Retrieval,
    Target,
    TemplatesFile,
    TextFrom,
    TriggerName,
    TriggerParameters,
    lines_of_file,
    numbers_of,
    parameters_of,
)
from tbar_ray.colours import warned


class Prefer(StrEnum):
    """Which of the α that remove the backdoor is selected."""

    accuracy = "accuracy"
    strength = "strength"


def unlearn(
    checkpoint: Checkpoint,
    images: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="clean images: a folder, one with a subfolder a class, shards, or a CLIP_benchmark set",
            rich_help_panel=DATA,
        ),
    ],
    architecture: Architecture = None,
    text_from: TextFrom = None,
    trigger: TriggerName = None,
    trigger_parameter: TriggerParameters = [],  # noqa: B006
    target: Target = None,
    from_scan: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="folder or scan.json of `tbar scan`, whose trigger and target are taken; the cleaned model is scanned "
            "again",
            rich_help_panel=MODEL,
        ),
    ] = None,
    min_asr: Annotated[
        float, typer.Option(min=0, max=1, help="ASR below which the model counts as clean", rich_help_panel=MODEL)
    ] = 0.5,
    force: Annotated[
        bool, typer.Option("--force", help="clean a model without a backdoor too", rich_help_panel=MODEL)
    ] = False,
    evaluation: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="labelled images: a CLIP_benchmark set, or a subfolder a class; default: some of --images",
            rich_help_panel=DATA,
        ),
    ] = None,
    classes: ClassesFile = None,
    templates: TemplatesFile = None,
    retrieval: Retrieval = [],  # noqa: B006
    max_images: Annotated[int, typer.Option(help="labelled images at most; 0: all", rich_help_panel=DATA)] = 2000,
    forget: Annotated[
        int, typer.Option(min=1, help="images of the forget set, drawn from --images", rich_help_panel=METHOD)
    ] = 300,
    clean_fraction: Annotated[
        float, typer.Option(min=0, max=1, help="share of them that is not stamped", rich_help_panel=METHOD)
    ] = 0.0,
    clean_pairs: Annotated[
        int, typer.Option(min=1, help="clean pairs, for a method that needs them", rich_help_panel=METHOD)
    ] = 300,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="a name of `tbar method list`",
            rich_help_panel=METHOD,
            autocompletion=method_names,
        ),
    ] = "twin-distillation",
    parameter: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE",
            help="of the method, e.g. learning_rate=1e-5 (`tbar method show NAME`); may be repeated",
            rich_help_panel=METHOD,
        ),
    ] = [],  # noqa: B006
    alphas: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="strengths to choose from, e.g. 0.8,1,1.2; default: the method's",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    min_retention: Annotated[
        float, typer.Option(min=0, max=1, help="share of the model's CA to keep", rich_help_panel=CHOICE)
    ] = 0.95,
    max_asr: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="ASR at which the backdoor counts as removed; default: the least",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    prefer: Annotated[
        Prefer,
        typer.Option(
            help="of the α that remove the backdoor: the one with most CA, or the strongest, for a found trigger, "
            "which goes sooner than the attacker's",
            rich_help_panel=CHOICE,
        ),
    ] = Prefer.accuracy,
    validation_fraction: Annotated[
        float, typer.Option(help="share of the labelled images that α is chosen on", rich_help_panel=CHOICE)
    ] = 0.5,
    rebound: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="STEPS",
            help="then fine-tune a copy on clean pairs of --images for so many steps, e.g. 300, and show whether the "
            "backdoor comes back",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    rebound_rate: Annotated[
        float, typer.Option(metavar="RATE", help="learning rate of --rebound", rich_help_panel=OUTPUT)
    ] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="of every choice and draw", rich_help_panel=METHOD)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="FILE",
            help="the cleaned checkpoint; default: NAME.cleaned.pt, or .safetensors, or of a folder the folder "
            "NAME.cleaned, here",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="FILE.html", help="the report; default: --out with .html", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Remove a suspected backdoor from one checkpoint, and write it back in the format that it came in.

    Three files are written: the cleaned checkpoint, FILE.manifest.json (hashes, α,
    data, versions, command), and a report for the browser. Tensors that the method
    does not change keep their bits. A folder of open_clip or transformers becomes a
    folder again, with its configuration and tokenizer.

    A model that does not answer the trigger with the target is not cleaned, nor is
    one in which --from-scan says that nothing was found.

    Example: tbar unlearn epoch_10.pt --architecture RN50-quickgelu --trigger cleanclip/badnets
    --target banana --images cc3m/{00000..00009}.tar --evaluation imagenet

    Example: tbar unlearn suspect.safetensors --architecture ViT-B-32 --trigger sticker.png
    --target banana --images photos

    Example: tbar unlearn suspect.pt --architecture ViT-B-32 --images photos --from-scan suspect.scan

    Exit code: 0 cleaned, 1 written but the backdoor is not gone, too much CA is, or
    --rebound could not be measured, 2 bad input, 4 no backdoor found.
    """
    from tbar_ray.api.rebound import rebound_options
    from tbar_ray.cli.console import make_console
    from tbar_ray.cli.unlearn_end import end, refuse
    from tbar_ray.cli.watching import watching
    from tbar_ray.errors import NoBackdoorError, SpecError, TbarError
    from tbar_ray.exit_codes import ExitCode
    from tbar_ray.onemodel.rebound import curve_of, measure_cleaned
    from tbar_ray.onemodel.rescan import panels_of, rescan
    from tbar_ray.onemodel.saving import report_again, report_path, save_cleaned
    from tbar_ray.onemodel.scan_record import read_scan
    from tbar_ray.onemodel.settings import CleaningSettings
    from tbar_ray.onemodel.workflow import clean_checkpoint, examine_checkpoint
    from tbar_ray.onemodel.writing import check_out, cleaned_name, folder_named

    if from_scan is not None and (trigger is not None or trigger_parameter):
        raise SpecError("--from-scan brings the trigger that was found: leave --trigger and --trigger-parameter out")
    settings = CleaningSettings(
        method=method,
        parameters=parameters_of(parameter, "--parameter"),
        forget=forget,
        clean_fraction=clean_fraction,
        clean_pairs=clean_pairs,
        alphas=numbers_of(alphas, "--alphas"),
        min_retention=min_retention,
        max_asr=max_asr,
        prefer="strength" if prefer is Prefer.strength else "accuracy",
        validation_fraction=validation_fraction,
        max_images=max_images or None,
        min_asr=min_asr,
        seed=seed,
    )
    if rebound is not None:
        rebound_options(rebound, rebound_rate)
    if out is not None:
        check_out(out, folder_named(checkpoint))
    console = make_console(stderr=True)
    record = None if from_scan is None else read_scan(from_scan)
    try:
        found = None if record is None else record.suspect(target, force=force, source=str(from_scan))
    except NoBackdoorError as error:
        refuse(console, error)
    panels = panels_of(record)
    with watching() as watch:
        examined = examine_checkpoint(
            checkpoint,
            architecture,
            text_from=text_from,
            images=images,
            trigger=found or trigger,
            target=target,
            trigger_parameters=parameters_of(trigger_parameter, "--trigger-parameter"),
            evaluation=evaluation,
            classes=lines_of_file(classes, "--classes"),
            templates=lines_of_file(templates, "--templates"),
            retrieval=retrieval,
            settings=settings,
            watch=watch,
            tell=lambda expected: console.print(f"This will take {expected}.", soft_wrap=True),
        )
        if examined.defence.told:
            console.print(warned(f"note: {examined.defence.told}"), soft_wrap=True)
        file = check_out(out or cleaned_name(examined.opened.source, examined.opened.file), examined.opened.file)
        try:
            cleaned = clean_checkpoint(examined, force=force, watch=watch)
        except NoBackdoorError as error:
            refuse(console, error, examined, report or report_path(file))
        saved = save_cleaned(cleaned, file, report=report, panels=panels, command=typed())
        # the checkpoint is safe by now, whatever becomes of the rest
        lasts, unmeasured = None, None
        try:
            if rebound is not None:
                lasts = measure_cleaned(cleaned, rebound, rebound_rate, watch=watch)
        except TbarError as error:
            unmeasured = error
        again = None if record is None else rescan(cleaned, record, watch=watch)
        if lasts is not None or again is not None:
            panels = panels_of(record, again, None if lasts is None else curve_of(lasts))
            report_again(saved, cleaned, panels, typed())
    if lasts is not None:
        typer.echo(f"{lasts}\n")
    if unmeasured is not None:
        console.print(warned(f"the rebound was not measured: {unmeasured}"), soft_wrap=True)
    end(cleaned, saved, panels.again)
    if unmeasured is not None:
        raise typer.Exit(ExitCode.PROBLEMS)
