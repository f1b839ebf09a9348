"""`jobs`: the clips of a jobs file, made straight at xAI and kept in a folder; no AWS."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput, NoAnswer
from videoconductor_cli.exits import INTERRUPTED, counted

if TYPE_CHECKING:
    from videoconductor_cli.jobs.manifest import Manifest
    from videoconductor_cli.jobs.reading import JobsFile
    from videoconductor_cli.jobs.running import Result
    from videoconductor_cli.jobs.survey import Survey

FLAGS = ("draft", "production", "draft_i2v", "production_i2v")
NO_KEY = """\
XAI_API_KEY is not set. Clips of a jobs file are made by xAI itself, and billed.
To try it without paying, run xAI's simulator beside it:
  {program} simulator --port 8790 --key sim-key
and give this command XAI_API_BASE_URL=http://127.0.0.1:8790/v1 XAI_API_KEY=sim-key"""


def jobs(
    file: Annotated[str, typer.Argument(metavar="JOBS.json", help="The jobs file; - reads stdin.")],
    clip_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLIP_ID", help="Clips to make; all if none is named."),
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Quality mode of all clips.")] = False,
    production: Annotated[
        bool, typer.Option("--production", help="Quality mode of all clips.")
    ] = False,
    draft_i2v: Annotated[
        bool, typer.Option("--draft_i2v", help="Quality mode of all clips.")
    ] = False,
    production_i2v: Annotated[
        bool, typer.Option("--production_i2v", help="Quality mode of all clips.")
    ] = False,
    remaster: options.Remaster = False,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the clips and verify them.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            show_default="generated/PROJECT",
            help="Folder of the manifest and the clips.",
        ),
    ] = None,
    max_cost_usd: options.MaxCostUsd = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make clips anew that are there already.")
    ] = False,
    attach: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP_ID=REQUEST_ID", help="Wait for a job that you found again."),
    ] = None,
    retry_unknown: Annotated[
        list[str] | None,
        typer.Option(metavar="CLIP_ID", help="Send again, though it may be paid for twice."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=32, help="How many clips are made at once.")
    ] = 4,
    as_json: options.AsJson = False,
) -> None:
    """Make the clips of a jobs file straight at xAI.

    Needs XAI_API_KEY and no AWS. Run it again to go on where it stopped: nothing is sent twice.
    What it spends is outside a stack's caps, kill switch, ledger and quotes; --max-cost-usd is its
    only limit.
    The exit code is the number of clips that are not there.
    """
    given = dict(locals())
    from videoconductor.errors import InvalidRequest
    from videoconductor_cli import reading
    from videoconductor_cli.jobs import reading as jobs_reading

    stem = "" if file == "-" else Path(file).stem
    try:
        read = jobs_reading.jobs_file(reading.text(file), stem)
        code = _Run(read, given).through()
    except InvalidRequest as invalid:
        lines = [f"  {problem}" for problem in invalid.problems]
        message = f"{file} cannot be used as asked; nothing was sent:"
        raise BadInput("\n".join([message, *lines])) from invalid
    if code:
        raise typer.Exit(code)


