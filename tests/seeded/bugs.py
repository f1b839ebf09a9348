"""The seeded bugs, each a mistake that somebody could make, and the tests that must notice it."""

from __future__ import annotations

from tests.seeded import Bug

PACKAGE = "layers/videoconductor/python/videoconductor"
SPENDING = "tests/workflow/test_spending.py"
COPYING = "tests/workflow/test_copying.py"
PUTTING = "tests/unit/test_putting_clips.py"
WAITING = "tests/workflow/test_waiting.py"

BUGS = (
    # -- one POST an attempt -----------------------------------------------------------------------
    Bug(
        "post again after the lease",
        f"{PACKAGE}/workflow/starting.py",
        """            return record.having(clock(), wait_seconds=left)
        raise permits.unknown(manifest, record, clock, HOLDER_GONE)
""",
        """            return record.having(clock(), wait_seconds=left)
""",
        ("tests/workflow/test_model.py::test_a_start_that_finds_an_old_permit_sends_nothing",),
    ),
    Bug(
        "send on what a dead process held",
        f"{PACKAGE}/workflow/failing.py",
        """is_still = held[0] == "still_attempts" and latest.crashes < MAX_CRASHES
        return latest.having(now, crashes=latest.crashes + 1, wait_seconds=1) if is_still else None
""",
        """free = {"attempts": latest.attempts[:-1]}
        return latest.having(now, crashes=latest.crashes + 1, wait_seconds=1, **free)
""",
        (f"{SPENDING}::test_killed_after_the_post_before_its_id_was_stored_is_submit_unknown",),
    ),
    Bug(
        "retry what is ambiguous",
        f"{PACKAGE}/workflow/starting.py",
        """        raise permits.unknown(manifest, record, clock, str(problem)) from problem
""",
        """        gone = NotSent(str(problem))
        return answered(manifest, record, "attempts", gone, clock, jitter)
""",
        (
            f"{SPENDING}::test_an_answer_lost_after_sending_is_submit_unknown_without_a_second_post",
            f"{SPENDING}::test_a_5xx_on_the_post_is_submit_unknown_without_a_second_post",
        ),
    ),
    Bug(
        "take a time-out after sending for not sent",
        f"{PACKAGE}/providers/xai.py",
        """            raise SubmitUnknown(
                f"xAI may have accepted the job""",
        """            raise NotSent(
                f"xAI may have accepted the job""",
        (
            "tests/unit/test_xai.py::test_no_answer_in_time_is_submit_unknown",
            "tests/unit/test_xai.py::test_only_a_connection_that_never_was_is_not_sent",
        ),
    ),
    Bug(
        "post before the permit is on record",
        f"{PACKAGE}/workflow/starting.py",
        """    in_time(began, clock)
""",
        """    in_time(began, clock)
    trace = f"{record.render_id}-{number}"
    early = provider.start(plan, frame_urls.__getitem__, trace, upload_url)
    provider = type("Sent", (), {"start": lambda *_: early})  # type: ignore[assignment]
""",
        (
            f"{SPENDING}::test_killed_between_permit_and_post_is_submit_unknown_and_never_posts",
            f"{SPENDING}::test_killed_after_the_post_before_its_id_was_stored_is_submit_unknown",
        ),
    ),
    Bug(
        "retry Start whatever it failed with",
        "statemachine/render_clip.asl.yaml",
        """      # Ours: raised only where no POST is sent after them.
      - ErrorEquals: [RecordChanged,""",
        """      - ErrorEquals: [Lambda.Unknown, SubmitUnknown, RecordChanged,""",
        (
            "tests/house/test_architecture.py::"
            "test_only_our_own_not_sent_classes_and_throttling_are_retried_around_the_paid_post",
        ),
    ),
    Bug(
        "forget a job that the table did not take",
        f"{PACKAGE}/workflow/starting.py",
        """        return put_on_record(record)
""",
        """        return record.having(clock(), wait_seconds=1)
""",
        (f"{SPENDING}::test_a_job_whose_id_could_not_be_stored_travels_on_and_is_stored_by_poll",),
    ),
    Bug(
        "ask nobody before paying twice",
        f"{PACKAGE}/conductor.py",
        """if not may_charge_twice and revival.may_still_cost(latest):""",
        """if may_charge_twice is None and revival.may_still_cost(latest):""",
        (
            f"{SPENDING}::"
            "test_a_submit_unknown_is_retried_only_by_somebody_who_accepts_a_second_charge",
        ),
    ),
    Bug(
        "two runs of a film pay in turns for a clip that fails",
        f"{PACKAGE}/filming.py",
        """if not is_over or _has_failed_since(latest, asked_at):""",
        """if not is_over:""",
        (
            "tests/workflow/test_film_failures.py::"
            "test_two_runs_at_once_never_pay_in_turns_for_a_clip_that_fails_each_time",
        ),
    ),
    Bug(
        "an execution that was overtaken goes on",
        f"{PACKAGE}/workflow/guards.py",
        """    if record.executions != execution:
        raise""",
        """    if record.executions < execution:
        raise""",
        (
            "tests/workflow/test_interleavings.py::"
            "test_an_overtaken_execution_steps_aside_and_announces_nothing",
        ),
    ),
    Bug(
        "send what was cancelled",
        f"{PACKAGE}/workflow/guards.py",
        """    if record.status == "cancelled":
        raise""",
        """    if record.status == "called off":
        raise""",
        (f"{WAITING}::test_cancel_before_the_post_lets_nothing_out",),
    ),
    # -- who asks ----------------------------------------------------------------------------------
    Bug(
        "one Idempotency-Key for all callers",
        f"{PACKAGE}/conductor.py",
        """parts = [identity.principal(caller), _checked_key(key), *kind]""",
        """parts = [_checked_key(key), *kind]""",
        (f"{SPENDING}::test_another_callers_same_key_is_another_render",),
    ),
    Bug(
        "the same key with another body is the first render",
        f"{PACKAGE}/conductor.py",
        """        if render.request_sha256 != digest:
""",
        """        if not digest:
""",
        (f"{SPENDING}::test_the_same_key_with_another_body_is_refused_and_writes_nothing",),
    ),
    Bug(
        "a service token is compared by its beginning",
        f"{PACKAGE}/tokens.py",
        """hmac.compare_digest(_digest(given[1]), expected)""",
        """_digest(given[1]).startswith(expected[:0])""",
        ("tests/unit/test_tokens.py::test_whatever_is_wrong_with_a_token_the_answer_is_the_same",),
    ),
    Bug(
        "$ where a whole match was meant",
        f"{PACKAGE}/tokens.py",
        """if re.fullmatch(_NAME, name, re.ASCII) is None:""",
        """if re.match(f"{_NAME}$", name, re.ASCII) is None:""",
        ("tests/unit/test_tokens.py::test_a_token_that_cannot_be_is_refused",),
    ),
    # -- money -------------------------------------------------------------------------------------
    Bug(
        "no budget check",
        f"{PACKAGE}/manifest.py",
        """    if counter in room:
""",
        """    if room is None:
""",
        ("tests/workflow/test_money_model.py::test_a_cap_is_reached_to_the_cent",),
    ),
    Bug(
        "the kill switch stops nothing",
        f"{PACKAGE}/budgets.py",
        """        raise SpendingStopped(""",
        """        SpendingStopped(""",
        (
            "tests/workflow/test_money_model.py::"
            "test_caps_hold_and_books_balance_whatever_happens_in_whatever_order",
        ),
    ),
    Bug(
        "release the hold on what is ambiguous",
        f"{PACKAGE}/clip.py",
        """is_open = self.spent_ticks is None and self.outcome not in {"refused", "not_sent"}""",
        """is_open = self.spent_ticks is None and self.outcome in {"submitting", "accepted"}""",
        (
            "tests/workflow/test_money_model.py::"
            "test_caps_hold_and_books_balance_whatever_happens_in_whatever_order",
        ),
    ),
    Bug(
        "fold away a refusal that was paid for",
        f"{PACKAGE}/permits.py",
        """    if found[-2].spent_ticks is not None:
        return found  # refused, and paid for: that stays
    last = found[-1].model_copy(update={"repeats": found[-2].repeats + 1})
    return (*found[:-2], last)
""",
        """    free = {"repeats": found[-2].repeats + 1, "spent_ticks": None, "cost_ticks": None}
    return (*found[:-2], found[-1].model_copy(update=free))
""",
        (
            "tests/unit/test_permits.py::"
            "test_a_refusal_that_was_paid_for_is_never_folded_into_a_later_try",
        ),
    ),
    Bug(
        "what moderation withheld is booked as free",
        f"{PACKAGE}/workflow/polling.py",
        """        if changes or problem.cost_ticks is not None:
""",
        """        if changes and problem.cost_ticks is None:
""",
        (f"{WAITING}::test_what_xai_billed_for_a_job_without_a_clip_is_booked",),
    ),
    Bug(
        "an empty account is taken for a rate limit",
        f"{PACKAGE}/providers/xai.py",
        """(answer.status in {403, 429} and _is_broke(f"{code} {words}"))""",
        """(answer.status == 403 and _is_broke(f"{code} {words}"))""",
        (f"{SPENDING}::test_out_of_credits_fails_at_once_with_the_reason",),
    ),
    # -- waiting -----------------------------------------------------------------------------------
    Bug(
        "a 404 on a poll is the end",
        f"{PACKAGE}/workflow/polling.py",
        """    if now - since >= MISSING_GRACE:
""",
        """    if now >= since:
""",
        (f"{WAITING}::test_a_poll_without_a_usable_answer_is_repeated_and_the_clip_comes",),
    ),
    Bug(
        "a deadline that passes is a failure",
        f"{PACKAGE}/workflow/polling.py",
        """lambda same: same.having(clock(), "stalled", failure=failure, wait_seconds=0),""",
        """lambda same: same.having(clock(), "failed", failure=failure, wait_seconds=0),""",
        (f"{WAITING}::test_a_deadline_that_passes_leaves_the_render_stalled_with_its_request_id",),
    ),
    # -- copying and the manifest ------------------------------------------------------------------
    Bug(
        "no If-None-Match",
        f"{PACKAGE}/library.py",
        """                    ContentType="video/mp4",
                    IfNoneMatch="*",
""",
        """                    ContentType="video/mp4",
""",
        (f"{COPYING}::test_another_file_already_there_is_a_named_conflict_and_both_are_kept",),
    ),
    Bug(
        "the last of a clip goes out before it is checked",
        f"{PACKAGE}/library.py",
        """islice(self._chunks, 2 - len(self._held))""",
        """islice(self._chunks, 1 - len(self._held))""",
        (f"{PUTTING}::test_the_end_of_a_clip_is_not_sent_before_all_of_it_was_checked",),
    ),
    Bug(
        "a head that breaks off is a whole one",
        f"{PACKAGE}/addresses.py",
        """        if not line.endswith(b"\\n") and len(line) != size:
""",
        """        if not line and size == 0:
""",
        ("tests/unit/test_receivers.py::test_an_answer_that_is_none_is_tried_again",),
    ),
    Bug(
        "no box walk",
        f"{PACKAGE}/copying.py",
        """        self._facts = self._inspector.facts()
""",
        """        self._facts = Mp4Facts(1.0, 16, 16, "h264", None)
""",
        (f"{COPYING}::test_what_is_not_a_clip_or_not_from_xai_is_refused_at_once",),
    ),
    Bug(
        "a witness is accepted unchecked",
        f"{PACKAGE}/workflow/finishing.py",
        """return record, copying.copy(record, library, lambda: library.delivered(key))
""",
        """checked = copying.Mp4Inspector.facts
                facts = copying.Mp4Facts(1.0, 16, 16, "h264", None)
                copying.Mp4Inspector.facts = lambda _: facts  # type: ignore[method-assign]
                try:
                    return record, copying.copy(record, library, lambda: library.delivered(key))
                finally:
                    copying.Mp4Inspector.facts = checked  # type: ignore[method-assign]
""",
        (
            "tests/workflow/test_witness.py::"
            "test_a_lost_answer_with_a_broken_witness_proves_nothing_and_stays_unknown",
        ),
    ),
    Bug(
        "a url that has expired is the end",
        f"{PACKAGE}/workflow/finishing.py",
        """MAX_EXPIRED_URLS = 4
""",
        """MAX_EXPIRED_URLS = 1
""",
        (f"{COPYING}::test_an_expired_url_is_asked_for_anew_and_then_copied",),
    ),
    Bug(
        "a redirect is asked for again",
        f"{PACKAGE}/download.py",
        """    if reply.status in REDIRECTS:
""",
        """    if reply.status in ():
""",
        ("tests/unit/test_download.py::test_a_redirect_is_not_followed",),
    ),
    Bug(
        "fetch from private addresses",
        f"{PACKAGE}/addresses.py",
        """    if not addresses or not all(map(inputs.is_public_address, addresses)):
""",
        """    if not addresses:
""",
        ("tests/unit/test_download.py::test_a_name_that_leads_to_a_private_address_is_refused",),
    ),
    Bug(
        "last writer wins",
        f"{PACKAGE}/manifest.py",
        """self._write(record, "version = :old", old)""",
        """self._write(record, "version = :old OR attribute_exists(pk)", old)""",
        (
            "tests/workflow/test_model.py::test_of_two_writes_of_one_record_one_is_told_to_look_again",
        ),
    ),
    Bug(
        "the clip that finishes last is the entry",
        f"{PACKAGE}/manifest.py",
        """        self._put(item, f"ENTRY#{entry.id}", is_newer, values)
""",
        """        is_newer += " OR renderOrder > :order"
        self._put(item, f"ENTRY#{entry.id}", is_newer, values)
""",
        (
            "tests/workflow/test_model.py::"
            "test_whichever_of_two_renders_finishes_first_the_newer_request_is_the_entry",
        ),
    ),
    Bug(
        "delete on failure",
        f"{PACKAGE}/workflow/failing.py",
        """    if record.status not in SETTLED:
        return record
""",
        """    if record.status not in SETTLED:
        return record
    if record.status == "failed":
        place = {"pk": {"S": f"FILM#{record.pipeline_request_id}"}}
        place["sk"] = {"S": f"ENTRY#{record.entry_id}"}
        manifest._dynamodb.delete_item(TableName=manifest._table, Key=place)
""",
        (f"{COPYING}::test_a_render_that_fails_leaves_the_finished_entry_alone",),
    ),
)
HEAD = """# Seeded bugs

Written by `make seeded` when every one of them was caught. Each is put into a copy of the project,
and the tests named with it must fail there by an assertion. Without a bug they pass.

| Bug | In | Caught by |
|---|---|---|
"""


def page() -> str:
    """The table of all bugs, as Markdown."""
    rows = (
        f"| {bug.name} | `{bug.path.removeprefix(PACKAGE + '/')}` | {_listed(bug.tests)} |"
        for bug in BUGS
    )
    return HEAD + "\n".join(rows) + "\n"


def _listed(tests: tuple[str, ...]) -> str:
    return ", ".join(f"`{test.rpartition('::')[2]}`" for test in tests)
