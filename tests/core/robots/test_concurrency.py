"""Races between real connections."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection

from core.common.errors import DomainError
from core.common.secrets_format import secret_hash
from core.rbac.types import Actor
from core.robots.errors import RobotNameTaken
from core.robots.models import Robot
from core.robots.services import NewRobot, rotate_secret
from tests.factories.robots import make_robot

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 12


def test_creates_of_one_name_have_one_winner() -> None:
    barrier = Barrier(COUNT)

    def create(_: int) -> NewRobot | DomainError:
        barrier.wait()
        try:
            return make_robot(project=None)
        except DomainError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(COUNT) as pool:
        results = list(pool.map(create, range(COUNT)))
    assert sum(isinstance(result, NewRobot) for result in results) == 1
    assert sum(isinstance(result, RobotNameTaken) for result in results) == COUNT - 1


def test_parallel_rotations_follow_one_another() -> None:
    robot = make_robot(project=None).robot
    barrier = Barrier(COUNT)

    def rotate(_: int) -> bytes:
        barrier.wait()
        try:
            new = rotate_secret(robot, overlap=timedelta(hours=1), actor=Actor.system())
            return secret_hash(new.secret)
        finally:
            connection.close()

    with ThreadPoolExecutor(COUNT) as pool:
        hashes = set(pool.map(rotate, range(COUNT)))
    stored = Robot.objects.get()
    assert len(hashes) == COUNT
    assert stored.previous_secret_hash is not None
    # Current and previous secret are two that were handed out, not one of them twice.
    assert {bytes(stored.secret_hash), bytes(stored.previous_secret_hash)} <= hashes
    assert bytes(stored.secret_hash) != bytes(stored.previous_secret_hash)
