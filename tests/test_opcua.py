"""A bridge reads and writes a plant's server, says what is wrong with its tags, and outlives it; on this machine alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from mmopt import StudyError, load_surrogate
from mmopt.control import Plant, Sampling
from mmopt.operation import Bridge, Mode, PlantServer, Supervisor, serve_plant
from tests.operation_case import INTERVAL, NOISE, START, controller_of, estimator_of, plant_of, problem_of
from tests.operation_case import controllers_are_used_again as controllers_are_used_again

pytest.importorskip("asyncua", reason="the extra 'opcua' is not installed")

TIMEOUT = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[PlantServer]:
    with serve_plant(plant_of(problem_of())) as server:
        yield server


@pytest.fixture(autouse=True)
def healthy(server: PlantServer) -> None:
    for name in NOISE:
        server.set_quality(name, "Good")


def bridge_to(server: PlantServer, **more: Any) -> Bridge:
    nodes = server.nodes
    given = {"measured": {name: nodes[name] for name in NOISE if name in nodes}, "controls": {"feed": nodes["feed"]}}
    return Bridge(server.endpoint, **{**given, "heartbeat": nodes["heartbeat"], "timeout": TIMEOUT, **more})


def supervisor_of(mode: Mode) -> Supervisor:
    return Supervisor(controller_of(problem_of()), estimator_of(problem_of()), mode=mode)


def test_batch_over_the_bridge_is_written_and_outlives_a_stopped_server() -> None:
    cell, sampling = load_surrogate("ecoli_textbook"), {"glucose": Sampling(delay=0.5)}
    plant = Plant(problem_of().system, cell, {**START, "biomass": 1.1}, noise=NOISE, sampling=sampling)
    supervisor, server, beats, fed = supervisor_of(Mode.AUTO), serve_plant(plant), [], 0.0
    assert sorted(server.nodes) == ["biomass", "feed", "heartbeat", "oxygen_saturation"]  # what is late has no node
    measured = {name: server.nodes[name] for name in ("biomass", "oxygen_saturation")}
    with bridge_to(server, measured=measured, dry_run=False) as bridge:
        for number in range(3):
            cycle = bridge.cycle(supervisor, number * INTERVAL)
            assert (cycle.notes, cycle.action.left_out) == ((), ())
            assert cycle.action.controls == cycle.written == {"feed": server.read("feed")}
            beats.append(server.read("heartbeat"))
            fed += cycle.written["feed"] * INTERVAL
            server.advance(INTERVAL)
        assert beats == [True, False, True]
        assert plant.time == 3 * INTERVAL
        assert plant.states["volume"] - START["volume"] == pytest.approx(fed, rel=0.05)
        assert fed > 0.0
        server.stop()
        lost = bridge.cycle(supervisor, 3 * INTERVAL)
        assert lost.action.move is not None  # from the prediction
        assert (lost.written, len(lost.notes)) == ({}, 2)
        assert lost.notes[0].startswith("the server is not read (")
        assert lost.notes[1].startswith("the server is not written to (")
        with serve_plant(plant, server.endpoint) as again:
            back = bridge.cycle(supervisor, 4 * INTERVAL)
            assert back.notes == ()
            assert again.read("feed") == back.written["feed"]
            again.run(0.05, speed=3600.0, every=0.02)  # by the clock
            assert plant.time == pytest.approx(3 * INTERVAL + 0.05)


def test_dry_run_is_the_default_and_writes_nothing(server: PlantServer) -> None:
    before = server.read("feed"), server.read("heartbeat")
    supervisor = supervisor_of(Mode.MANUAL)
    supervisor.set_manual({"feed": 0.0777})
    with bridge_to(server) as bridge:
        assert bridge.dry_run
        cycle = bridge.cycle(supervisor, 0.0)
    assert cycle.action.controls == {"feed": 0.0777}
    assert (cycle.written, cycle.notes) == ({}, ("dry run, not written: feed 0.0777",))
    assert (server.read("feed"), server.read("heartbeat")) == before


def test_shadow_writes_the_heartbeat_alone(server: PlantServer) -> None:
    feed, beat = server.read("feed"), server.read("heartbeat")
    with bridge_to(server, dry_run=False) as bridge:
        for _ in range(1 + beat):  # a new bridge begins with a beat of true
            cycle = bridge.cycle(supervisor_of(Mode.OFF), 0.0)
    assert (cycle.written, server.read("feed")) == ({}, feed)
    assert server.read("heartbeat") is not beat


@pytest.mark.parametrize("quality", ["BadSensorFailure", "UncertainSensorNotAccurate"])
def test_value_of_another_quality_than_good_does_not_count(server: PlantServer, quality: str) -> None:
    server.set_quality("biomass", quality)
    with bridge_to(server) as bridge:
        readings = bridge.read()
        action = bridge.cycle(supervisor_of(Mode.SHADOW), 0.0).action
    assert readings.measured["biomass"] is None
    assert readings.measured["glucose"] == server.read("glucose")
    assert readings.notes == (f"biomass: its quality is {quality}; the value does not count",)
    assert action.left_out == ("biomass is None, no finite number",)


def test_tag_that_is_missing_on_the_server_is_a_note(server: PlantServer) -> None:
    with Bridge(server.endpoint, {"biomass": "ns=2;s=OD"}, {"feed": server.nodes["feed"]}, timeout=TIMEOUT) as bridge:
        readings = bridge.read()
    assert readings.measured == {"biomass": None}
    assert readings.notes == ("biomass: its quality is BadNodeIdUnknown; the value does not count",)


def test_control_that_the_server_refuses_is_a_note(server: PlantServer) -> None:
    with bridge_to(server, controls={"feed": server.nodes["biomass"]}, dry_run=False) as bridge:
        written, notes = bridge.write({"feed": 0.01, "base": 0.02})
    assert written == {}
    assert notes[0] == "base has no node, and is not written"
    assert notes[1].startswith("feed was refused by the server: Bad")


def test_control_of_single_precision_is_written(server: PlantServer) -> None:
    from asyncua import ua

    async def add() -> Any:
        objects = server._server.nodes.objects
        node = await objects.add_variable(ua.NodeId("pump", 2), "pump", ua.Variant(0.0, ua.VariantType.Float))
        await node.set_writable()
        return node

    node = server._loop.run(add(), TIMEOUT)
    with bridge_to(server, controls={"feed": "ns=2;s=pump"}, dry_run=False) as bridge:
        assert bridge.write({"feed": 0.01}) == ({"feed": 0.01}, ())
    assert server._loop.run(node.read_value(), TIMEOUT) == pytest.approx(0.01, rel=1e-6)


def test_what_the_pump_does_counts_as_applied(server: PlantServer) -> None:
    supervisor = supervisor_of(Mode.SHADOW)
    with bridge_to(server, applied={"feed": server.nodes["feed"]}, dry_run=False) as bridge:
        bridge.write({"feed": 0.0123})
        bridge.cycle(supervisor, 0.0)
        assert supervisor.applied == {"feed": 0.0123}
        supervisor.set_mode(Mode.AUTO)
        assert bridge.cycle(supervisor, INTERVAL).written == {"feed": 0.0123}


def test_closed_bridge_is_a_note(server: PlantServer) -> None:
    bridge = bridge_to(server)
    bridge.close()
    bridge.close()
    assert "the connection is closed" in bridge.read().notes[0]


def test_client_is_configured_before_it_connects(server: PlantServer) -> None:
    seen = []

    async def configure(client: Any) -> None:
        seen.append((str(client.server_url.scheme), client.uaclient.protocol))

    with bridge_to(server, configure=configure) as bridge:
        assert bridge.read().notes == ()
    assert [scheme for scheme, _ in seen] == ["opc.tcp"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"endpoint": "http://plc"}, "endpoint is 'http://plc'; give an address such as"),
        ({"measured": {"biomass": "OD?"}}, r"node of biomass is 'OD\?'; give a node id such as"),
        ({"controls": ["ns=2;s=P1"]}, "control is .*; give a mapping of names to node ids"),
        ({"heartbeat": 7.5}, "node of heartbeat is 7.5; give a node id"),
        ({"timeout": 0.0}, "timeout is 0.0; give a finite number above 0"),
    ],
)
def test_argument_that_is_none_is_refused(more: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"endpoint": "opc.tcp://plc", "measured": {}, "controls": {}}
    with pytest.raises(StudyError, match=said):
        Bridge(**{**given, **more})


def test_server_refuses_what_is_unknown(server: PlantServer) -> None:
    with pytest.raises(StudyError, match="there is no node 'fed'; nearest known: feed"):
        server.read("fed")
    with pytest.raises(StudyError, match="'feed' is not measured"):
        server.set_quality("feed", "Good")
    with pytest.raises(StudyError, match="quality is 'poor'; give a status code of OPC UA"):
        server.set_quality("biomass", "poor")
    with pytest.raises(StudyError, match="plant is 'plant'; give a Plant"):
        serve_plant("plant")  # type: ignore[arg-type]


def test_second_server_at_one_endpoint_is_refused(server: PlantServer) -> None:
    with pytest.raises(StudyError, match=r"the server .* cannot start \(.*\); give another endpoint"):
        serve_plant(plant_of(problem_of()), server.endpoint)
