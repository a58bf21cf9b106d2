"""Calls every procedure that only reads, as a stock client does: with the descriptors that the server itself describes.

usage: reflection.py HOST:PORT < FACTS, with FACTS = {"procedures": [...], "arguments": {PROCEDURE: {...}}} as JSON
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def services(channel, version):
    """The names of the services that a version of reflection lists. Both versions have the same messages."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = next(ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=60))
    return sorted(service.name for service in answer.list_services_response.service)


def main():
    facts = json.load(sys.stdin)
    channel = grpc.insecure_channel(sys.argv[1])
    listed = services(channel, "v1")
    if services(channel, "v1alpha") != listed:
        sys.exit("the two versions of reflection list other services")
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    answers = {}
    for procedure in facts["procedures"]:
        service, name = procedure.split("/")
        if service not in listed:
            sys.exit(f"reflection does not list {service}")
        method = pool.FindServiceByName(service).methods_by_name[name]
        request = json_format.ParseDict(
            facts["arguments"].get(procedure, {}), message_factory.GetMessageClass(method.input_type)()
        )
        answer = message_factory.GetMessageClass(method.output_type)
        make = channel.unary_stream if method.server_streaming else channel.unary_unary
        call = make(f"/{procedure}", request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString)
        try:
            found = call(request, timeout=60)
            if method.server_streaming:
                stream, found = found, next(found)
                stream.cancel()
        except grpc.RpcError as error:
            sys.exit(f"{procedure}: {error.code()} {error.details()}")
        answers[procedure] = json_format.MessageToDict(found)
    json.dump({"services": listed, "answers": answers}, sys.stdout)


main()
