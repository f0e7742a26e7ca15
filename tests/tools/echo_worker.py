"""A worker in plain Python: numbers what it hears, exactly as the Rust echo worker does.

Usage: echo_worker.py PROTO VERSION

Makes its classes from the .proto, listens on the address LISTEN, and says `listening
ADDRESS`. Its count lives in the session's state under the key that the Rust worker uses, so that a
session can move between the two at any frame.
"""

import json
import os
import sys
import tempfile
from concurrent import futures

import grpc
from grpc_tools import protoc


def load(proto):
    """The generated modules of the protocol."""
    root = os.path.abspath(proto)
    for _ in range(4):
        root = os.path.dirname(root)
    out = tempfile.mkdtemp()
    arguments = ["protoc", f"-I{root}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main([*arguments, os.path.abspath(proto)]):
        raise SystemExit("the protocol cannot be compiled")
    sys.path.insert(0, out)
    from holdline.worker.v1 import worker_pb2, worker_pb2_grpc

    return worker_pb2, worker_pb2_grpc


def main():
    proto, version = sys.argv[1:]
    pb, rpc = load(proto)

    class Echo(rpc.WorkerServicer):
        def Describe(self, request, context):
            return pb.DescribeResponse(version=version, reads_schemas=[1], writes_schema=1)

        def Serve(self, requests, context):
            count = 0
            for request in requests:
                kind = request.WhichOneof("message")
                if kind == "offer":
                    yield pb.ServeResponse(accept=pb.Accept())
                elif kind == "attach":
                    for entry in request.attach.state:
                        if entry.key == "count":
                            count = json.loads(entry.value)
                elif kind == "inputs":
                    commit, count = work(request.inputs.inputs, count)
                    yield pb.ServeResponse(commit=commit)
                elif kind == "release":
                    yield pb.ServeResponse(released=pb.Released())
                    return

    def work(inputs, count):
        """One commit for all that came together."""
        commit = pb.Commit(state_schema=1)
        for item in inputs:
            commit.through_seq = item.seq
            if item.WhichOneof("kind") != "frame":
                continue
            count += 1
            text = f"{count} {version} {item.frame.text.decode()}".encode()
            send = pb.Send(leg=item.frame.leg, incarnation=item.frame.incarnation, text=text)
            commit.commands.add(send=send)
        commit.put.add(key="count", value=json.dumps(count).encode())
        return commit, count

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    rpc.add_WorkerServicer_to_server(Echo(), server)
    server.add_insecure_port(os.environ["LISTEN"])
    server.start()
    print("listening", os.environ["LISTEN"], flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
