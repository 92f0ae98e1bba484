//! IP addresses that are not public, after IANA's special-purpose registries (RFC 6890 and its successors).
//!
//! An address that embeds another one counts as that one where it is delivered to it (IPv4-mapped, NAT64). Retired
//! embeddings such as 6to4 are reserved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReservedAddress {
    /// Between a provider and its customers.
    CarrierNat,
    LinkLocal,
    Loopback,
    /// A cloud's service that hands out the machine's credentials.
    Metadata,
    Multicast,
    /// A private network (`10.0.0.0/8` and its like), or unique local in IPv6.
    Private,
    /// For documentation, tests and protocols, or never allocated.
    Reserved,
    /// "This host", which reaches the machine itself.
    Unspecified,
}

impl ReservedAddress {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CarrierNat => "shared (carrier NAT)",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Private => "private",
            Self::Reserved => "reserved",
            Self::Unspecified => "unspecified",
        }
    }
}

/// Returns what an address is reserved for; `None` if it is public.
pub fn reserved(address: IpAddr) -> Option<ReservedAddress> {
    match address {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

fn reserved_v4(address: Ipv4Addr) -> Option<ReservedAddress> {
    let contains_it = |(network, length, _): &&(Ipv4Addr, u32, ReservedAddress)| {
        let ignored = 32 - length;
        address.to_bits() >> ignored == network.to_bits() >> ignored
    };
    V4.iter().find(contains_it).map(|(.., kind)| *kind)
}

fn reserved_v6(address: Ipv6Addr) -> Option<ReservedAddress> {
    if let Some(inner) = address.to_ipv4_mapped() {
        return reserved_v4(inner);
    }
    let bits = address.to_bits();
    let inside = |network: Ipv6Addr, length: u32| bits >> (128 - length) == network.to_bits() >> (128 - length);
    if inside(NAT64, 96) {
        return reserved_v4(Ipv4Addr::from_bits(u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default()));
    }
    let known = V6.iter().find(|(network, length, _)| inside(*network, *length)).map(|(.., kind)| *kind);
    // Only an eighth of all addresses was ever allocated.
    known.or_else(|| (!inside(ALLOCATED, 3)).then_some(ReservedAddress::Reserved))
}

/// Network, prefix length and purpose; narrower networks first.
const V4: &[(Ipv4Addr, u32, ReservedAddress)] = &[
    (Ipv4Addr::new(169, 254, 169, 254), 32, ReservedAddress::Metadata),
    (Ipv4Addr::new(169, 254, 170, 2), 32, ReservedAddress::Metadata), // containers at AWS
    (Ipv4Addr::new(100, 100, 100, 200), 32, ReservedAddress::Metadata), // Alibaba
    (Ipv4Addr::new(192, 0, 0, 192), 32, ReservedAddress::Metadata),   // Oracle
    (Ipv4Addr::new(168, 63, 129, 16), 32, ReservedAddress::Metadata), // Azure, within the public range
    (Ipv4Addr::UNSPECIFIED, 8, ReservedAddress::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, ReservedAddress::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, ReservedAddress::CarrierNat),
    (Ipv4Addr::new(127, 0, 0, 0), 8, ReservedAddress::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, ReservedAddress::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, ReservedAddress::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, ReservedAddress::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, ReservedAddress::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, ReservedAddress::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, ReservedAddress::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, ReservedAddress::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, ReservedAddress::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, ReservedAddress::Reserved),
    (Ipv4Addr::new(224, 0, 0, 0), 4, ReservedAddress::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, ReservedAddress::Reserved), // with the broadcast address
];

/// The same for IPv6. What was never allocated is reserved without being listed.
const V6: &[(Ipv6Addr, u32, ReservedAddress)] = &[
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, ReservedAddress::Metadata), // AWS
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, ReservedAddress::Metadata),  // Google
    (Ipv6Addr::UNSPECIFIED, 128, ReservedAddress::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, ReservedAddress::Loopback),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, ReservedAddress::Reserved), // protocols, with Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, ReservedAddress::Reserved), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, ReservedAddress::Reserved), // 6to4, which embeds an IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, ReservedAddress::Reserved), // documentation
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, ReservedAddress::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, ReservedAddress::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, ReservedAddress::Private), // site-local, deprecated
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, ReservedAddress::Multicast),
];

