"""What daemons say of the clock, and what is made of it."""

from datetime import timedelta
from uuid import UUID

import pytest

from edge_agent.clock import ManualClock, Sync
from edge_agent.live.timekeeping import (
    ChronySync,
    FirstToKnow,
    KernelSync,
    ScriptedSync,
    Timekeeper,
    TimesyncSync,
    boot_id,
    read_timesync,
    read_tracking,
)

# chronyd 4.3, the middle ones as printed by `chronyc -n -c -m tracking authdata`
SERVER = (
    "7F000001,127.0.0.1,4,1795578923.196184781,-0.000250000,-0.000000137,0.000000923,1.223,-0.061,"
    "3.072,0.010000000,0.003000000,0.1,Normal\n"
)
PPS = SERVER.replace("7F000001,127.0.0.1,4", "50505300,PPS,1")
PHC = SERVER.replace("7F000001,127.0.0.1,4", "50484330,PHC0,1")
OWN = (
    "7F7F0101,,3,1795578921.728704728,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,"
    "0.000000000,0.000000000,0.0,Normal\n"
)
LOST = SERVER.replace("Normal", "Not synchronised")
NTS = SERVER + "127.0.0.1,NTS,1,15,256,33,0,0,8,100\n10.0.0.1,-,0,0,0,4294967295,0,0,0,0\n"
TIMESYNC = (
    "NTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2, Precision=-23, RootDelay=1.037ms, "
    "RootDispersion=7.965ms, Reference=C3718FCC, Ignored=no, PacketCount=1, Jitter=0 }\n"
)


@pytest.mark.parametrize(
    ("said", "sync"),
    [
        (SERVER, Sync("ntp", True, 8.25)),
        (SERVER + "501 Not authorised\n", Sync("ntp", True, 8.25)),
        (NTS, Sync("nts", True, 8.25)),
        (PPS, Sync("gnss", True, 8.25)),
        (PHC, Sync("ptp", True, 8.25)),
        (OWN, Sync("none", False, None)),
        (LOST, Sync("none", False, None)),
        ("506 Cannot talk to daemon\n", None),
        (SERVER.replace("0.003", "?"), None),
        ("", None),
    ],
)
def test_chrony(said: str, sync: Sync | None) -> None:
    assert read_tracking(said) == sync


@pytest.mark.parametrize(
    ("said", "distance_ms"),
    [
        (TIMESYNC, 1.037 / 2 + 7.965),
        (TIMESYNC.replace("1.037ms", "1s 500us").replace("7.965ms", "0"), 500.25),
        ("NTPMessage=\n", None),
        ("", None),
    ],
)
def test_timesyncd(said: str, distance_ms: float | None) -> None:
    found = read_timesync(said)
    assert found == (None if distance_ms is None else pytest.approx(distance_ms))


def test_daemons_that_are_not_there_leave_it_to_the_kernel() -> None:
    absent = ChronySync(("no-such-chronyc",))
    vague = TimesyncSync(ScriptedSync([Sync("none", False, None)]))
    assert absent.state() is None and vague.state() is None
    state = KernelSync().state()
    assert state is not None  # on Linux it always knows
    assert FirstToKnow((absent, vague, KernelSync())).state() == state
    assert state.is_synced == (state.max_error_ms is not None) == (state.ref == "system")
    assert FirstToKnow((absent,)).state() is None


def test_both_clocks_are_read_together_and_the_error_grows_with_its_age() -> None:
    clock = ManualClock()
    keeper = Timekeeper(clock, ScriptedSync([Sync("ntp", True, 4.0), None]))
    assert keeper.read()[1].sync == Sync("none", False, None)
    keeper.refresh()
    clock.advance(20.0)
    wall, reading = keeper.read()
    assert (wall, reading.mono_ns) == (clock.now(), 20_000_000_000)
    assert reading.sync == Sync("ntp", True, 14.0)
    clock.advance(1980.0)
    assert not keeper.read()[1].sync.is_trusted, "nobody has asked for half an hour"
    keeper.refresh()
    assert keeper.read()[1].sync == Sync("none", False, None)


def test_a_reading_that_was_interrupted_is_made_again() -> None:
    class Busy(ManualClock):
        stalls = 2

        def monotonic(self) -> float:
            if self.stalls:
                self.stalls -= 1
                self.wall += timedelta(seconds=0.5)
                self.elapsed_s += 0.5
            return self.elapsed_s

    clock = Busy()
    wall, reading = Timekeeper(clock, ScriptedSync([None])).read()
    assert (wall - ManualClock().wall).total_seconds() == reading.mono_ns / 1e9 == 1.0


def test_a_boot_has_one_name() -> None:
    assert boot_id() == boot_id() and str(UUID(boot_id())) == boot_id()