class _Run:
    """One run of the command, from the file's content to the exit code."""

    def __init__(self, file: JobsFile, given: dict[str, Any]) -> None:
        from videoconductor_cli.jobs import surroundings
        from videoconductor_cli.jobs.deciding import Want
        from videoconductor_cli.jobs.plans import Choice, planned
        from videoconductor_cli.jobs.survey import Decisions

        self.file, self.given = file, given
        self.settings = surroundings.settings()
        self.rules = surroundings.rules(self.settings)
        flags = [flag for flag in FLAGS if given[flag]]
        choice = Choice(given["clip_ids"] or (), flags, given["remaster"])
        self.clips = planned(file, choice, self.rules)
        self.folder: Path = given["to"] or Path("generated") / file.project
        self.folder = self.folder.expanduser()
        self.want = Want(given["download"], given["force"])
        self.decisions = Decisions(given["attach"] or (), given["retry_unknown"] or ())

    def through(self) -> int:
        """All of it; the exit code. Before anything is done: BadInput, NoAnswer, InvalidRequest."""
        from videoconductor_cli.downloads import check_writable
        from videoconductor_cli.jobs.manifest import NotOnRecord, held

        # A first look without the lock: what is refused here leaves no trace.
        first, _ = self._look()
        self._show_plan(first)
        self._check(first)
        check_writable(self.folder)
        with held(self.folder):
            survey, manifest = self._look()
            if [row.words for row in survey.rows] != [row.words for row in first.rows]:
                self._show_plan(survey)  # another process was at work in between
            self._check(survey)
            try:
                for entry in survey.news(manifest):
                    manifest.put(entry)
                return self._carry_out(survey, manifest)
            except NotOnRecord as problem:
                raise BadInput(f"nothing was sent: {problem}") from problem
            finally:
                manifest.close()

    def _look(self) -> tuple[Survey, Manifest]:
        from videoconductor import wiring
        from videoconductor_cli.jobs.manifest import Manifest
        from videoconductor_cli.jobs.surroundings import is_simulated, new_id
        from videoconductor_cli.jobs.survey import survey

        keys = [clip.key for clip in self.clips]
        manifest = Manifest(
            self.folder, self.file.project, keys, simulated=is_simulated(self.settings)
        )
        seen = survey(
            manifest, self.clips, self.want, self.decisions, self.folder, new_id, wiring.now()
        )
        return seen, manifest

    def _show_plan(self, survey: Survey) -> None:
        from videoconductor_cli import showing
        from videoconductor_cli.jobs.plans import clip_notes, file_notes

        chosen = f"{len(self.clips)} of {len(self.file.clips)} clips"
        showing.say(f"{self.file.project}: {chosen}, kept in {self.folder}")
        for row in survey.rows:
            plan = showing.described(row.clip.plan.model_dump(mode="json"))
            showing.say(f"  {row.clip.id}: {plan}: {row.words}")
        for note in (*file_notes(self.file, self.rules), *clip_notes(self.clips)):
            showing.say(f"  note: {note}")
        sent = sum(row.may_send for row in survey.rows)
        as_of = ", ".join(sorted({clip.plan.estimate.as_of for clip in self.clips}))
        cost = f"estimate: {showing.usd(float(survey.total_usd))} (prices of {as_of})"
        showing.say(f"to be sent: {sent} of {len(survey.rows)} clips, {cost}")

    def _check(self, survey: Survey) -> None:
        """Raises BadInput when it would cost too much, NoAnswer without a key."""
        from videoconductor import pricing
        from videoconductor_cli import showing

        most = self.given["max_cost_usd"]
        sent = [row.clip.plan.estimate for row in survey.rows if row.may_send]
        unpriced = dict.fromkeys(name for estimate in sent for name in pricing.unpriced(estimate))
        if most is not None and unpriced:
            names = ", ".join(unpriced)
            raise BadInput(
                f"--max-cost-usd {most:g} cannot be kept: no price is known of {names}: nothing "
                "was sent"
            )
        if most is not None and float(survey.total_usd) > most:
            estimate = showing.usd(float(survey.total_usd))
            raise BadInput(
                f"--max-cost-usd {most:g} is less than the estimate of {estimate}: nothing was sent"
            )
        if not survey.is_idle and not self.settings.api_key:
            raise NoAnswer(NO_KEY.format(program=showing.program()))

    def _carry_out(self, survey: Survey, manifest: Manifest) -> int:
        from videoconductor import wiring
        from videoconductor_cli.jobs import report, running, surroundings
        from videoconductor_cli.jobs.board import board
        from videoconductor_cli.jobs.making import Maker

        began = wiring.now()
        run = report.run_begin(surroundings.new_id(), survey, began)
        if not survey.is_idle:
            manifest.put_run(run)
        stop = running.Stop()
        with board(survey) as shown:
            tools = surroundings.tools(self.settings, self.folder, manifest, shown, stop)
            maker = Maker(tools, self.want)
            result = running.run(survey, maker, stop, self.given["concurrency"], shown.say)
        missing = report.unfinished(survey.clips, result.outcomes)
        code = INTERRUPTED if result.is_interrupted else counted(len(missing))
        run |= report.run_end(survey, result.outcomes, manifest, began, wiring.now())
        run["exitCode"] = code
        self._conclude(survey, manifest, result, run)
        return code

    def _conclude(
        self, survey: Survey, manifest: Manifest, result: Result, run: dict[str, Any]
    ) -> None:
        """Say what came of it, put that on record, and print the answer."""
        from videoconductor_cli import showing
        from videoconductor_cli.jobs import report
        from videoconductor_cli.jobs.manifest import NotOnRecord

        for line in report.words(survey.clips, result, manifest, self._again()):
            showing.say(line)
        if not survey.is_idle:
            try:
                manifest.put_run(run)
            except NotOnRecord as problem:
                showing.say(f"the run itself is not on record: {problem}")
        if self.given["as_json"]:
            showing.give_json({**manifest.document(), "run": run})
            return
        for clip_id, place in report.places(survey.clips, result.outcomes, self.folder):
            showing.give(f"{clip_id}  {place}")
        showing.say(f"manifest: {manifest.path}")

    def _again(self) -> str:
        """This command once more, without what must not be done twice."""
        from videoconductor_cli import showing

        given = self.given
        words = [showing.program(), "jobs", given["file"]]
        words += [f"--{flag}" for flag in FLAGS if given[flag]]
        words += ["--remaster"] if given["remaster"] else []
        words += ["--download"] if given["download"] else []
        words += ["--to", str(given["to"])] if given["to"] else []
        return shlex.join([*words, *(given["clip_ids"] or ())])
