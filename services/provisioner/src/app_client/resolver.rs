//! Which addresses an app may have. Whoever can change a name on the way must not reach into our own network with it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rollcall_config::PrivateAddresses;
use url::{Host, Url};

/// Resolves names to the addresses that may be asked.
#[derive(Debug)]
pub struct Resolver {
    pub private: PrivateAddresses,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // The configuration itself says so.
            let open = private == PrivateAddresses::Allowed || name == "localhost";
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(|a| open || is_public(a.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                let reason = format!("{name} is an address of a private network: allow_private_addresses is not set");
                return Err(reason.into());
            }
            let all: Addrs = Box::new(allowed.into_iter());
            Ok(all)
        })
    }
}

/// Why an address that is configured as such may not be asked. A private one may: nobody can change it on the way. Those
/// that clouds hand out secrets on may not.
pub fn refused_address(url: &Url, private: PrivateAddresses) -> Option<String> {
    let ip = match url.host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip),
        Host::Ipv6(ip) => IpAddr::V6(ip),
        Host::Domain(_) => return None,
    };
    let refused = private == PrivateAddresses::Refused && is_link_local(ip);
    refused.then(|| format!("{ip} is a link-local address: allow_private_addresses is not set"))
}

fn is_link_local(ip: IpAddr) -> bool {
    match plain(ip) {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

/// An IPv4 address that is written as an IPv6 one is what it is.
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

fn is_public(ip: IpAddr) -> bool {
    match plain(ip) {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.is_documentation()
        || shared)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let table = [
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("::1", false),
            ("::ffff:10.0.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("2606:4700::1111", true),
        ];
        for (ip, public) in table {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn an_address_that_clouds_hand_out_secrets_on_is_refused_even_when_it_is_configured() {
        let at = |text: &str| Url::parse(text).unwrap();
        for (url, refused) in [
            ("http://169.254.169.254/scim", true),
            ("http://[fe80::1]/scim", true),
            ("http://127.0.0.1:8080/scim", false),
            ("http://10.0.0.7/scim", false),
            ("https://app.example.com/scim", false),
        ] {
            assert_eq!(refused_address(&at(url), PrivateAddresses::Refused).is_some(), refused, "{url}");
            assert_eq!(refused_address(&at(url), PrivateAddresses::Allowed), None, "{url}");
        }
    }
}
