# SPDX-License-Identifier: Apache-2.0
"""A gRPC server that says UNAVAILABLE, with RetryInfo, to the first call and hands on the others:
run by otel_story.py in an environment that has grpcio.

    otel_gate.py HOST:PORT    where to hand on; prints its own port, and how many calls came once
                              its input ends"""

import sys
from concurrent import futures

import grpc

# google.rpc.Status {code: 14, details: [RetryInfo {retry_delay: 100 ms}]}
INFO = b"\x0a\x05\x10\x80\xc2\xd7\x2f"
ANY = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12" + bytes([len(INFO)]) + INFO
STATUS = b"\x08\x0e\x1a" + bytes([len(ANY)]) + ANY

onward = grpc.insecure_channel(sys.argv[1])
calls = []


class Gate(grpc.GenericRpcHandler):
    def service(self, details):
        hand_on = onward.unary_unary(details.method, lambda body: body, lambda body: body)

        def call(body, context):
            calls.append(details.method)
            if len(calls) == 1:
                context.set_trailing_metadata((("grpc-status-details-bin", STATUS),))
                context.abort(grpc.StatusCode.UNAVAILABLE, "later")
            return hand_on(body)

        return grpc.unary_unary_rpc_method_handler(call, lambda body: body, lambda body: body)


server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Gate()])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
print(len(calls), flush=True)
