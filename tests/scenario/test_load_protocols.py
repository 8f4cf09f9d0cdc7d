# SPDX-License-Identifier: Apache-2.0
"""sonde load over what is no plain HTTP: WebSocket and gRPC against the servers of others, TCP,
proxies, and the resolver. What goes wrong there has a name too."""

import base64
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import tempfile
import unittest

from load_peers import PYTHON, need_peers
from sonde import BINARY, PATIENCE, need_binary
from test_load import ANSWER, Server, load, read_head, steadily

WEBSOCKETS = """
import asyncio, sys, websockets
async def echo(peer):
    async for message in peer:
        if message == "bye":
            await peer.close(1001)
        elif message == "twice":
            await peer.send("a" * 70000)
            await peer.ping()
            await peer.send(b"b" * 200)
        else:
            await peer.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""

GRPC = """
import grpc, time
from concurrent import futures
class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method == "/test.Echo/Say":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request[::-1])
        if call.method == "/test.Echo/Fail":
            def fail(request, context):
                context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
            return grpc.unary_unary_rpc_method_handler(fail)
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Handler(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


class Peer:
    """A server of the peers' Python, which prints its port."""

    def __init__(self, program):
        need_peers()
        self.process = subprocess.Popen([PYTHON, "-c", program], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def run_file(text, *arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([BINARY, "load", "run", file.name, "--json", "--quiet", *arguments],
                              capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class WebSockets(unittest.TestCase):
    def setUp(self):
        need_binary()

    def test_messages_come_back(self):
        with Peer(WEBSOCKETS) as peer:
            said = load("--connections", "4", "--requests", "400", "--body", "x" * 300,
                        f"ws://127.0.0.1:{peer.port}/chat?x=1", code=0)
            self.assertEqual((said["requests"], said["errors"]), (400, 0))
            self.assertGreater(said["latency_ms"]["p50"], 0)
            self.assertEqual(said["generator"]["connects"], 4)
            said = load("--connections", "2", "--requests", "20", "--body", "twice", "--replies",
                        "2", f"ws://127.0.0.1:{peer.port}/", code=0)
            self.assertEqual((said["requests"], said["errors"]), (20, 0))
            self.assertGreater(said["bytes_in"], 20 * 70200)
            said = load("--connections", "1", "--requests", "3", "--body", "bye", "--timeout", "5s",
                        f"ws://127.0.0.1:{peer.port}/", code=1)
            self.assertEqual(said["errors_by_kind"], {"closed": 3})

    def test_checks_look_into_messages(self):
        with Peer(WEBSOCKETS) as peer:
            said = run_file(f"""
load: {{users: 2, requests: 10, duration: 20s}}
steps:
  - {{name: a, websocket: "ws://127.0.0.1:{peer.port}/", send: '{{"id": "${{user}}"}}',
     extract: {{id: {{json: /id}}}}}}
  - {{name: b, websocket: "ws://127.0.0.1:{peer.port}/", send: 'id ${{id}}',
     check: {{contains: 'id ${{user}}'}}}}
  - {{name: c, websocket: "ws://127.0.0.1:{peer.port}/", send_base64: AAEC, check: {{contains: x}}}}
""")
            self.assertEqual(said["errors_by_kind"], {"check": 10})
            self.assertEqual([step["errors"] for step in said["steps"]], [0, 0, 10])

    def test_a_server_that_does_not_upgrade(self):
        with Server(steadily) as server:
            said = load("--connections", "1", "--requests", "3", "--timeout", "2s",
                        f"ws://127.0.0.1:{server.port}/", code=1)
        self.assertEqual(said["errors_by_kind"], {"upgrade": 3})

    def test_frames_that_are_none(self):
        def behave(peer):
            head = read_head(peer)
            key = [line.split(b": ")[1] for line in head.split(b"\r\n")
                   if line.lower().startswith(b"sec-websocket-key")][0]
            import hashlib  # pylint: disable=import-outside-toplevel
            accept = base64.b64encode(hashlib.sha1(
                key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                         b"Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            peer.recv(65536)
            peer.sendall(b"\xf3\x00junk")
            peer.recv(65536)
        with Server(behave) as server:
            said = load("--connections", "1", "--requests", "3", "--timeout", "2s",
                        f"ws://127.0.0.1:{server.port}/", code=1)
        self.assertEqual(said["errors_by_kind"], {"bad_response": 3})


class Calls(unittest.TestCase):
    def setUp(self):
        need_binary()

    def test_grpc_calls(self):
        with Peer(GRPC) as peer:
            url = f"http://127.0.0.1:{peer.port}/test.Echo"
            said = load("--grpc", "--connections", "2", "--streams", "4", "--requests", "200",
                        "--body", "abc", f"{url}/Say", code=0)
            self.assertEqual((said["requests"], said["errors"]), (200, 0))
            said = load("--grpc", "--connections", "1", "--requests", "5", f"{url}/Fail", code=0)
            self.assertEqual(said["errors_by_kind"], {"grpc_status": 5})
            said = run_file(f"""
base: http://127.0.0.1:{peer.port}
load: {{users: 1, requests: 4, duration: 20s, http2: true}}
steps:
  - {{name: say, grpc: /test.Echo/Say, message_base64: AAEC, check: {{header: {{content-type: grpc}}}}}}
  - {{name: fail, grpc: /test.Echo/Fail, message: x}}
""")
            self.assertEqual([step["errors"] for step in said["steps"]], [0, 4])


class Plain(unittest.TestCase):
    def setUp(self):
        need_binary()

    def test_tcp_with_a_mark_a_size_and_a_close(self):
        def lines(peer):
            while data := peer.recv(65536):
                peer.sendall(b"+" + data[:3])
                peer.sendall(data[3:])
        with Server(lines) as server:
            url = f"tcp://127.0.0.1:{server.port}"
            said = load("--connections", "3", "--requests", "90", "--body", r"PING\r\n", "--until",
                        r"\r\n", url, code=0)
            self.assertEqual((said["requests"], said["errors"]), (90, 0))
            self.assertEqual(said["bytes_in"], 90 * 7)
            said = load("--connections", "3", "--requests", "90", "--body", r"\x01\x02", "--until",
                        "3", url, code=0)
            self.assertEqual((said["requests"], said["errors"]), (90, 0))
            said = run_file(f"""
load: {{users: 1, requests: 5, duration: 20s, timeout: 2s}}
steps:
  - {{tcp: "127.0.0.1:{server.port}", send: "SET ${{iteration}}\\n", until: "\\n",
      check: {{contains: "+SET ${{iteration}}"}}}}
""")
            self.assertEqual((said["requests"], said["errors"]), (5, 0))

        def once(peer):
            peer.recv(65536)
            peer.sendall(b"x" * 100000)
            peer.close()
        with Server(once) as server:
            said = load("--connections", "2", "--requests", "20", "--body", "x", "--until", "close",
                        f"tcp://127.0.0.1:{server.port}", code=0)
            self.assertEqual((said["requests"], said["errors"]), (20, 0))
            self.assertEqual(said["bytes_in"], 2000000)
            said = load("--connections", "1", "--requests", "2", "--body", "x", "--until", "zz",
                        f"tcp://127.0.0.1:{server.port}", code=1)
            self.assertEqual(said["errors_by_kind"], {"short_body": 2})

    def test_pipelined_requests_keep_their_order(self):
        def batches(peer):
            data = b""
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return
                data += piece
                *heads, data = data.split(b"\r\n\r\n")
                peer.sendall(ANSWER * len(heads))
        with Server(batches) as server:
            said = load("--connections", "2", "--pipeline", "8", "--requests", "800", server.url(),
                        code=0)
        self.assertEqual((said["requests"], said["errors"], said["status"]),
                         (800, 0, {"200": 800}))


class Proxy(Server):
    """Plain requests by their whole URL, and tunnels; wants a password when it has one."""

    def __init__(self, password=None, refuses=False):
        self.heads = []
        self.password = password
        self.refuses = refuses
        super().__init__(self.forward)

    def forward(self, peer):
        head = read_head(peer)
        if not head:
            return
        self.heads.append(head)
        if self.refuses or (self.password and base64.b64encode(self.password) not in head):
            peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        authority = target if method == b"CONNECT" else target.split(b"/")[2]
        host, port = authority.rsplit(b":", 1)
        with socket.create_connection((host.decode(), int(port)), PATIENCE) as other:
            if method == b"CONNECT":
                peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                other.sendall(head)
            while True:
                ready, _, _ = select.select([peer, other], [], [], PATIENCE)
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (other if one is peer else peer).sendall(data)


class Ways(unittest.TestCase):
    def setUp(self):
        need_binary()

    def test_a_proxy_is_told_the_whole_url(self):
        with Server(steadily) as server, Proxy() as proxy:
            said = load("--connections", "2", "--requests", "20", "--proxy",
                        f"http://127.0.0.1:{proxy.port}", server.url("/a?b"), code=0)
            self.assertEqual((said["requests"], said["errors"]), (20, 0))
            self.assertEqual(len(proxy.heads), 2)
            self.assertTrue(proxy.heads[0].startswith(b"GET " + server.url("/a?b").encode()))

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_tunnels_for_tls_and_websocket(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-proxy-"))
        self.addCleanup(shutil.rmtree, folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj",
                        "/CN=localhost"], check=True, capture_output=True)
        import ssl  # pylint: disable=import-outside-toplevel
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

        def secure(peer):
            with context.wrap_socket(peer, server_side=True) as wrapped:
                steadily(wrapped)
        os.environ["SONDE_PROXY_USER"] = "ann:pw"
        self.addCleanup(os.environ.pop, "SONDE_PROXY_USER")
        with Server(secure) as server, Proxy(b"ann:pw") as proxy:
            said = load("--connections", "2", "--requests", "20", "--insecure", "--proxy",
                        f"http://127.0.0.1:{proxy.port}", f"https://127.0.0.1:{server.port}/",
                        code=0)
            self.assertEqual((said["requests"], said["errors"]), (20, 0))
            self.assertTrue(proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port))
        with Peer(WEBSOCKETS) as peer, Proxy(b"ann:pw") as proxy:
            said = load("--connections", "2", "--requests", "20", "--body", "x", "--proxy",
                        f"http://127.0.0.1:{proxy.port}", f"ws://127.0.0.1:{peer.port}/", code=0)
            self.assertEqual((said["requests"], said["errors"]), (20, 0))

    def test_a_proxy_that_refuses(self):
        with Proxy(refuses=True) as proxy:
            said = load("--connections", "1", "--requests", "3", "--proxy",
                        f"http://127.0.0.1:{proxy.port}", "https://127.0.0.1:1/", code=1)
        self.assertEqual(said["errors_by_kind"], {"proxy": 3})

    def test_each_connection_asks_for_the_name(self):
        with Server(steadily) as server:
            said = load("--connections", "3", "--requests", "30", "--resolve-each", "--close",
                        f"http://localhost:{server.port}/", code=0)
            self.assertEqual((said["requests"], said["errors"]), (30, 0))
            self.assertGreaterEqual(said["dns_lookup_ms"]["count"], 30)
        said = load("--connections", "1", "--requests", "2", "--resolve-each", "--timeout", "20s",
                    "http://no-such-host.invalid/", code=1)
        self.assertEqual(said["errors_by_kind"], {"dns": 2})


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <sys/time.h>
static long step(void) { static long n; return (++n % 2 ? 1 : -1) * 3600 * n; }
int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += step();
    return result;
}
"""

PORTS = """
import json, socket, subprocess, sys, threading
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
    file.write("40000 40019")
listener = socket.create_server(("127.0.0.1", 39000), backlog=128)
def serve(peer):
    while peer.recv(65536):
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
sys.exit(subprocess.run([sys.argv[1], "load", "--json", "--quiet", "--connections", "40",
                         "--duration", "500ms", "http://127.0.0.1:39000/"]).returncode)
"""


class Machine(unittest.TestCase):
    """Where this machine is the trouble, it says so, and measures the rest rightly."""

    def setUp(self):
        need_binary()

    def test_clocks_that_step(self):
        if shutil.which("cc") is None:
            self.skipTest("cc is not installed")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-clock-"))
        self.addCleanup(shutil.rmtree, folder)
        (folder / "clock.c").write_text(CLOCK, "utf-8")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c",
                        "-ldl"], check=True)
        if b"asan" in subprocess.run(["ldd", BINARY], capture_output=True, check=False).stdout:
            preload = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True,
                                     text=True, check=True).stdout.strip() + ":"
        else:
            preload = ""
        with Server(steadily) as server:
            done = subprocess.run(
                [BINARY, "load", "--json", "--quiet", "--rate", "200", "--connections", "4",
                 "--duration", "1s", server.url()], capture_output=True, text=True,
                timeout=PATIENCE, check=False,
                env={**os.environ, "LD_PRELOAD": f"{preload}{folder}/clock.so",
                     "ASAN_OPTIONS": "detect_leaks=0"})
        said = json.loads(done.stdout)
        self.assertEqual((said["requests"], said["errors"]), (200, 0))
        self.assertLess(abs(said["duration_s"] - 1), 0.2)
        self.assertLess(said["latency_ms"]["max"], 5000)

    def test_no_local_ports_left(self):
        if shutil.which("unshare") is None or shutil.which("ip") is None:
            self.skipTest("unshare and ip are not installed")
        inside = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
        if subprocess.run([*inside, "ip", "link", "set", "lo", "up"], capture_output=True,
                          check=False).returncode != 0:
            self.skipTest("a network namespace cannot be made here")
        done = subprocess.run([*inside, "python3", "-c", PORTS, BINARY], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        said = json.loads(done.stdout)
        self.assertEqual(list(said["errors_by_kind"]), ["no_ports"])
        self.assertGreater(said["answers"], 0)

    def test_keep_alive_that_is_closed_early_costs_nobody_an_answer(self):
        """Every third answer is the last of its connection, though nothing said so."""
        def behave(peer):
            for _ in range(3):
                if not read_head(peer):
                    return
                peer.sendall(ANSWER)
            peer.shutdown(socket.SHUT_RDWR)
        with Server(behave) as server:
            said = load("--connections", "2", "--requests", "30", "--think", "5ms", server.url())
        self.assertEqual((said["requests"], said["errors"]), (30, 0))
        self.assertGreaterEqual(said["generator"]["closed_early"], 8)


if __name__ == "__main__":
    unittest.main()
