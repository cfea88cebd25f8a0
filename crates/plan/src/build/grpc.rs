//! `server.grpc`: whether and where gRPC is spoken.

use core::net::{Ipv4Addr, SocketAddr};

use crate::{finding::Findings, plan::GrpcPlan, raw::GrpcRaw};

/// Where gRPC is spoken when the file does not say.
const USUAL: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8401);

/// Reads it. A port that nobody asked for stays closed: two projects on one machine would stand in each other's way.
pub(super) fn grpc(raw: Option<&GrpcRaw>, findings: &mut Findings) -> Option<GrpcPlan> {
    let Some(listen) = &raw?.listen else { return Some(GrpcPlan { listen: USUAL }) };
    if let Ok(listen) = listen.text().parse() {
        return Some(GrpcPlan { listen });
    }
    findings.add(listen.mark, "bad_address", format!("{} is no address to listen on", listen.text()), |finding| {
        finding.allow("an IP address and a port, for example 127.0.0.1:8401")
    });
    None
}
