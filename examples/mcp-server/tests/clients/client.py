"""Drives the official Python client. Each line of standard input is something to do, and each line
of standard output what came of it."""

import asyncio
import contextlib
import json
import os
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

spec = json.loads(sys.argv[1])


def what(error):
    """What a person would read, without the groups around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def main():
    if "url" in spec:
        http = create_mcp_http_client(headers={"Authorization": f"Bearer {spec['token']}"})
        server = streamable_http_client(spec["url"], http_client=http)
    else:
        environment = {**os.environ, **spec["env"]}
        server = StdioServerParameters(command=spec["command"], args=spec["args"], env=environment)
    client = Client(server, mode=spec["mode"])

    async def do(step):
        match step["do"]:
            case "connect":
                await stack.enter_async_context(client)
                return client.protocol_version
            case "list":
                return [tool.name for tool in (await client.list_tools()).tools]
            case "call":
                result = await client.call_tool(step["tool"], step["args"])
                return result.model_dump(mode="json", by_alias=True)
            case "token":
                http.headers["Authorization"] = f"Bearer {step['token']}"

    async with contextlib.AsyncExitStack() as stack:
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                result = {"ok": await do(json.loads(line))}
            except BaseException as error:
                result = {"error": what(error)}
            print(json.dumps(result), flush=True)


try:
    asyncio.run(main())
except BaseException as error:
    print(what(error), file=sys.stderr)
