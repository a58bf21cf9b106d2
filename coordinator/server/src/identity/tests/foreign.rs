//! Tests that no message can use the lease or the name of another worker, or a fence that was never granted. The messages are made from the descriptors.

use std::collections::{BTreeMap, BTreeSet};

use pretext_identity::Role;
use pretext_proto::v1 as pb;
use pretext_proto::v1::sweeps_client::SweepsClient;
use pretext_proto::v1::work_client::WorkClient;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::Cluster;
use crate::authorization::table::{self, Access};

/// Messages as bytes.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Raw
    }

    fn decoder(&mut self) -> Self {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// The described messages and procedures.
struct Described {
    messages: BTreeMap<String, DescriptorProto>,
    /// Type of each procedure's request, by the procedure's name.
    procedures: BTreeMap<String, String>,
}

impl Described {
    fn new() -> Self {
        let files = FileDescriptorSet::decode(pretext_proto::DESCRIPTORS).expect("descriptors of this build").file;
        let (mut messages, mut procedures) = (BTreeMap::new(), BTreeMap::new());
        for file in files {
            let package = file.package().to_owned();
            for message in file.message_type {
                messages.insert(format!(".{package}.{}", message.name()), message);
            }
            for service in file.service {
                for method in &service.method {
                    let name = format!("{package}.{}/{}", service.name(), method.name());
                    procedures.insert(name, method.input_type().to_owned());
                }
            }
        }
        Self { messages, procedures }
    }

    /// Returns a message of this type with all fields of `filled` that it can carry, and the names of these fields.
    /// Other fields are empty, except the protocol number.
    fn message<'a>(&self, name: &str, filled: &BTreeMap<&'a str, Vec<u8>>) -> (Vec<u8>, BTreeSet<&'a str>) {
        let (mut bytes, mut carried) = (Vec::new(), BTreeSet::new());
        for field in self.messages.get(name).into_iter().flat_map(|message| &message.field) {
            if field.name() == "protocol" {
                // A caller with another protocol number is refused before any other check.
                prost::encoding::uint32::encode(field.number() as u32, &pretext_proto::PROTOCOL, &mut bytes);
                continue;
            }
            let content = match filled.get_key_value(field.type_name()) {
                Some((name, content)) => {
                    carried.insert(*name);
                    content.clone()
                }
                None => {
                    let (content, within) = self.message(field.type_name(), filled);
                    if within.is_empty() {
                        continue;
                    }
                    carried.extend(within);
                    content
                }
            };
            // A field of bytes with a length: number and wire type, length, content.
            prost::encoding::encode_varint((field.number() as u64) << 3 | 2, &mut bytes);
            prost::encoding::encode_varint(content.len() as u64, &mut bytes);
            bytes.extend(content);
        }
        (bytes, carried)
    }
}

/// Sends one message and reads the first that comes back.
async fn send(channel: &Channel, rpc: &str, message: Vec<u8>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("a coordinator");
    let path = format!("/{rpc}").parse().expect("a path");
    let answer = client.streaming(Request::new(tokio_stream::iter([message])), path, Raw).await?;
    answer.into_inner().message().await.map(drop)
}

const ATTEMPT: &str = ".pretext.v1.Attempt";
const WORKER: &str = ".pretext.v1.Worker";

#[tokio::test]
async fn every_message_with_a_lease_or_a_name_of_another_is_refused() {
    let cluster = Cluster::start().await;
    let (own, other) = (cluster.member(Role::Worker, "own").await, cluster.member(Role::Worker, "other").await);
    let worker = |name: &str| pb::Worker { name: name.to_owned(), boot: uuid::Uuid::nil().to_string() };
    let device =
        pb::Device { name: "cpu".to_owned(), description: String::new(), numeric_class: "cpu".to_owned(), slots: 1 };
    let mut holder = WorkClient::new(own);
    let register = pb::RegisterRequest {
        protocol: pretext_proto::PROTOCOL,
        worker: Some(worker("own")),
        version: "0".to_owned(),
        devices: vec![device],
        datasets: vec![],
        data_cache: 0,
    };
    holder.register(register).await.expect("its own name");
    let mut person = SweepsClient::new(cluster.member(Role::Submit, "someone").await);
    let spec = pretext_engine::fixtures::SWEEP.to_owned();
    person.submit(pb::SubmitRequest { spec, smoke: true, request_id: String::new() }).await.expect("a good sweep");
    let lease = pb::LeaseRequest {
        worker: Some(worker("own")),
        device: "cpu".to_owned(),
        wait_ms: 0,
        request_id: "1".to_owned(),
    };
    let grant = holder.lease(lease).await.expect("its own").into_inner().grant.expect("work");
    let attempt = grant.attempt.expect("of a stage");

    let described = Described::new();
    let (mut with_lease, mut with_forged, mut with_name) = (Vec::new(), Vec::new(), Vec::new());
    for (rpc, input) in &described.procedures {
        let allowed = table::find(&format!("/{rpc}")).map(|rpc| rpc.access);
        if !matches!(allowed, Some(Access::Roles(roles)) if roles.contains(&Role::Worker)) {
            continue;
        }
        // Another's lease, in one's own name.
        let filled = BTreeMap::from([(ATTEMPT, attempt.encode_to_vec()), (WORKER, worker("other").encode_to_vec())]);
        let (message, carried) = described.message(input, &filled);
        if carried.contains(ATTEMPT) {
            let status = send(&other, rpc, message).await.expect_err(rpc);
            assert_eq!(
                (status.code(), status.message()),
                (Code::PermissionDenied, "the lease is another worker's"),
                "{rpc}"
            );
            with_lease.push(rpc.as_str());
        }
        // A fence above the granted one, with the proof of the granted one.
        let forged = pb::Attempt { fence: attempt.fence + 1, ..attempt.clone() };
        let filled = BTreeMap::from([(ATTEMPT, forged.encode_to_vec()), (WORKER, worker("other").encode_to_vec())]);
        let (message, carried) = described.message(input, &filled);
        // A heartbeat answers for each attempt that it holds: `grpc/work/tests/claims.rs`.
        if carried.contains(ATTEMPT) && !carried.contains(WORKER) {
            let status = send(&other, rpc, message).await.expect_err(rpc);
            assert_eq!(status.code(), Code::Aborted, "{rpc}: {status}");
            assert!(status.message().contains("is superseded"), "{rpc}: {status}");
            with_forged.push(rpc.as_str());
        }
        // In another's name.
        let (message, carried) = described.message(input, &BTreeMap::from([(WORKER, worker("own").encode_to_vec())]));
        if carried.contains(WORKER) {
            let status = send(&other, rpc, message).await.expect_err(rpc);
            assert_eq!(status.code(), Code::PermissionDenied, "{rpc}: {status}");
            assert!(status.message().contains("speaks for `own`"), "{rpc}: {status}");
            with_name.push(rpc.as_str());
        }
    }
    assert!(with_lease.len() >= 7 && with_name.len() >= 3, "{with_lease:?} {with_name:?}");
    assert!(with_forged.len() >= 6, "{with_forged:?}");

    // Nothing of that reached the stage: its holder gives it back itself.
    holder.release(pb::ReleaseRequest { attempt: Some(attempt) }).await.expect("its own");
    cluster.coordinator.stop().await;
}
