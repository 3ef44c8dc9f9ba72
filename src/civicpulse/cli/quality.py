"""Commands that judge the product on an organisation's own history, and train a tenant's text model."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from civicpulse.cli.base import DataDir, at_work, run, wanted_tenant
from civicpulse.duplicates.pairs import decisions
from civicpulse.evaluation.analysis import MIN_ROWS, judge_file, to_json_text
from civicpulse.evaluation.duplicates import Outcome, judge_duplicates
from civicpulse.evaluation.figures import Figures
from civicpulse.triage.metrics import THRESHOLD
from civicpulse.triage.models import evaluate, train

quality_app = typer.Typer(no_args_is_help=True, help="How good the product is on your own data.")
model_app = typer.Typer(no_args_is_help=True, help="A tenant's text model.")

out = Console(highlight=False)
AsJson = Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")]
FIGURES = (
    ("accuracy", "right at first"),
    ("top3", "right among the first three"),
    ("macro_f1", "macro-F1"),
    ("majority", "always the commonest label"),
    ("mean_confidence", "mean confidence"),
    ("calibration_error", "calibration error"),
)


@quality_app.callback()
def _quality() -> None:
    """Says how good the product is on your own data."""


@quality_app.command("analysis")
def quality_analysis(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV with any delimiter, also .gz, or XLSX.")
    ],
    text: Annotated[list[str], typer.Option(help="Column with what people wrote; may be given several times.")],
    label: Annotated[str, typer.Option(help="Column with the category that was right.")],
    time: Annotated[str | None, typer.Option(help="Column with when; without it the file's order counts.")] = None,
    train_share: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of the rows, oldest first, to learn from.")
    ] = 0.8,
    least: Annotated[int, typer.Option(min=2, help="Labels with fewer rows are left out.")] = MIN_ROWS,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence from which the product decides alone.")
    ] = THRESHOLD,
    as_json: AsJson = False,
) -> None:
    """Learns from the earlier rows, files the later ones, and counts what is right."""
    outcome = judge_file(
        file, text=tuple(text), label=label, time=time, train_share=train_share, least=least, threshold=threshold
    )
    if as_json:
        typer.echo(to_json_text(outcome.to_json()))
        return
    _show(outcome.to_json(), title=file.name)
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in outcome.skipped.items() if count)
    out.print(f"left out: {left or 'nothing'}")


@quality_app.command("decisions")
def quality_decisions(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")], as_json: AsJson = False, data: DataDir = None
) -> None:
    """Says how staff decided about duplicates: what was merged, undone, turned down, and what that says of the rule."""

    async def work() -> dict[str, Any]:
        async with at_work(data) as services, services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await decisions(tx)

    found = run(work)
    if as_json:
        typer.echo(to_json_text(found))
        return
    table = Table(title=f"{tenant}: decisions about duplicates")
    for column in ("merged by", "merged", "undone"):
        table.add_column(column, justify="left" if column == "merged by" else "right")
    for origin, counts in found["merges"].items():
        table.add_row(origin, str(counts["merged"]), str(counts["undone"]))
    out.print(table)
    proposals, rejections = found["proposals"], found["rejections"]
    out.print(f"turned down: {rejections['rejected']} by staff's word, {rejections['unmerged']} by undoing a merge")
    out.print("proposed pairs: " + ", ".join(f"{count} {what}" for what, count in proposals.items()))
    for key, words in (
        ("precision_of_attached", "attached at intake and left so"),
        ("acceptance_of_proposals", "proposals accepted"),
    ):
        out.print(f"{words}: {'nothing decided yet' if found[key] is None else format(found[key], '.1%')}")


@quality_app.command("duplicates")
def quality_duplicates(
    requests: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Requests: CSV with any delimiter, also .gz, or XLSX.")
    ],
    labels: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="Which of them staff flagged, and of what.")
    ],
    mapping: Annotated[str, typer.Option(help="Import mapping: a shipped one's name, or a YAML file.")],
    pack: Annotated[str, typer.Option(help="Pack: a shipped one's name, or a YAML file.")] = "civic",
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="Judge requests from this day on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Judge requests before this day.")
    ] = None,
    wrong: Annotated[int, typer.Option(min=0, help="List so many attachments that the labels do not know.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Replays a file of requests through the duplicate rule and compares with what staff flagged."""
    outcome = judge_duplicates(
        requests,
        labels,
        mapping=mapping,
        pack=pack,
        since=since.date() if since else None,
        until=until.date() if until else None,
        wrong=wrong,
    )
    if as_json:
        typer.echo(to_json_text(outcome.to_json()))
        return
    _show_duplicates(outcome, title=requests.name)


