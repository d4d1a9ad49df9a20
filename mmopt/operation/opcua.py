"""A bridge between a supervisor and a plant's OPC UA server.

A cycle reads all tags in one call, lets the supervisor do a step, and writes its controls. Nothing is written unless that is
requested. A lost server is a note, and the next cycle connects again; no cycle raises.
"""

import contextlib
import importlib
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmopt.arguments import as_float
from mmopt.checking import finite, shown
from mmopt.errors import StudyError, first_line, missing_package
from mmopt.operation.actions import Action
from mmopt.operation.event_loop import EventLoop
from mmopt.operation.supervisor import Supervisor

Configure = Callable[[Any], Coroutine[Any, Any, Any]]
"""Called with the client of asyncua before it connects, to set a user or its security."""

_TIMEOUT: Final = 4.0
_FLOATS: Final = {10: "Float", 11: "Double"}
"""Numbers of the data types that controls are written to."""

_MEASURED, _APPLIED, _CONTROL, _BEAT = "measured", "applied", "control", "heartbeat"


@dataclass(frozen=True)
class Readings:
    """What a plant's server shows.

    Attributes
    ----------
    measured
        Value of every tag; None where its quality is not good, or there is no connection.
    applied
        The controls that the plant has; None where they are not known.
    notes
        Which qualities are not good, and why there is no connection.

    Examples
    --------
    >>> Readings({"biomass": 1.5}, {"feed": 0.01}).measured["biomass"]
    1.5
    """

    measured: Mapping[str, Any]
    applied: Mapping[str, float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cycle:
    """One cycle of a bridge.

    Attributes
    ----------
    action
        What the supervisor did.
    written
        The controls that the server has accepted.
    notes
        What was not as usual between bridge and server.

    Examples
    --------
    >>> Cycle(Action(0.5, Mode.SHADOW, None, None), {}).written
    {}
    """

    action: Action
    written: Mapping[str, float]
    notes: tuple[str, ...] = ()


class Bridge:
    """A supervisor's connection to a plant's OPC UA server.

    Parameters
    ----------
    endpoint
        Address of the server, such as ``opc.tcp://plc:4840``.
    measured
        Node id by measured quantity, such as ``ns=2;s=DO``.
    controls
        Node id by control: the set-point of its pump.
    applied
        Node id by control of what the pump really does; by default the set-points count as that.
    heartbeat
        Node of a truth value that changes with every cycle, from which the plant sees that this process lives.
    dry_run
        Write nothing, neither controls nor the heartbeat. Give False to write.
    timeout
        Seconds after which the server counts as lost.
    configure
        Coroutine function that is called with the client of asyncua before it connects, to set a user or its security.

    Attributes
    ----------
    dry_run
        Whether nothing is written.

    Raises
    ------
    StudyError
        If asyncua is missing, a node id is none, or an argument is of another kind.

    Examples
    --------
    >>> import socket
    >>> with socket.socket() as free:
    ...     free.bind(("127.0.0.1", 0))
    ...     port = free.getsockname()[1]
    >>> with Bridge(f"opc.tcp://127.0.0.1:{port}", {"biomass": "ns=2;s=OD"}, {"feed": "ns=2;s=P1"}) as bridge:
    ...     readings = bridge.read()  # nothing listens there
    >>> readings.measured, readings.notes[0][:22]
    ({'biomass': None}, 'the server is not read')
    """

    def __init__(
        self,
        endpoint: str,
        measured: Mapping[str, str],
        controls: Mapping[str, str],
        *,
        applied: Mapping[str, str] | None = None,
        heartbeat: str | None = None,
        dry_run: bool = True,
        timeout: float = _TIMEOUT,
        configure: Configure | None = None,
    ) -> None:
        try:
            self._asyncua = importlib.import_module("asyncua")
        except ImportError as error:
            raise missing_package("OPC UA connections", "asyncua", "opcua") from error
        if not isinstance(endpoint, str) or not endpoint.startswith("opc.tcp://"):
            raise StudyError(f"endpoint is {shown(endpoint)}; give an address such as 'opc.tcp://plc:4840'")
        self._endpoint, self.dry_run = endpoint, bool(dry_run)
        self._timeout, self._configure = finite("timeout", timeout, above=0.0, unit="s"), configure
        given = {_MEASURED: measured, _CONTROL: controls, _APPLIED: controls if applied is None else applied}
        self._nodes = {kind: self._checked_nodes(kind, nodes) for kind, nodes in given.items()}
        self._beat_node = None if heartbeat is None else self._checked_nodes(_BEAT, {_BEAT: heartbeat})[_BEAT]
        self._client: Any = None
        self._types: dict[str, Any] = {}
        self._actual: dict[str, float] = {}
        self._beat = False
        self._loop = EventLoop()

    def cycle(self, supervisor: Supervisor, time: float) -> Cycle:
        """Read, let a supervisor do a step, and write.

        Parameters
        ----------
        supervisor
            The supervisor.
        time
            Time since the start of the batch [h].

        Returns
        -------
        Cycle
            In every case.
        """
        readings = self.read()
        action = supervisor.step(time, readings.measured, readings.applied)
        written, notes = self.write(action.controls)
        return Cycle(action, written, (*readings.notes, *notes))

    def read(self) -> Readings:
        """Read all tags.

        Returns
        -------
        Readings
            In every case.
        """
        keys = [(kind, name) for kind in (_MEASURED, _APPLIED) for name in self._nodes[kind]]
        try:
            values = self._call(lambda: self._read([self._nodes[kind][name] for kind, name in keys]))
        except Exception as error:
            lost = f"the server is not read ({type(error).__name__}: {first_line(error)})"
            return Readings(dict.fromkeys(self._nodes[_MEASURED]), dict(self._actual) or None, (lost,))
        measured: dict[str, Any] = {}
        notes = []
        for (kind, name), given in zip(keys, values, strict=True):
            code, variant = given.StatusCode, given.Value
            good = (code is None or code.is_good()) and variant is not None
            value = variant.Value if good else None
            title = name if kind == _MEASURED else f"{kind} {name}"
            if not good:
                notes.append(
                    f"{title}: its quality is {'none' if code is None else code.name}; the value does not count"
                )
            if kind == _MEASURED:
                measured[name] = value
            elif math.isfinite(number := as_float(value)):
                self._actual[name] = number
            elif good:
                notes.append(f"{title} is {shown(value)}, no finite number")
        return Readings(measured, dict(self._actual) or None, tuple(notes))

    def write(self, controls: Mapping[str, float] | None) -> tuple[dict[str, float], tuple[str, ...]]:
        """Write controls and the heartbeat, unless this is a dry run.

        Parameters
        ----------
        controls
            Value by control; None to write the heartbeat alone.

        Returns
        -------
        written, notes
            The controls that the server has accepted, and what was not as usual.
        """
        if self.dry_run:
            listed = ", ".join(f"{name} {value:g}" for name, value in (controls or {}).items())
            return {}, ((f"dry run, not written: {listed}",) if listed else ())
        unknown = [name for name in controls or {} if name not in self._nodes[_CONTROL]]
        own = {name: value for name, value in (controls or {}).items() if name in self._nodes[_CONTROL]}
        notes = [f"{name} has no node, and is not written" for name in unknown]
        self._beat = not self._beat
        try:
            codes = self._call(lambda: self._write(own))
        except Exception as error:
            lost = f"the server is not written to ({type(error).__name__}: {first_line(error)})"
            return {}, (*notes, lost)
        refused = {name: code.name for name, code in codes.items() if not code.is_good()}
        notes += [f"{name} was refused by the server: {code}" for name, code in refused.items()]
        written = {name: value for name, value in own.items() if name not in refused}
        self._actual.update(written)
        return written, tuple(notes)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Exception):
            self._loop.run(self._disconnect(), self._timeout)
        self._loop.close()

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked_nodes(self, kind: str, nodes: Any) -> dict[str, Any]:
        """Node ids by name, as asyncua has them."""
        if not isinstance(nodes, Mapping):
            raise StudyError(f"{kind} is {shown(nodes)}; give a mapping of names to node ids such as 'ns=2;s=DO'")
        checked = {}
        for name, given in nodes.items():
            try:
                checked[name] = self._asyncua.ua.NodeId.from_string(given)
            except Exception as error:
                raise StudyError(f"node of {name} is {shown(given)}; give a node id such as 'ns=2;s=DO'") from error
        return checked

    def _call(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Result of some work with the server; where a connection fails that there was, with a new one."""
        if self._client is None:
            return self._try_once(work)
        try:
            return self._try_once(work)
        except Exception:
            return self._try_once(work)

    def _try_once(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        try:
            return self._loop.run(self._connected(work), 2.0 * self._timeout)
        except Exception:
            with contextlib.suppress(Exception):
                self._loop.run(self._disconnect(), self._timeout)
            raise

    async def _connected(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if self._client is None:
            client = self._asyncua.Client(self._endpoint, timeout=self._timeout)
            if self._configure is not None:
                await self._configure(client)
            self._client = client
            await client.connect()
        return await work()

    async def _disconnect(self) -> None:
        client, self._client, self._types = self._client, None, {}
        if client is not None:
            await client.disconnect()

    async def _read(self, nodes: list[Any]) -> Any:
        return await self._client.uaclient.read_attributes(nodes, self._asyncua.ua.AttributeIds.Value)

    async def _write(self, controls: Mapping[str, float]) -> dict[str, Any]:
        """Status by name of what is written, the heartbeat among them."""
        ua, nodes = self._asyncua.ua, self._nodes[_CONTROL]
        if controls and not self._types:
            kinds = await self._client.uaclient.read_attributes(list(nodes.values()), ua.AttributeIds.DataType)
            self._types = {name: self._type_of(kind) for name, kind in zip(nodes, kinds, strict=True)}
        values = {name: ua.Variant(float(value), self._types[name]) for name, value in controls.items()}
        to = {name: nodes[name] for name in controls}
        if self._beat_node is not None:
            values[_BEAT], to[_BEAT] = ua.Variant(self._beat, ua.VariantType.Boolean), self._beat_node
        if not values:
            return {}
        sent = [ua.DataValue(value) for value in values.values()]
        codes = await self._client.uaclient.write_attributes(list(to.values()), sent, ua.AttributeIds.Value)
        return dict(zip(to, codes, strict=True))

    def _type_of(self, kind: Any) -> Any:
        """Type of the values that a node takes: Float, or Double; a server refuses what does not fit."""
        number = getattr(getattr(kind.Value, "Value", None), "Identifier", 0)
        return getattr(self._asyncua.ua.VariantType, _FLOATS.get(number, "Double"))
