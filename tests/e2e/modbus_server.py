# SPDX-License-Identifier: Apache-2.0
"""
Modbus units that others wrote: pymodbus as a server, in a process of its own.

usage: modbus_server.py FILE tcp|serial PLACE      PLACE: a port of loopback (0: any), or a device

FILE is JSON: {"units": {"1": {"h": {"12": 5}, "i": {}, "c": {}, "d": {}}}, "exceptions": {"3": 6}}:
registers by unit, table (holding, input, coil, discrete) and address, and the exceptions with which
units answer everything. Prints "ready PORT". Lines on standard input: "silent UNIT", "speak UNIT".
"""
import asyncio
import json
import pathlib
import sys

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.pdu import ExceptionResponse
from pymodbus.server.async_io import ModbusSerialServer, ModbusTcpServer


def unit_of(tables):
    # An empty block would be made to hold everything.
    blocks = {name: ModbusSparseDataBlock({int(at): value for at, value in
                                           (tables.get(name) or {"65535": 0}).items()})
              for name in "hicd"}
    return ModbusSlaveContext(hr=blocks["h"], ir=blocks["i"], co=blocks["c"], di=blocks["d"],
                              zero_mode=True)


def manipulator(exceptions):
    """What turns answers of some units into exceptions."""
    def change(response):
        code = exceptions.get(str(response.unit_id))
        if code is None:
            return response, False
        refusal = ExceptionResponse(response.function_code & 0x7f, code)
        refusal.transaction_id, refusal.unit_id = response.transaction_id, response.unit_id
        return refusal, False
    return change


async def obey(units, context):
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while True:
        line = await reader.readline()
        if not line:
            return
        word, unit = line.decode().split()
        if word == "silent":
            del context[int(unit)]
        else:
            context[int(unit)] = units[int(unit)]
        print("done", flush=True)


async def main(path, kind, place):
    told = json.loads(pathlib.Path(path).read_text())
    units = {int(unit): unit_of(tables) for unit, tables in told["units"].items()}
    context = ModbusServerContext(slaves=dict(units), single=False)
    options = {"ignore_missing_slaves": True,
               "response_manipulator": manipulator(told["exceptions"])}
    if kind == "tcp":
        server = ModbusTcpServer(context, address=("127.0.0.1", int(place)),
                                 allow_reuse_address=True, **options)
        asyncio.ensure_future(server.serve_forever())
        await server.serving
        port = server.server.sockets[0].getsockname()[1]
    else:
        server = ModbusSerialServer(context, port=place, baudrate=19200, **options)
        await server.start()
        asyncio.ensure_future(server.serve_forever())
        port = 0
    print(f"ready {port}", flush=True)
    await obey(units, context)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
