//! Where to listen: the command line goes before the file. Beyond this machine only with TLS, or where the file accepts in words
//! that keys and personal data travel unencrypted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tendon_plan::trust::TrustPlan;

use crate::failure::Failure;

/// Where to listen when nobody says.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8400);

/// The address.
///
/// # Errors
/// When it is reached from other machines and nothing protects what travels.
pub(super) fn address(given: Option<SocketAddr>, plan: &TrustPlan) -> Result<SocketAddr, Failure> {
    let address = given.or(plan.listen).unwrap_or(USUAL);
    if address.ip().is_loopback() || plan.tls.is_some() || plan.plain_http {
        return Ok(address);
    }
    Err(Failure::new(
        "listen_without_tls",
        format!(
            "{address} is reached from other machines, and without TLS whoever is in between reads keys and personal data"
        ),
        "give `server.tls` a certificate; or listen on 127.0.0.1 behind a TLS proxy; or write `server: { plain_http: keys and personal data may travel unencrypted }`",
    ))
}

/// Whether a changed plan can be put in force without a restart.
///
/// # Errors
/// When it listens elsewhere, or turns TLS on or off.
pub(super) fn same(old: &TrustPlan, new: &TrustPlan) -> Result<(), Failure> {
    let changed = if old.listen != new.listen {
        "server.listen"
    } else if old.tls.is_some() != new.tls.is_some() {
        "server.tls"
    } else if old.plain_http && !new.plain_http && new.tls.is_none() {
        "server.plain_http"
    } else {
        return Ok(());
    };
    Err(Failure::new(
        "needs_restart",
        format!("{changed} has changed, which takes effect when the process starts"),
        "restart `tendon up`, or undo the change",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_served_only_protected_or_by_word() {
        let plan = |plain_http| TrustPlan { plain_http, ..TrustPlan::default() };
        let given = |text: &str| Some(text.parse().unwrap());
        for inside in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1"] {
            assert!(address(given(inside), &plan(false)).is_ok(), "{inside}");
        }
        for outside in ["0.0.0.0:1", "[::]:1", "192.168.1.1:1", "[::ffff:127.0.0.1]:1"] {
            assert!(address(given(outside), &plan(false)).is_err(), "{outside}");
            assert!(address(given(outside), &plan(true)).is_ok(), "{outside}");
        }
        assert_eq!(address(None, &plan(false)).ok(), Some(USUAL));
        let elsewhere = TrustPlan { listen: given("127.0.0.1:9"), ..TrustPlan::default() };
        assert_eq!(address(None, &elsewhere).ok(), elsewhere.listen);
        assert!(same(&plan(true), &plan(false)).is_err() && same(&plan(false), &elsewhere).is_err());
        assert!(same(&plan(false), &plan(true)).is_ok());
    }
}
