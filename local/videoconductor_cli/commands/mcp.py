"""`mcp`: the tools for models on stdin and stdout, for a client on the same machine."""

from __future__ import annotations

from videoconductor_cli import options


def mcp(api: options.Api = None, data_folder: options.DataFolder = None) -> None:
    """Serve the tools to a client that starts this command and speaks MCP with it.

    Stdout carries the protocol and nothing else.
    """
    from videoconductor import wiring
    from videoconductor_cli import address, showing
    from videoconductor_cli.errors import BadInput
    from videoconductor_cli.mcp_desk import ClientDesk

    try:
        import anyio

        from videoconductor.tools import protocol
    except ModuleNotFoundError as missing:
        words = f"{missing.name} is not installed: pip install 'videoconductor[local]'"
        raise BadInput(words) from missing
    with address.client(api, data_folder) as client:
        showing.say(f"MCP on stdin and stdout, for {client.base_url}")
        anyio.run(protocol.serve_stdio, wiring.catalog(), ClientDesk(client))
