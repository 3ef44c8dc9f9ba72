"""Commands that judge the product on an organisation's own history, and train a tenant's text model."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civicpulse.cli.base import DataDir, TenantSlug, group, show_table, wanted_tenant, with_services

if TYPE_CHECKING:
    from civicpulse.base.services import Services
    from civicpulse.evaluation.duplicates import Outcome
    from civicpulse.evaluation.figures import Figures

quality_app = group("How good the product is on your own data.")
model_app = group("A tenant's text model.")

AsJson = Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout.")]
SHARES = ("precision", "recall", "recall, gold")
FIGURES = (
    ("accuracy", "right at first"),
    ("top3", "right among the first three"),
    ("macro_f1", "macro-F1"),
    ("majority", "always the commonest label"),
    ("mean_confidence", "mean confidence"),
    ("calibration_error", "calibration error"),
)


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
    least: Annotated[
        int | None, typer.Option(min=2, help="Labels with fewer rows are left out; without it, few are.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Confidence from which the product decides alone.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learns from the earlier rows, files the later ones, and counts what is right."""
    from civicpulse.evaluation.analysis import judge_file, to_json_text

    chosen: dict[str, Any] = {
        name: value for name, value in (("least", least), ("threshold", threshold)) if value is not None
    }
    outcome = judge_file(file, text=tuple(text), label=label, time=time, train_share=train_share, **chosen)
    if as_json:
        typer.echo(to_json_text(outcome.to_json()))
        return
    _show(outcome.to_json(), title=file.name)
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in outcome.skipped.items() if count)
    typer.echo(f"left out: {left or 'nothing'}")


@quality_app.command("decisions")
def quality_decisions(tenant: TenantSlug, as_json: AsJson = False, data: DataDir = None) -> None:
    """Says how staff decided about duplicates: what was merged, undone, turned down, and what that says of the rule."""

    from civicpulse.duplicates.pairs import decisions
    from civicpulse.evaluation.analysis import to_json_text

    async def work(services: "Services") -> dict[str, Any]:
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await decisions(tx)

    found = with_services(data, work)
    if as_json:
        typer.echo(to_json_text(found))
        return
    rows = [(origin, counts["merged"], counts["undone"]) for origin, counts in found["merges"].items()]
    show_table(("merged by", "merged", "undone"), rows, title=f"{tenant}: decisions about duplicates")
    proposals, rejections = found["proposals"], found["rejections"]
    typer.echo(f"turned down: {rejections['rejected']} by staff's word, {rejections['unmerged']} by undoing a merge")
    typer.echo("proposed pairs: " + ", ".join(f"{count} {what}" for what, count in proposals.items()))
    for key, words in (
        ("precision_of_attached", "attached at intake and left so"),
        ("acceptance_of_proposals", "proposals accepted"),
    ):
        typer.echo(f"{words}: {'nothing decided yet' if found[key] is None else format(found[key], '.1%')}")


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
    from civicpulse.evaluation.analysis import to_json_text
    from civicpulse.evaluation.duplicates import judge_duplicates

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
    tenant: TenantSlug,
    force: Annotated[bool, typer.Option("--force", help="Use the new model whatever the figures.")] = False,
    as_json: AsJson = False,
    data: DataDir = None,
) -> None:
    """Learns from what staff confirmed; the new model is used if it is not worse on the later slice."""

    from civicpulse.evaluation.analysis import to_json_text
    from civicpulse.triage.models import train

    async def work(services: "Services") -> Any:
        return await train(services, await wanted_tenant(services, tenant), by="operator", force=force)

    done = with_services(data, work)
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
    typer.echo(f"{state} ({done.reason.replace('_', ' ')}), {done.rows} confirmed requests")


@model_app.command("evaluate")
def model_evaluate(tenant: TenantSlug, as_json: AsJson = False, data: DataDir = None) -> None:
    """Measures accuracy, macro-F1, calibration and coverage on the later fifth of the history; and lists the stored versions."""

    from civicpulse.evaluation.analysis import to_json_text
    from civicpulse.triage.models import evaluate

    async def work(services: "Services") -> Any:
        return await evaluate(services, await wanted_tenant(services, tenant))

    found = with_services(data, work)
    if as_json:
        typer.echo(to_json_text(found))
        return
    if found["metrics"]:
        _show(found["metrics"], title=tenant)
    else:
        typer.echo(f"{found['rows']} confirmed requests are too few to judge a model")
    for row in found["models"]:
        mark = "in use" if row["active"] else ""
        typer.echo(
            f"version {row['version']}  {row['trained_at']:%Y-%m-%d %H:%M}  {row['rows']} rows  {row['bytes'] // 1024} KiB  {mark}"
        )


def _show(figures: dict[str, Any], *, title: str, before: dict[str, Any] | None = None) -> None:
    learnt = f"{figures['rows_train']} rows learnt, {figures['rows_test']} judged, {figures['classes']} labels"
    told = [figures, before] if before else [figures]
    rows = [(words, *(f"{one[key]:.3f}" for one in told)) for key, words in FIGURES]
    show_table(("figure", "now", "before")[: len(told) + 1], rows, title=f"{title}: {learnt}")
    coverage = [
        (f"{one['share']:.0%}", f"{one['accuracy']:.3f}", f"{one['threshold']:.3f}") for one in figures["coverage"]
    ]
    show_table(("share", "right", "from confidence"), coverage, title="deciding alone only the surest")
    decided = figures["at_threshold"]
    typer.echo(
        f"from confidence {decided['threshold']:g} on: {decided['share']:.0%} decided alone, {decided['accuracy']:.0%} of them right"
    )


def _show_duplicates(outcome: "Outcome", *, title: str) -> None:
    labels = outcome.labels
    counted = f"{outcome.rows} requests, {labels['flagged']} flagged, {labels['gold_pairs']} gold pairs"
    judged = (("attached", outcome.attached), ("attached or proposed", outcome.offered))
    rows = [(name, *_shares(figures), figures.count) for name, figures in judged]
    show_table(("", *SHARES, "requests"), rows, title=f"{title}: {counted}")
    curve = [(rung.reach, *_shares(rung.figures), rung.figures.count) for rung in outcome.curve]
    show_table(
        ("reach", *SHARES, "requests"), curve, title="the curve: from strict to loose; 1 is the pack as it stands"
    )
    plain = [
        (
            f"{one.metres:g} m, {one.hours:g} h",
            *_shares(one.figures),
            "not reached" if one.ours is None else f"{one.ours:.3f}",
        )
        for one in outcome.baselines
    ]
    show_table(("within", *SHARES, "ours at that recall"), plain, title="same type, earlier, still open")
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in outcome.left_out.items() if count)
    typer.echo(f"left out: {left or 'nothing'}")
    for wrong in outcome.wrong:
        one, other = wrong.request, wrong.master
        typer.echo(f"{wrong.metres:6.1f} m {wrong.hours:7.2f} h  {one.number} {one.kind} ({one.channel}) {one.address}")
        typer.echo(f"{'':20}{other.number} {other.kind} ({other.channel}) {other.address}")


def _shares(figures: "Figures") -> tuple[str, str, str]:
    return f"{figures.precision:.3f}", f"{figures.recall:.3f}", f"{figures.recall_gold:.3f}"
