"""Load a picture by the address that a program or an assistant gives: from a public server, within limits."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

MOST_S = 10.0  # for all pictures of a request together, redirects included
REDIRECTS = 3
PORTS = (80, 443)  # others would let a visitor look for open ports
AT_ONCE = 4  # pictures that are loaded at the same time, for all visitors
NAT64 = ipaddress.ip_network("64:ff9b::/96")
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "nst"}


def is_public(host: str, port: int) -> bool:
    """Whether an IP address is one of the public internet, and the port one of web servers.

    An IPv6 address that stands for an IPv4 address is judged by that one.
    """
    address = ipaddress.ip_address(host)
    inner = [address]
    if address.version == 6:
        inner += [found for found in (address.ipv4_mapped, address.sixtofour) if found]
        inner += list(address.teredo or ())
        if address in NAT64:
            inner.append(ipaddress.ip_address(int(address) & 0xFFFFFFFF))
    mapped = address.version == 6 and address.ipv4_mapped
    judged = inner[1:] if mapped else inner  # what Python says of a mapped address depends on its version
    return port in PORTS and all(item.is_global and not item.is_multicast for item in judged)


@dataclass(frozen=True)
class Fetcher:
    """Loads pictures into the folder of uploads. A failure is a `ValueError` with a sentence for the visitor."""

    folder: str
    most_bytes: int
    may_connect: Callable[[str, int], bool] = is_public
    most_s: float = MOST_S
    transport: httpx.AsyncBaseTransport | None = None  # None: the network

    async def load(self, addresses: list[str]) -> list[str]:
        """Paths of the files, in the same order. The time limit holds for all of them together."""
        try:
            return await asyncio.wait_for(self._load_all(addresses), self.most_s)
        except asyncio.TimeoutError:
            raise ValueError(
                f"The picture at {_shown(addresses)} did not arrive within {self.most_s:g} s; upload it instead."
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise ValueError(
                f"The picture at {_shown(addresses)} cannot be loaded ({type(error).__name__}); upload it instead."
            ) from None

    async def _load_all(self, addresses: list[str]) -> list[str]:
        options = {"trust_env": False, "follow_redirects": False, "timeout": self.most_s}
        async with httpx.AsyncClient(transport=self.transport, **options) as client:
            return [await self._load(client, address) for address in addresses]

    async def _load(self, client: httpx.AsyncClient, address: str) -> str:
        url = httpx.URL(address.strip())
        for _ in range(1 + REDIRECTS):
            response = await client.send(await self._request(client, url), stream=True)
            try:
                if not response.has_redirect_location:
                    return await self._written(response, url)
                url = url.join(response.headers["location"])
            finally:
                await response.aclose()
        raise ValueError(f"The address {_shown([address])} leads on more than {REDIRECTS} times; give the last one.")

    async def _request(self, client: httpx.AsyncClient, url: httpx.URL) -> httpx.Request:
        """A request to an address that was checked: the name is not looked up a second time, when it may have changed.

        The server's certificate is still compared with the name.
        """
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"The address {_shown([str(url)])} is none of http or https; upload the picture instead.")
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        hosts = [place[0] for *_, place in found]
        if not hosts or not all(self.may_connect(host.split("%")[0], port) for host in hosts):
            raise ValueError(
                f"The address {_shown([str(url)])} is not on the public internet, ports 80 and 443; upload the picture."
            )
        name = url.host if url.port is None else f"{url.host}:{url.port}"
        reached = url.copy_with(host=hosts[0], username=None, password=None, fragment=None)
        return client.build_request(
            "GET", reached, headers={**HEADERS, "Host": name}, extensions={"sni_hostname": url.host}
        )

    async def _written(self, response: httpx.Response, url: httpx.URL) -> str:
        """Write the answer to a file while it arrives -> path, in a folder named by the content like an upload's."""
        if response.status_code != 200:
            raise ValueError(
                f"The address {_shown([str(url)])} answers with status {response.status_code}, no picture."
            )
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as part:
            try:
                digest = await self._copied(response.aiter_raw(), part, url)
                place = Path(self.folder) / digest
                place.mkdir(exist_ok=True)
                part.flush()
                return str(Path(part.name).replace(place / "fetched"))
            except BaseException:
                os.unlink(part.name)
                raise

    async def _copied(self, chunks: AsyncIterator[bytes], part: BinaryIO, url: httpx.URL) -> str:
        """Copy at most `most_bytes` -> SHA-256 of the content."""
        digest, length = hashlib.sha256(), 0
        async for chunk in chunks:
            length += len(chunk)
            if length > self.most_bytes:
                most = f"{self.most_bytes // 10**6} MB, the limit of this page"
                raise ValueError(f"The picture at {_shown([str(url)])} has over {most}; choose a smaller one.")
            digest.update(chunk)
            part.write(chunk)
        return digest.hexdigest()


def _shown(addresses: list[str]) -> str:
    """The first address, of bounded length, without what may be a password."""
    address = addresses[0].split("?")[0]
    before, at, after = address.partition("@")
    shown = f"{before.split('//')[0]}//{after}" if at else address
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