@model_app.command("train")
def model_train(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    force: Annotated[bool, typer.Option("--force", help="Use the new model whatever the figures.")] = False,
    as_json: AsJson = False,
    data: DataDir = None,
) -> None:
    """Learns from what staff confirmed; the new model is used if it is not worse on the later slice."""

    async def work() -> Any:
        async with at_work(data) as services:
            return await train(services, await wanted_tenant(services, tenant), by="operator", force=force)

    done = run(work)
    if as_json:
        typer.echo(to_json_text({name: getattr(done, name) for name in done.__slots__}))
        return
    if done.metrics:
        _show(done.metrics, title="new model", before=done.metrics_before)
    state = (
        "no model stored"
        if done.version is None
        else f"version {done.version} {'in use' if done.active else 'kept, not in use'}"
    )
    out.print(f"{state} ({done.reason.replace('_', ' ')}), {done.rows} confirmed requests")


@model_app.command("evaluate")
def model_evaluate(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")], as_json: AsJson = False, data: DataDir = None
) -> None:
    """Measures accuracy, macro-F1, calibration and coverage on the later fifth of the history; and lists the stored versions."""

    async def work() -> Any:
        async with at_work(data) as services:
            return await evaluate(services, await wanted_tenant(services, tenant))

    found = run(work)
    if as_json:
        typer.echo(to_json_text(found))
        return
    if found["metrics"]:
        _show(found["metrics"], title=tenant)
    else:
        out.print(f"{found['rows']} confirmed requests are too few to judge a model")
    for row in found["models"]:
        mark = "in use" if row["active"] else ""
        out.print(
            f"version {row['version']}  {row['trained_at']:%Y-%m-%d %H:%M}  {row['rows']} rows  {row['bytes'] // 1024} KiB  {mark}"
        )


def _show(figures: dict[str, Any], *, title: str, before: dict[str, Any] | None = None) -> None:
    table = Table(
        title=f"{title}: {figures['rows_train']} rows learnt, {figures['rows_test']} judged, {figures['classes']} labels"
    )
    table.add_column("figure")
    table.add_column("now", justify="right")
    if before:
        table.add_column("before", justify="right")
    for key, words in FIGURES:
        table.add_row(words, f"{figures[key]:.3f}", *([f"{before[key]:.3f}"] if before else []))
    out.print(table)
    coverage = Table(title="deciding alone only the surest")
    for column in ("share", "right", "from confidence"):
        coverage.add_column(column, justify="right")
    for entry in figures["coverage"]:
        coverage.add_row(f"{entry['share']:.0%}", f"{entry['accuracy']:.3f}", f"{entry['threshold']:.3f}")
    out.print(coverage)
    decided = figures["at_threshold"]
    out.print(
        f"from confidence {decided['threshold']:g} on: {decided['share']:.0%} decided alone, {decided['accuracy']:.0%} of them right"
    )


def _show_duplicates(outcome: Outcome, *, title: str) -> None:
    labels = outcome.labels
    table = Table(
        title=f"{title}: {outcome.rows} requests, {labels['flagged']} flagged, {labels['gold_pairs']} gold pairs"
    )
    for column in ("", "precision", "recall", "recall, gold", "requests"):
        table.add_column(column, justify="right" if column else "left")
    for name, figures in (("attached", outcome.attached), ("attached or proposed", outcome.offered)):
        table.add_row(name, *_shares(figures), str(figures.count))
    out.print(table)
    curve = Table(title="the curve: from strict to loose; 1 is the pack as it stands")
    for column in ("reach", "precision", "recall", "recall, gold", "requests"):
        curve.add_column(column, justify="right")
    for rung in outcome.curve:
        curve.add_row(rung.reach, *_shares(rung.figures), str(rung.figures.count))
    out.print(curve)
    plain = Table(title="same type, earlier, still open")
    for column in ("within", "precision", "recall", "recall, gold", "ours at that recall"):
        plain.add_column(column, justify="right")
    for baseline in outcome.baselines:
        ours = "not reached" if baseline.ours is None else f"{baseline.ours:.3f}"
        plain.add_row(f"{baseline.metres:g} m, {baseline.hours:g} h", *_shares(baseline.figures), ours)
    out.print(plain)
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in outcome.left_out.items() if count)
    out.print(f"left out: {left or 'nothing'}")
    for wrong in outcome.wrong:
        one, other = wrong.request, wrong.master
        out.print(f"{wrong.metres:6.1f} m {wrong.hours:7.2f} h  {one.number} {one.kind} ({one.channel}) {one.address}")
        out.print(f"{'':20}{other.number} {other.kind} ({other.channel}) {other.address}")


def _shares(figures: Figures) -> tuple[str, str, str]:
    return f"{figures.precision:.3f}", f"{figures.recall:.3f}", f"{figures.recall_gold:.3f}"
