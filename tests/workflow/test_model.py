"""Films and single clips under any interleaving: a model, random walks through it, and a soak.

What may happen is in `Films`; what must hold after each of it, in `film_world.World.check`.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.workflow.conftest import stage_on
from tests.workflow.film_world import (
    ANN,
    BOB,
    FILMS,
    LATER,
    Mishap,
    WalkedStage,
    World,
    film_at_once,
)
from tests.workflow.test_film import script
from videoconductor import wiring
from videoconductor.clip import FilmOrder
from videoconductor.errors import RecordChanged
from xai_simulator.clips import ClipMaker

GOOD = ["", "", "", "[[sim:gone]]", "[[sim:poll503]]", "[[sim:short_once]]", "[[sim:file_only]]"]
GOOD += ["[[sim:unknown_status]]", "[[sim:poll404]]", "[[sim:start429]]", "[[sim:no_usage]]"]
BAD = ["lost", "lost503", "garbled", "start503", "start_drop", "nocredits", "failed", "moderated"]
BAD += ["hang", "job_lost", "notmp4", "expired_url", "no_url", "surprise_cost", "start429=4"]
MARKS = st.sampled_from([*GOOD, *(f"[[sim:{name}]]" for name in BAD)])
WHICH = st.integers(0, 9)
CRASHES = ["Lambda.Unknown", "Sandbox.Timedout", "States.Timeout", "Runtime.ExitError"]
KILLED = st.tuples(
    st.just("killed"), st.sampled_from(["before", "after"]), st.sampled_from(CRASHES)
)
FAILS = st.tuples(st.just("fails"), st.sampled_from(["before", "after"]), st.just(""))
OTHERS = ["step", "along", "cancel", "cancel film", "sweep", "resume", "retry", "attach", "stop"]
BETWEEN = st.tuples(st.just("meanwhile"), st.sampled_from(OTHERS), WHICH)
MISHAPS = st.none() | st.tuples(st.integers(1, 14), st.one_of(KILLED, FAILS, BETWEEN))
CALLERS = st.sampled_from([ANN, BOB])
KEYS = st.sampled_from([None, None, "a", "b"])


def a_script(film, first, second, framed):
    """Two clips; the first one perhaps from a still."""
    frame = {"firstFrame": {"imagePrompt": "a quay at night"}} if framed else {}
    clips = ({"prompt": f"she waves {first}", **frame}, f"a lamp {second}")
    return json.dumps(script(*clips, film=film))


class Films(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, simulator, handlers):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.on = stage_on(simulator, handlers, self.patch, WalkedStage)
        self.world = World(self.on.__enter__())
        self.world.prepare(self.patch)

    # -- choosing ----------------------------------------------------------------------------------

    def name(self, which):
        """One of the renders there are."""
        names = list(self.world.renders)
        return names[which % len(names)]

    def mishap(self, drawn):
        if drawn is None:
            return None
        nth, (what, how, more) = drawn
        if what == "meanwhile":
            return Mishap(nth, what, meanwhile=lambda: self.other(how, more))
        return Mishap(nth, what, how, more)

    def other(self, what, which):
        """What somebody else does, between two calls of somebody."""
        world = self.world
        if what in {"step", "along", "stop"}:
            ready = world.walker.ready()
            for _ in range(1 if what == "step" else 6):
                if what == "stop" and ready:
                    world.walker.stop(ready[which % len(ready)], with_clips=True)
                elif ready:
                    world.step(ready[which % len(ready)])
            return
        with world.acting():
            if what == "sweep":
                world.sweep()
            elif what == "cancel film":
                wiring.director().cancel(FILMS[which % 2])
            elif world.renders:
                name = self.name(which)
                deeds = {
                    "cancel": lambda: world.cancel(name),
                    "resume": lambda: world.resume(name),
                    "retry": lambda: world.retry(name, consent=which % 2 == 0),
                    "attach": lambda: world.attach(name, self.job_of(name)),
                }
                deeds[what]()

    def job_of(self, name):
        """The newest job of a render that xAI started, whether anybody here knows of it."""
        own = [
            job
            for job, (owner, purpose, _) in self.world.jobs.items()
            if owner == name and purpose == "attempts"
        ]
        return own[-1] if own else None

    # -- asking ------------------------------------------------------------------------------------

    @initialize(mark=MARKS, framed=st.booleans())
    def a_film_is_asked_for(self, mark, framed):
        with self.world.acting():
            self.world.hand_in(a_script(FILMS[0], mark, "", framed), FilmOrder(), ANN, None)

    @rule(
        film=st.integers(0, 1),
        first=MARKS,
        second=MARKS,
        framed=st.booleans(),
        order=st.sampled_from(
            [
                FilmOrder(),
                FilmOrder(),
                FilmOrder(remaster=True),
                FilmOrder(force=True),
                FilmOrder(only=("01",)),
                FilmOrder(max_cost_usd=0),
            ]
        ),
        key=KEYS,
        caller=CALLERS,
        mishap=MISHAPS,
    )
    def hand_in(self, film, first, second, framed, order, key, caller, mishap):
        text = a_script(FILMS[film], first, second, framed)
        with self.world.acting(self.mishap(mishap)):
            self.world.hand_in(text, order, caller, key)

    @rule(
        film=st.integers(0, 1),
        clip=st.sampled_from(["01", "02", None]),
        mark=MARKS,
        key=KEYS,
        caller=CALLERS,
        mishap=MISHAPS,
    )
    def submit(self, film, clip, mark, key, caller, mishap):
        fields = {"prompt": f"a fox {mark}", "duration": 1, "pipelineRequestId": FILMS[film]}
        if clip is not None:
            fields["clipId"] = clip
        with self.world.acting(self.mishap(mishap)):
            self.world.submit(fields, caller, key)

    @precondition(lambda self: self.world.orders)
    @rule(which=WHICH, same=st.booleans(), mishap=MISHAPS)
    def ask_again(self, which, same, mishap):
        caller, key, fields, _ = self.world.orders[which % len(self.world.orders)]
        with self.world.acting(self.mishap(mishap)):
            self.world.submit(fields if same else {**fields, "duration": 2}, caller, key)

    @precondition(lambda self: self.world.hand_ins)
    @rule(which=WHICH, mishap=MISHAPS)
    def hand_in_again(self, which, mishap):
        with self.world.acting(self.mishap(mishap)):
            self.world.hand_in(*self.world.hand_ins[which % len(self.world.hand_ins)])

    # -- going on ----------------------------------------------------------------------------------

    @precondition(lambda self: self.world.walker.ready())
    @rule(which=WHICH, mishap=MISHAPS)
    def step(self, which, mishap):
        ready = self.world.walker.ready()
        self.world.step(ready[which % len(ready)], self.mishap(mishap))

    @precondition(lambda self: self.world.walker.ready())
    @rule(which=WHICH, most=st.integers(2, 30))
    def along(self, which, most):
        ready = self.world.walker.ready()
        self.world.along(ready[which % len(ready)], most)

    @precondition(lambda self: self.world.walker.ready())
    @rule(most=st.integers(2, 12), mishap=MISHAPS)
    def all_go_on(self, most, mishap):
        for _ in range(most):
            for walk in self.world.walker.ready():
                self.world.step(walk)
        ready = self.world.walker.ready()
        if ready:
            self.world.step(ready[0], self.mishap(mishap))

    @rule(seconds=st.sampled_from([1, 100, 400, 1000]))
    def wait(self, seconds):
        self.world.wait(seconds)

    @precondition(lambda self: self.world.walker.ready())
    @rule(which=WHICH, with_clips=st.booleans())
    def stop(self, which, with_clips):
        running = [walk for walk in self.world.walker.walks if walk.is_running and not walk.parent]
        self.world.walker.stop(running[which % len(running)], with_clips=with_clips)

    @rule(
        service=st.sampled_from(["dynamodb", "s3", "events", "stepfunctions"]),
        calls=st.integers(1, 12),
    )
    def outage(self, service, calls):
        self.world.outages[service] = calls

    @rule(mishap=MISHAPS)
    def sweep(self, mishap):
        with self.world.acting(self.mishap(mishap)):
            self.world.sweep()

    # -- deciding ----------------------------------------------------------------------------------

    @precondition(lambda self: self.world.renders)
    @rule(which=WHICH, deed=st.sampled_from(["cancel", "resume", "abandon"]), mishap=MISHAPS)
    def decide(self, which, deed, mishap):
        with self.world.acting(self.mishap(mishap)):
            getattr(self.world, deed)(self.name(which))

    @precondition(lambda self: self.world.renders)
    @rule(which=WHICH, consent=st.booleans(), mishap=MISHAPS)
    def retry(self, which, consent, mishap):
        with self.world.acting(self.mishap(mishap)):
            self.world.retry(self.name(which), consent=consent)

    @precondition(lambda self: self.world.renders)
    @rule(
        which=WHICH,
        job=st.sampled_from(["recorded", "right", "right", "foreign", "mistyped"]),
        other=WHICH,
        mishap=MISHAPS,
    )
    def attach(self, which, job, other, mishap):
        name, jobs = self.name(which), list(self.world.jobs)
        ids = {
            "recorded": None,
            "right": self.job_of(name),
            "foreign": jobs[other % len(jobs)] if jobs else None,
            "mistyped": "not-an-id",
        }
        with self.world.acting(self.mishap(mishap)):
            self.world.attach(name, ids[job])

    @precondition(lambda self: self.world.renders)
    @rule(which=WHICH, mishap=MISHAPS)
    def remaster(self, which, mishap):
        with self.world.acting(self.mishap(mishap)):
            self.world.remaster(self.name(which))

    @precondition(lambda self: self.world.runs)
    @rule(
        film=st.integers(0, 1),
        deed=st.sampled_from(["retry", "retry with consent", "cancel", "resume"]),
        mishap=MISHAPS,
    )
    def decide_film(self, film, deed, mishap):
        with self.world.acting(self.mishap(mishap)):
            if deed == "cancel":
                wiring.director().cancel(FILMS[film])
            elif deed == "resume":
                run = wiring.manifest().run(FILMS[film])
                wiring.director().resume(run.film, run.run_id)
            else:
                self.world.retry_film(FILMS[film], consent=deed != "retry")

    @rule(stopped=st.booleans())
    def switch(self, stopped):
        now = self.world.stage.now()
        wiring.manifest().change_caps(
            lambda caps: caps.stopped(now, "enough") if stopped else caps.resumed(), "ann"
        )

    # -- holding -----------------------------------------------------------------------------------

    @invariant()
    def everything_holds(self):
        self.world.check()

    def teardown(self):
        try:
            self.world.settle(self.patch)
        finally:
            self.on.__exit__(None, None, None)
            self.patch.undo()


@pytest.fixture(scope="module", autouse=True)
def _clips_take_no_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipMaker, "film", film_at_once)
        logging.disable()
        yield
        logging.disable(logging.NOTSET)


def walk(simulator, handlers, number, **bounds):
    """Random walks through the model, the same ones for the same number."""

    def films():
        return Films(simulator, handlers)

    chosen = settings(
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        **bounds,
    )
    run_state_machine_as_test(seed(number)(films), settings=chosen)


def test_whatever_happens_in_whatever_order_nothing_is_lost_or_paid_for_twice(simulator, handlers):
    walk(simulator, handlers, 1, max_examples=6, stateful_step_count=20)


# -- the same world, walked on purpose -----------------------------------------------------------


@contextmanager
def a_world(simulator, handlers):
    with (
        pytest.MonkeyPatch.context() as patch,
        stage_on(simulator, handlers, patch, WalkedStage) as made,
    ):
        found = World(made)
        found.prepare(patch)
        yield found


@pytest.fixture
def world(simulator, handlers):
    with a_world(simulator, handlers) as found:
        yield found


def submitted(world, prompt="a fox", **fields):
    """A render, and its execution before its first state."""
    with world.acting():
        world.submit({"prompt": prompt, "duration": 1, **fields}, ANN, None)
    world.check()
    return list(world.renders)[-1], world.walker.ready()[-1]


def posting(walk):
    """The outside call of Start that is the POST."""
    assert walk.state == "Start"
    return 7


def test_a_start_that_finds_an_old_permit_sends_nothing(world):
    name, walk = submitted(world)
    world.step(walk)
    world.step(walk, Mishap(posting(walk), "killed", "after"))
    assert len(world.jobs) == 1
    assert world.read(name).attempts[0].outcome == "submitting"
    world.walker.stop(walk, with_clips=False)
    world.wait(LATER)
    with world.acting():
        world.resume(name)

    world.along(world.walker.ready()[0])

    assert world.read(name).status == "submit_unknown"
    assert len(world.jobs) == 1


def test_of_two_writes_of_one_record_one_is_told_to_look_again(world):
    name, _ = submitted(world)
    table, seen = wiring.manifest(), world.read(name)
    table.save(seen, seen.having(world.stage.now(), wait_seconds=1))

    with pytest.raises(RecordChanged):
        table.save(seen, seen.having(world.stage.now(), wait_seconds=2))

    assert world.read(name).wait_seconds == 1


@pytest.mark.parametrize("first", [0, 1])
def test_whichever_of_two_renders_finishes_first_the_newer_request_is_the_entry(world, first):
    place = {"clipId": "c", "pipelineRequestId": FILMS[0]}
    older, newer = (submitted(world, **place) for _ in range(2))
    for _, walk in ((older, newer), (newer, older))[first]:
        world.along(walk)

    [entry] = wiring.manifest().entries(FILMS[0])
    assert entry.render_id == newer[0]
    versions = wiring.manifest().versions(FILMS[0], "c::draft")
    assert [version.render_id for version in versions] == [older[0], newer[0]]


def once(path):
    """A path on which the job is polled once: how often depends on how long it takes."""
    return re.sub("(Wait,Poll,IsRendered,)+(?=Wait,Poll)", "", ",".join(path))


@pytest.mark.parametrize(
    "mark", ["", "[[sim:lost]]", "[[sim:gone]]", "[[sim:failed]]", "[[sim:start429]]"]
)
def test_the_walker_goes_the_way_that_moto_goes(simulator, handlers, monkeypatch, mark):
    prompt = f"a fox {mark}"
    with a_world(simulator, handlers) as world:
        _, walk = submitted(world, prompt)
        world.along(walk, 100)

    with stage_on(simulator, handlers, monkeypatch) as stage:
        execution = stage.run(stage.submit(prompt=prompt))
        gone = execution.path

    assert (walk.status, once(walk.path)) == (execution.status, once(gone))
