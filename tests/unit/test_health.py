"""What is told of a camera: rates, delays, losses, and why nothing is decided on its pictures."""

from dataclasses import replace

from edge_agent.health import LAGS, RATE_S, CameraHealth, CameraVitals, Snapshot


def snapshot(*cameras: CameraHealth, backlog: int = 0) -> Snapshot:
    named = {str(number): camera for number, camera in enumerate(cameras)}
    return Snapshot(named, 1.0, 0, backlog, 10**9, 0, None, True, "online")


def test_a_camera_from_its_start_to_its_end() -> None:
    vitals = CameraVitals()
    assert (vitals.at(0.0).state, vitals.at(0.0).age_s, vitals.at(0.0).lag_ms) == (
        "starting",
        None,
        None,
    )
    vitals.lost("refuses the connection")
    assert (vitals.at(0.0).state, vitals.at(0.0).losses) == ("lost", 0), "it never was there"
    vitals.arrived(1.0)
    assert (vitals.at(1.5).state, vitals.at(1.5).reason, vitals.at(1.5).age_s) == (
        "online",
        None,
        0.5,
    )
    for _ in range(2):
        vitals.lost("has sent nothing for 5 s")
    assert (vitals.at(9.0).reason, vitals.at(9.0).losses) == ("has sent nothing for 5 s", 1)
    vitals.stopped("the footage has ended")
    assert vitals.at(9.0).state == "stopped"


def test_pictures_on_which_nothing_is_decided_are_no_health() -> None:
    vitals = CameraVitals()
    vitals.arrived(1.0)
    assert snapshot(vitals.at(1.0)).is_well
    assert not replace(snapshot(vitals.at(1.0)), shedding="disk budget").is_well
    assert not replace(snapshot(vitals.at(1.0)), disk_free_bytes=None).is_well, "its disk is gone"
    vitals.failed("the network refused its input")
    vitals.arrived(2.0)
    found = vitals.at(2.0)
    assert (found.state, found.reason) == ("lost", "the network refused its input")
    assert found.losses == 0 and found.frames == 2 and not snapshot(found).is_well
    vitals.lost("broke the connection")
    assert vitals.at(2.0).reason == "broke the connection", "what is closest to the cause"
    vitals.arrived(3.0)
    vitals.decided(0.1, is_inferred=True)
    assert vitals.at(3.0).state == "online"


def test_memory_has_an_end_however_fast_a_camera_is() -> None:
    vitals = CameraVitals()
    for number in range(120 * 60):
        vitals.arrived(number / 120)
        vitals.decided(number % 100 / 1000, is_inferred=number % 2 == 0)
    assert len(vitals._lags) == LAGS and len(vitals._arrivals) <= 120 * RATE_S + 1
    found = vitals.at(60.0)
    assert found.rate_fps == 120.0 and found.inferred == 3600
    assert found.lag_ms is not None
    p50, p99 = found.lag_ms
    assert 45 <= p50 <= 55 and 97 <= p99 <= 99
    assert vitals.at(60.0 + 2 * RATE_S).rate_fps == 0.0


def test_one_rule_that_is_off_or_one_thing_that_waits_is_not_well() -> None:
    vitals = CameraVitals()
    vitals.arrived(1.0)
    assert not snapshot(vitals.at(1.0), backlog=1).is_well
    vitals.rules_off = ("flow.line_crossing",)
    assert not snapshot(vitals.at(1.0)).is_well