/// Translated to the IPv4 address in its last four bytes.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// `2000::/3`
const ALLOCATED: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> Option<ReservedAddress> {
        reserved(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    /// First and last address of every range, and the neighbours outside.
    #[test]
    fn reserved_range_has_exact_bounds() {
        use ReservedAddress::{CarrierNat, LinkLocal, Loopback, Multicast, Private, Reserved, Unspecified};
        for (before, first, last, after, what) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0", Unspecified),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", Private),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", CarrierNat),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", Loopback),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0", LinkLocal),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", Private),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0", Reserved),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0", Reserved),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0", Reserved),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0", Private),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0", Reserved),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0", Reserved),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0", Reserved),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", "", Multicast),
            ("", "240.0.0.0", "255.255.255.255", "", Reserved),
        ] {
            for (address, expected) in [(before, None), (first, Some(what)), (last, Some(what)), (after, None)] {
                if address.is_empty() {
                    continue;
                }
                assert_eq!(kind(address), expected, "{address}");
                assert_eq!(kind(&format!("::ffff:{address}")), expected, "mapped {address}");
                assert_eq!(kind(&format!("64:ff9b::{address}")), expected, "translated {address}");
                assert_eq!(kind(&format!("64:ff9b:1::{address}")), Some(Reserved), "locally translated {address}");
            }
        }
        for (before, first, last, after, what) in [
            ("", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", Reserved),
            (
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db9::",
                Reserved,
            ),
            (
                "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2002::",
                "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2003::",
                Reserved,
            ),
            (
                "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff:1000::",
                Reserved,
            ),
            ("2fff::", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", Reserved),
            ("", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", Private),
            ("", "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", Reserved),
            ("", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", LinkLocal),
            ("", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", Private),
            ("", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", Multicast),
            ("", "::2", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::", Reserved),
            ("", "100::", "100::1", "", Reserved),
            ("", "5f00::", "5f00::1", "", Reserved),
        ] {
            for (address, expected) in [(before, None), (first, Some(what)), (last, Some(what)), (after, None)] {
                assert!(address.is_empty() || kind(address) == expected, "{address}");
            }
        }
        assert_eq!(kind("::"), Some(Unspecified));
        assert_eq!(kind("::1"), Some(Loopback));
        assert_eq!(kind("::127.0.0.1"), Some(Reserved));
    }

    #[test]
    fn metadata_service_address_is_reserved() {
        for address in ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"] {
            assert_eq!(kind(address), Some(ReservedAddress::Metadata), "{address}");
            assert_eq!(kind(&format!("::ffff:{address}")), Some(ReservedAddress::Metadata), "{address}");
        }
        assert_eq!(kind("fd00:ec2::254"), Some(ReservedAddress::Metadata));
        assert_eq!(kind("fd20:ce::254"), Some(ReservedAddress::Metadata));
    }

    #[test]
    fn public_address_is_not_reserved() {
        for address in
            ["1.1.1.1", "8.8.8.8", "54.187.174.169", "2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808"]
        {
            assert_eq!(kind(address), None, "{address}");
        }
    }

    proptest! {
        /// The standard library knows some of the ranges.
        #[test]
        fn address_reserved_by_std_is_reserved_here(bits: u32, far: u128) {
            let four = Ipv4Addr::from_bits(bits);
            let known = four.is_loopback() || four.is_private() || four.is_link_local() || four.is_multicast()
                || four.is_unspecified() || four.is_broadcast() || four.is_documentation();
            prop_assert!(!known || reserved_v4(four).is_some(), "{four}");
            prop_assert_eq!(reserved(IpAddr::V6(four.to_ipv6_mapped())), reserved_v4(four));
            let six = Ipv6Addr::from_bits(far);
            let known = six.is_loopback() || six.is_multicast() || six.is_unspecified()
                || six.is_unique_local() || six.is_unicast_link_local();
            prop_assert!(!known || reserved_v6(six).is_some(), "{six}");
        }

        /// Random addresses seldom fall into a narrow range, so each range is sampled.
        #[test]
        fn address_inside_a_range_is_reserved(bits: u32, far: u128) {
            for (network, length, _) in V4 {
                let ours = u32::MAX.checked_shr(*length).unwrap_or_default();
                let inside = Ipv4Addr::from_bits(network.to_bits() | (bits & ours));
                prop_assert!(reserved_v4(inside).is_some(), "{inside}");
                prop_assert!(reserved_v6(inside.to_ipv6_mapped()).is_some(), "{inside}");
            }
            for (network, length, _) in V6 {
                let ours = u128::MAX.checked_shr(*length).unwrap_or_default();
                let inside = Ipv6Addr::from_bits(network.to_bits() | (far & ours));
                prop_assert!(reserved_v6(inside).is_some(), "{inside}");
            }
        }
    }
}
