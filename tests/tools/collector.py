"""A collector of spans, by OpenTelemetry's own package for its messages and gRPC's own server.

Usage: collector.py TOKEN [--tls CHAIN KEY] [--reluctant]

Listens on a free port of the loopback and says where, as a line of JSON; then each span that it is sent is a
line. Requests without TOKEN as their authorization are refused. With `--reluctant` the first request is turned
down, as by one that is being restarted, and one span of the second is not kept.
"""

import argparse
import json
import pathlib
from concurrent import futures

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1 import trace_pb2


def values(attributes):
    """Attributes as a dictionary."""
    return {it.key: getattr(it.value, it.value.WhichOneof("value")) for it in attributes}


def told(span, process):
    return {
        "process": process,
        "name": span.name,
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "kind": trace_pb2.Span.SpanKind.Name(span.kind),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": values(span.attributes),
        "status": trace_pb2.Status.StatusCode.Name(span.status.code),
        "why": span.status.message,
    }


class Collector(rpc.TraceServiceServicer):
    def __init__(self, token, reluctant):
        self.token = token
        self.moods = ["away", "full"] if reluctant else []

    def Export(self, request, context):
        if ("authorization", self.token) not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")
        mood = self.moods.pop(0) if self.moods else None
        if mood == "away":
            context.abort(grpc.StatusCode.UNAVAILABLE, "in a moment")
        for resource in request.resource_spans:
            process = values(resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    print(json.dumps(told(span, process)), flush=True)
        answer = service.ExportTraceServiceResponse()
        if mood == "full":
            answer.partial_success.rejected_spans = 1
            answer.partial_success.error_message = "one too many"
        return answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("token")
    parser.add_argument("--tls", nargs=2, type=pathlib.Path)
    parser.add_argument("--reluctant", action="store_true")
    options = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    rpc.add_TraceServiceServicer_to_server(Collector(options.token, options.reluctant), server)
    if options.tls:
        chain, key = (path.read_bytes() for path in options.tls)
        credentials = grpc.ssl_server_credentials([(key, chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    place = {"message": "listening", "listener": "spans", "address": f"127.0.0.1:{port}"}
    print(json.dumps(place), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
