"""Who takes part, as Locust's users.

`ExamCandidate` has all the weight: as many as the shape asks for, each of whom sits one person's exam and stops.
`SchedulingSystem` and `Scorer` are one each (`fixed_count`), at the plan's rates, and only where the plan has any: a
weight would make more of them the bigger the hall is, and there is one scheduling system for all halls.
"""

from __future__ import annotations

import random

from locust import User, task
from locust.exception import StopUser

from loadtest.swarm.beside import Puller, Pusher
from loadtest.swarm.stage import Stage


class Part(User):
    """Any user of ours."""

    abstract = True

    @property
    def stage(self) -> Stage:
        stage: Stage = self.environment.stage
        return stage


class ExamCandidate(Part):
    """One person of the plan after the other would be wrong: one user is one person."""

    weight = 1

    @task
    def sit(self) -> None:
        play = self.stage.play
        person = play.next_person()
        if person is not None:
            play.sit(person)
            raise StopUser
        play.over.wait()
        raise StopUser


class SchedulingSystem(Part):
    """Pushes batches that have nothing to do with this exam."""

    fixed_count = 1

    @task
    def push(self) -> None:
        play = self.stage.play
        pusher = Pusher(play, random.Random(f"{play.plan.seed}/push"))
        while pusher.wait(play.plan.background.pushes_per_min):
            pusher.push()
        raise StopUser


class Scorer(Part):
    """Pulls the results of a batch that is graded already: pages, NDJSON, CSV in turn."""

    fixed_count = 1

    @task
    def pull(self) -> None:
        play = self.stage.play
        puller = Puller(play, random.Random(f"{play.plan.seed}/pull"))
        while puller.wait(play.plan.background.pulls_per_min):
            puller.pull()
        raise StopUser
