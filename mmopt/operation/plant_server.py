"""A simulated plant as an OPC UA server, to practise and to test with; its hours pass as fast as is requested."""

import importlib
import math
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

from mmopt.arguments import as_float
from mmopt.checking import finite, shown
from mmopt.control.plant import LateValue, Plant
from mmopt.errors import StudyError, missing_package, nearest
from mmopt.operation.event_loop import EventLoop

HEARTBEAT: Final = "heartbeat"

_NAMESPACE: Final = "urn:mmopt:plant"
_TIMEOUT: Final = 30.0
_SECONDS_AN_HOUR: Final = 3600.0
_SAME_TIME: Final = 1.0e-9


class PlantServer:
    """A running server of a simulated plant, from `serve_plant`.

    Parameters
    ----------
    plant
        The plant.
    endpoint
        Address of the server.

    Attributes
    ----------
    plant
        The plant.
    endpoint
        Address of the server.
    nodes
        Node id by measured quantity, control, and ``heartbeat``.

    Raises
    ------
    StudyError
        If asyncua is missing, or the server cannot start.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> plant = Plant(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, noise={"biomass": 0.01})
    >>> with serve_plant(plant) as server:
    ...     server.advance(0.5)
    ...     server.plant.time, server.nodes["feed"]
    (0.5, 'ns=2;s=feed')
    """

    def __init__(self, plant: Plant, endpoint: str) -> None:
        try:
            self._asyncua = importlib.import_module("asyncua")
        except ImportError as error:
            raise missing_package("OPC UA servers", "asyncua", "opcua") from error
        self.plant, self.endpoint = plant, endpoint
        self._held = {known.name: max(known.lower, 0.0) for known in plant.system.controls}
        self._shown: dict[str, float] = {}
        self._quality: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        self._server: Any = None
        self._measure()
        self._loop = EventLoop()
        try:
            self._loop.run(self._start(), _TIMEOUT)
        except Exception as error:
            self._loop.close()
            raise StudyError(f"the server {endpoint} cannot start ({error}); give another endpoint") from error
        self.nodes: Mapping[str, str] = {name: node.nodeid.to_string() for name, node in self._variables.items()}

    def advance(self, hours: float) -> None:
        """Let time pass in the plant, with the set-points that its nodes have.

        Parameters
        ----------
        hours
            How long [h].

        Raises
        ------
        StudyError, SolverError
            As `Plant.advance`.
        """
        for name in self._held:
            value = as_float(self.read(name))
            self._held[name] = value if value >= 0.0 else self._held[name]  # a value that is none holds the last one
        self.plant.advance(self._held, hours)
        self._measure()
        self._loop.run(self._publish(), _TIMEOUT)

    def run(self, hours: float, *, speed: float = 60.0, every: float = 0.01) -> None:
        """Let time pass by the clock, and return when it is over.

        Parameters
        ----------
        hours
            How long, in time of the plant [h].
        speed
            Hours of the plant in an hour of the clock.
        every
            Hours of the plant between two values of its sensors.

        Raises
        ------
        StudyError, SolverError
            If a number is out of range, and as `Plant.advance`.
        """
        finite("speed", speed, above=0.0)
        begin, first, end = time.monotonic(), self.plant.time, self.plant.time + finite("hours", hours, above=0.0)
        for number in range(1, math.ceil(hours / finite("every", every, above=0.0) - _SAME_TIME) + 1):
            until = min(first + number * every, end)
            time.sleep(max(0.0, begin + (until - first) * _SECONDS_AN_HOUR / speed - time.monotonic()))
            self.advance(until - self.plant.time)

    def read(self, name: str) -> Any:
        """Return the value that a node has.

        Parameters
        ----------
        name
            A measured quantity, a control, or ``heartbeat``.

        Returns
        -------
        object
        """
        return self._loop.run(self._variable(name).read_value(), _TIMEOUT)

    def set_quality(self, name: str, quality: str) -> None:
        """Set the quality of a sensor, as a fault does.

        Parameters
        ----------
        name
            The measured quantity.
        quality
            A status code of OPC UA, such as ``Good``, ``UncertainSensorNotAccurate`` or ``BadSensorFailure``.

        Raises
        ------
        StudyError
            If the quantity or the code is unknown.
        """
        self._variable(name)
        if name not in self._shown:
            raise StudyError(f"'{name}' is not measured; {nearest(name, self._shown)}")
        if not hasattr(self._asyncua.ua.StatusCodes, str(quality)):
            raise StudyError(f"quality is {shown(quality)}; give a status code of OPC UA such as 'BadSensorFailure'")
        self._quality[name] = getattr(self._asyncua.ua.StatusCodes, quality)
        self._loop.run(self._publish(), _TIMEOUT)

    def stop(self) -> None:
        """Stop the server."""
        if self._server is not None:
            server, self._server = self._server, None
            self._loop.run(server.stop(), _TIMEOUT)
            self._loop.close()

    def __enter__(self) -> "PlantServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _variable(self, name: str) -> Any:
        if name not in self._variables:
            raise StudyError(f"there is no node {shown(name)}; {nearest(name, self._variables)}")
        return self._variables[name]

    def _measure(self) -> None:
        """Read the sensors; a late value of a laboratory has no node."""
        for name, value in self.plant.measure().items():
            if not isinstance(value, LateValue):
                self._shown[name] = value

    async def _start(self) -> None:
        server = self._asyncua.Server()
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_security_policy([self._asyncua.ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace(_NAMESPACE)
        folder = await server.nodes.objects.add_object(space, "plant")
        for name, value in {**self._shown, **self._held, HEARTBEAT: False}.items():
            node = self._asyncua.ua.NodeId(name, space)
            self._variables[name] = await folder.add_variable(node, name, value)
            if name not in self._shown:
                await self._variables[name].set_writable()
        await server.start()
        self._server = server

    async def _publish(self) -> None:
        ua = self._asyncua.ua
        for name, value in self._shown.items():
            code = ua.StatusCode(self._quality.get(name, ua.StatusCodes.Good))
            await self._variables[name].write_value(ua.DataValue(ua.Variant(value, ua.VariantType.Double), code))


def serve_plant(plant: Plant, endpoint: str | None = None) -> PlantServer:
    """Serve a simulated plant over OPC UA.

    Parameters
    ----------
    plant
        The plant. Every sensor that shows a value at once has a node; so have its controls, which clients write.
    endpoint
        Address of the server; by default a free port of this machine.

    Returns
    -------
    PlantServer
        The running server; use it as a context, or stop it. It has no security: it is for one machine.

    Raises
    ------
    StudyError
        If asyncua is missing, the plant is none, or the server cannot start.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> plant = Plant(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, noise={"biomass": 0.01})
    >>> with serve_plant(plant) as server:
    ...     sorted(server.nodes)
    ['biomass', 'feed', 'heartbeat']
    """
    if not isinstance(plant, Plant):
        raise StudyError(f"plant is {shown(plant)}; give a Plant")
    return PlantServer(plant, endpoint or f"opc.tcp://127.0.0.1:{_free_port()}/plant")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
