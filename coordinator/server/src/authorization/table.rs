//! One table of the procedures that each role may call. A procedure that is not in the table is refused. A test
//! compares the table with the descriptors of everything that is served.

use std::collections::HashMap;
use std::sync::LazyLock;

use pretext_identity::Role::{self, Read, Submit, Worker};
use pretext_shared::ids::WorkerId;

use crate::identity::Peer;

/// The callers that may call a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone who can connect: the procedure reveals nothing that is kept here, and changes nothing without a secret of
    /// its own.
    Public,
    /// Every identity.
    Known,
    /// Identities of these roles.
    Roles(&'static [Role]),
}

/// A procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rpc {
    /// `PACKAGE.SERVICE/METHOD`.
    pub name: &'static str,
    /// The callers that may call it.
    pub access: Access,
}

const fn rpc(name: &'static str, access: Access) -> Rpc {
    Rpc { name, access }
}

const LOOK: Access = Access::Roles(&[Submit, Read]);
const CHANGE: Access = Access::Roles(&[Submit]);
const WORK: Access = Access::Roles(&[Worker]);

/// The table.
pub const TABLE: &[Rpc] = &[
    rpc("pretext.v1.Sweeps/Submit", CHANGE),
    rpc("pretext.v1.Sweeps/Plan", LOOK),
    rpc("pretext.v1.Sweeps/List", LOOK),
    rpc("pretext.v1.Sweeps/Get", LOOK),
    rpc("pretext.v1.Sweeps/Watch", LOOK),
    rpc("pretext.v1.Sweeps/Cancel", CHANGE),
    rpc("pretext.v1.Sweeps/Retry", CHANGE),
    rpc("pretext.v1.Sweeps/Delete", CHANGE),
    rpc("pretext.v1.Sweeps/Explain", LOOK),
    rpc("pretext.v1.Sweeps/Workers", LOOK),
    rpc("pretext.v1.Sweeps/Verify", LOOK),
    rpc("pretext.v1.Sweeps/Backup", CHANGE),
    rpc("pretext.v1.Sweeps/Fetch", LOOK),
    rpc("pretext.v1.Sweeps/Collect", CHANGE),
    rpc("pretext.v1.Work/Register", WORK),
    rpc("pretext.v1.Work/Lease", WORK),
    rpc("pretext.v1.Work/Heartbeat", WORK),
    rpc("pretext.v1.Work/Points", WORK),
    rpc("pretext.v1.Work/Upload", WORK),
    rpc("pretext.v1.Work/Download", WORK),
    rpc("pretext.v1.Work/RegisterCheckpoint", WORK),
    rpc("pretext.v1.Work/Complete", WORK),
    rpc("pretext.v1.Work/Fail", WORK),
    rpc("pretext.v1.Work/Release", WORK),
    rpc("pretext.v1.Data/Missing", CHANGE),
    rpc("pretext.v1.Data/Upload", CHANGE),
    rpc("pretext.v1.Data/Push", CHANGE),
    rpc("pretext.v1.Data/List", LOOK),
    rpc("pretext.v1.Data/Remove", CHANGE),
    rpc("pretext.v1.Identity/Join", Access::Public),
    rpc("pretext.v1.Identity/Renew", Access::Known),
    rpc("pretext.v1.Web/Login", LOOK),
    rpc("pretext.v1.Web/Token", LOOK),
    rpc("externalscaler.ExternalScaler/IsActive", LOOK),
    rpc("externalscaler.ExternalScaler/StreamIsActive", LOOK),
    rpc("externalscaler.ExternalScaler/GetMetricSpec", LOOK),
    rpc("externalscaler.ExternalScaler/GetMetrics", LOOK),
    rpc("grpc.health.v1.Health/Check", Access::Public),
    rpc("grpc.health.v1.Health/Watch", Access::Public),
    rpc("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", LOOK),
    rpc("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", LOOK),
];

/// Returns the procedure of a request's path.
pub fn find(path: &str) -> Option<Rpc> {
    static BY_NAME: LazyLock<HashMap<&str, Rpc>> = LazyLock::new(|| TABLE.iter().map(|rpc| (rpc.name, *rpc)).collect());
    BY_NAME.get(path.strip_prefix('/')?).copied()
}

/// The reason why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The caller has no certificate.
    #[error("this call needs a certificate: obtain one with a token and `coordinator join` or `worker --token-file`")]
    Unknown,
    /// The role does not allow it.
    #[error("the role `{0}` may not do this")]
    Role(Role),
    /// A worker uses the name of another worker.
    #[error("the certificate is that of `{certified}`, the message speaks for `{claimed}`")]
    Name {
        /// The name in the certificate.
        certified: String,
        /// The name in the message.
        claimed: String,
    },
    /// The lease belongs to another worker.
    #[error("the lease is another worker's")]
    ForeignLease,
}

impl Access {
    /// Checks that `peer` may call the procedure.
    pub fn check(self, peer: &Peer) -> Result<(), Forbidden> {
        match (self, peer) {
            (_, Peer::Open) | (Access::Public, _) | (Access::Known, Peer::Known(_)) => Ok(()),
            (Access::Known | Access::Roles(_), Peer::Stranger) => Err(Forbidden::Unknown),
            (Access::Roles(roles), Peer::Known(identity)) if roles.contains(&identity.role) => Ok(()),
            (Access::Roles(_), Peer::Known(identity)) => Err(Forbidden::Role(identity.role)),
        }
    }
}

/// Checks that `peer` may act as `worker`.
pub fn speaks_for(peer: &Peer, worker: &WorkerId) -> Result<(), Forbidden> {
    match peer {
        Peer::Open => Ok(()),
        Peer::Stranger => Err(Forbidden::Unknown),
        Peer::Known(identity) if identity.role == Worker && identity.name == worker.name => Ok(()),
        Peer::Known(identity) => {
            Err(Forbidden::Name { certified: identity.name.clone(), claimed: worker.name.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Every procedure of every service that is served.
    fn served() -> BTreeSet<String> {
        [
            pretext_proto::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ]
        .into_iter()
        .flat_map(|bytes| FileDescriptorSet::decode(bytes).expect("descriptors of this build").file)
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let name = service.name().to_owned();
            service.method.into_iter().map(move |method| format!("{package}.{name}/{}", method.name()))
        })
        .collect()
    }

    #[test]
    fn every_procedure_is_classified_and_nothing_else() {
        let table: BTreeSet<String> = TABLE.iter().map(|rpc| rpc.name.to_owned()).collect();
        assert_eq!(table.len(), TABLE.len(), "each once");
        assert_eq!(table, served());
        assert!(TABLE.iter().all(|rpc| find(&format!("/{}", rpc.name)) == Some(*rpc)));
        assert_eq!(find("/pretext.v1.Sweeps/Drop"), None);
    }
}
