"""The locustfile: what Locust reads. `python -m loadtest.swarm` starts it with everything set; by hand:

    python -m locust -f loadtest/swarm/locustfile.py --headless --plan PLAN --out DIR

from the folder that holds `loadtest`. Users and shape come from the plan; `--users`, `--spawn-rate` and `--run-time` do
nothing here.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import sys
from pathlib import Path
from typing import Any

import locust.argument_parser
import locust.runners
from locust import events

from loadtest.sizing import plan as plans
from loadtest.swarm import gathering
from loadtest.swarm.shape import shape_of
from loadtest.swarm.stage import Stage, complain
from loadtest.swarm.users import ExamCandidate, SchedulingSystem, Scorer
from loadtest.swarm.wire import Origin

# A storm of thousands may hold a worker up for seconds; Locust would count it out after three.
locust.runners.HEARTBEAT_LIVENESS = 60
# With each message of the master that more are to come, so once a second of a check-in, a worker of Locust makes a
# parser anew for every option there is: 130 ms in which nobody of its candidates moves. The options do not change.
locust.argument_parser.default_args_dict = functools.cache(locust.argument_parser.default_args_dict)
# Thousands of candidates are there to stay: looking for garbage among all of them would stop everybody for 100 ms.
GARBAGE_THRESHOLDS = (50_000, 50, 1_000)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def add_arguments(parser: Any) -> None:
    parser.add_argument("--plan", required=True, include_in_web_ui=False, help="the plan (loadtest/sizing/plan.py)")
    parser.add_argument("--out", default=".", include_in_web_ui=False, help="where report and ledger go")
    parser.add_argument("--index", type=int, default=0, include_in_web_ui=False, help="which share of the plan, from 0")
    parser.add_argument("--of", type=int, default=1, include_in_web_ui=False, help="how many shares there are")


@events.init.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    """Read the plan, and take the part that this process has."""
    told = environment.parsed_options
    try:
        held = Path(told.plan).read_bytes()
        plan = plans.read(Path(told.plan))
        Origin(plan.url, plan.headers, plan.ca_file)
    except (OSError, ValueError) as fault:  # OSError: of the files, or a name that nobody knows
        complain(f"--plan {told.plan}: {fault}")
        sys.exit(2)
    is_worker, is_master = bool(told.worker), bool(told.master)
    alone = not is_worker and not is_master
    environment.user_classes = classes = _classes(plan, beside=told.index == 0 or not alone)
    digest = hashlib.sha256(held).hexdigest()
    beside = len(classes) - 1
    stage = Stage(environment, plan, digest, told.index, told.of, Path(told.out), beside)
    environment.stage = stage
    environment.process_exit_code = 0
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    if is_worker:
        _prepare_worker(environment, runner, stage)
        return
    shares = [plan.share("swarm", told.index, told.of)]
    if is_master:
        _prepare_master(environment, runner, stage, told.expect_workers)
        shares = [plan.share("swarm", index, told.expect_workers) for index in range(told.expect_workers)]
    environment.shape_class = shape_of(stage, shares)
    environment.shape_class.runner = runner


def _classes(plan: plans.Plan, *, beside: bool) -> list[Any]:
    found: list[Any] = [ExamCandidate]
    if beside and plan.background.pushes_per_min > 0:
        found.append(SchedulingSystem)
    if beside and plan.background.pulls_per_min > 0:
        found.append(Scorer)
    return found


def _prepare_worker(environment: Any, runner: Any, stage: Stage) -> None:
    runner.register_message(gathering.TAKEN, gathering.taken)
    runner.send_message(gathering.PLAN, stage.digest)

    def begin(**_: Any) -> None:
        stage.become_worker(runner.worker_index, environment.parsed_options.expect_workers)

    def report(client_id: str, data: dict[str, Any], **_: Any) -> None:
        if stage.has_begun:
            data["swarm"] = stage.play.standing()

    environment.events.test_start.add_listener(begin)
    environment.events.report_to_master.add_listener(report)


def _prepare_master(environment: Any, runner: Any, stage: Stage, workers: int) -> None:
    stage.become_master(workers)
    assert stage.gathering is not None
    runner.register_message(gathering.PIECE, stage.gathering.take)
    runner.register_message(gathering.PLAN, stage.gathering.check_plan)
    environment.events.worker_report.add_listener(stage.gathering.hear)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def leave(environment: Any, **_: Any) -> None:
    """However it ended: what was noted is left behind, and what has not come is told."""
    stage: Stage = environment.stage
    if stage.gathering is None:
        stage.end()
    elif stage.gathering.fault or stage.gathering.missing:
        complain(stage.gathering.fault or f"{stage.gathering.missing} files of the workers have not come")
        environment.process_exit_code = 1
