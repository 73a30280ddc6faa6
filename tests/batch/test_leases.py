"""A video has one holder at most, a live holder is never displaced, and a dead one is found."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vidrestore.batch.leases import Lease, LeaseFolder, LeaseLostError
from vidrestore.runtime.host import Host

HERE = Host("here", "1", "boot")
THERE = Host("there", "2", "other boot")
NEVER_S = 1e6


class Clock:
    """Seconds of one machine, which tests move on."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def leases(folder: Path, host: Host, clock: Callable[[], float]) -> LeaseFolder:
    return LeaseFolder(folder, host=host, clock=clock, heartbeat_s=NEVER_S)


def die(lease: Lease) -> None:
    """As the process of a holder that was killed: no word, and the system frees its lock."""
    lease._ended.set()
    lease._thread.join()
    os.close(lease._file)


def test_a_video_is_held_by_one_and_free_when_released(tmp_path: Path) -> None:
    one, other = (leases(tmp_path, host, Clock()) for host in (HERE, THERE))
    with one.claim("a") as lease:  # type: ignore[union-attr]
        assert other.claim("a") is None and one.claim("a") is None
        holder = other.holder("a")
        assert holder is not None and (holder.host, holder.process) == (HERE, os.getpid())
        assert lease.is_held()
    assert other.holder("a") is None
    again = other.claim("a")
    assert again is not None and again.holder.number == 2 and not lease.is_held()
    again.release()


def test_the_dead_of_another_machine_are_found_by_their_silence_alone(tmp_path: Path) -> None:
    clock = Clock(1e9)  # years ahead of the holder's
    one, other = leases(tmp_path, HERE, Clock(-5e8)), leases(tmp_path, THERE, clock)
    lease = one.claim("a")
    assert lease is not None
    for _ in range(20):  # ten minutes of heartbeats
        assert other.claim("a") is None
        clock.now += 30
        lease.beat()
    assert other.claim("a") is None  # sees the last one
    clock.now += 299
    assert other.claim("a") is None
    clock.now += 1
    taken = other.claim("a")
    assert taken is not None and taken.is_held()
    with pytest.raises(LeaseLostError):
        lease.require()
    lease.beat()  # it wakes up, and does no harm
    lease.release()
    assert taken.is_held() and one.claim("a") is None
    taken.release()


def test_the_dead_of_this_machine_are_found_at_once(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from vidrestore.batch.leases import LeaseFolder;"
        "lease = LeaseFolder(Path(sys.argv[1])).claim('a'); assert lease; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode != 0 and (tmp_path / "a.1").is_file()
    folder = LeaseFolder(tmp_path)
    assert folder.holder("a") is None
    lease = folder.claim("a")
    assert lease is not None
    lease.release()


def test_a_holder_that_has_not_said_its_name_is_given_time(tmp_path: Path) -> None:
    (tmp_path / "a.1").touch()
    clock = Clock()
    folder = leases(tmp_path, HERE, clock)
    assert folder.claim("a") is None
    clock.now += 300
    lease = folder.claim("a")
    assert lease is not None
    lease.release()


@dataclass
class Machine:
    """A machine whose clock is wrong, and the leases that it holds or lost."""

    folder: LeaseFolder
    clock: Clock
    live: list[Lease] = field(default_factory=list)
    dead: list[Lease] = field(default_factory=list)


class Law(RuleBasedStateMachine):
    """Any order of claims, releases, deaths and waiting, on three machines with skewed clocks."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.machines = []
        for number, skew in enumerate((0.0, -7200.0, 1e8)):
            host, clock = Host(f"host {number}", str(number), str(number)), Clock(skew)
            self.machines.append(Machine(leases(Path(self.place.name), host, clock), clock))

    @property
    def held(self) -> list[Lease]:
        return [lease for one in self.machines for lease in one.live + one.dead if lease.is_held()]

    @rule(number=st.integers(0, 2))
    def claim(self, number: int) -> None:
        before, machine = self.held, self.machines[number]
        lease = machine.folder.claim("a")
        if lease is not None:
            assert not any(lease in one.live for one in self.machines for lease in before)
            machine.live.append(lease)
        else:
            assert before

    @rule(number=st.integers(0, 2))
    def release(self, number: int) -> None:
        for lease in self.machines[number].live:
            lease.release()
        self.machines[number].live.clear()

    @rule(number=st.integers(0, 2))
    def die(self, number: int) -> None:
        machine = self.machines[number]
        for lease in machine.live:
            die(lease)
        machine.dead += machine.live
        machine.live.clear()

    @rule(steps=st.integers(1, 12))
    def wait(self, steps: int) -> None:
        """Half minutes, in which who lives beats, and who wants the video looks."""
        for _ in range(steps):
            for machine in self.machines:
                machine.clock.now += 30
                for lease in machine.live:
                    lease.beat()

    @invariant()
    def one_holds_it(self) -> None:
        live = [lease for one in self.machines for lease in one.live if lease.is_held()]
        assert len(live) <= 1 and len(self.held) <= 1

    def teardown(self) -> None:
        for machine in self.machines:
            for lease in machine.live:
                lease.release()
        self.place.cleanup()


Law.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestLaw = Law.TestCase
