//! Which addresses are those of machines on the public internet, and what the others are for.
//!
//! After the special-purpose registries of IANA (RFC 6890 and its successors). An address that carries another one
//! inside is judged by that one where it is delivered to it, and refused where nobody should use it any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not one of the public internet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReservedAddress {
    /// Between a provider and its customers.
    CarrierNat,
    LinkLocal,
    Loopback,
    /// Where clouds hand out a machine's credentials.
    Metadata,
    Multicast,
    /// A private network's: `10.0.0.0/8` and its like, and the unique local ones of IPv6.
    Private,
    /// For documentation, tests, protocols, or a future that has not come.
    Reserved,
    /// "This host", which connects to the machine itself.
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

/// What an address is for, if not for a machine on the public internet.
pub fn special(address: IpAddr) -> Option<ReservedAddress> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<ReservedAddress> {
    let inside = |(network, length, _): &&(Ipv4Addr, u32, ReservedAddress)| {
        let ignored = 32 - length;
        address.to_bits() >> ignored == network.to_bits() >> ignored
    };
    V4.iter().find(inside).map(|(.., special)| *special)
}

fn special_v6(address: Ipv6Addr) -> Option<ReservedAddress> {
    if let Some(inner) = address.to_ipv4_mapped() {
        return special_v4(inner);
    }
    let bits = address.to_bits();
    let inside = |network: Ipv6Addr, length: u32| bits >> (128 - length) == network.to_bits() >> (128 - length);
    if inside(NAT64, 96) {
        return special_v4(Ipv4Addr::from_bits(u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default()));
    }
    let known = V6.iter().find(|(network, length, _)| inside(*network, *length)).map(|(.., special)| *special);
    // Only an eighth of all addresses was ever given out.
    known.or_else(|| (!inside(GIVEN_OUT, 3)).then_some(ReservedAddress::Reserved))
}

/// Network, length of its prefix, and what it is for; the narrower before the wider.
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

/// The same for IPv6, where all that was never given out is reserved without being named here.
const V6: &[(Ipv6Addr, u32, ReservedAddress)] = &[
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, ReservedAddress::Metadata), // AWS
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, ReservedAddress::Metadata),  // Google
    (Ipv6Addr::UNSPECIFIED, 128, ReservedAddress::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, ReservedAddress::Loopback),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, ReservedAddress::Reserved), // protocols, with Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, ReservedAddress::Reserved), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, ReservedAddress::Reserved), // 6to4: an IPv4 address inside
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, ReservedAddress::Reserved), // documentation
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, ReservedAddress::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, ReservedAddress::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, ReservedAddress::Private), // as they once were
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, ReservedAddress::Multicast),
];

/// Leads to the IPv4 address in its last four bytes.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

/// `2000::/3`
const GIVEN_OUT: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(text: &str) -> Option<ReservedAddress> {
        special(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    /// First and last of every special range, and the neighbours outside it.
    #[test]
    fn every_range_ends_where_it_should() {
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
                assert_eq!(judged(address), expected, "{address}");
                assert_eq!(judged(&format!("::ffff:{address}")), expected, "mapped {address}");
                assert_eq!(judged(&format!("64:ff9b::{address}")), expected, "translated {address}");
                assert_eq!(judged(&format!("64:ff9b:1::{address}")), Some(Reserved), "locally translated {address}");
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
                assert!(address.is_empty() || judged(address) == expected, "{address}");
            }
        }
        assert_eq!(judged("::"), Some(Unspecified));
        assert_eq!(judged("::1"), Some(Loopback));
        assert_eq!(judged("::127.0.0.1"), Some(Reserved));
    }

    #[test]
    fn the_places_that_hand_out_credentials_are_known() {
        for address in ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"] {
            assert_eq!(judged(address), Some(ReservedAddress::Metadata), "{address}");
            assert_eq!(judged(&format!("::ffff:{address}")), Some(ReservedAddress::Metadata), "{address}");
        }
        assert_eq!(judged("fd00:ec2::254"), Some(ReservedAddress::Metadata));
        assert_eq!(judged("fd20:ce::254"), Some(ReservedAddress::Metadata));
    }

    #[test]
    fn the_public_internet_is_open() {
        for address in
            ["1.1.1.1", "8.8.8.8", "54.187.174.169", "2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808"]
        {
            assert_eq!(judged(address), None, "{address}");
        }
    }

    proptest! {
        /// The standard library knows some of the ranges too; where it does, we agree.
        #[test]
        fn nothing_that_the_standard_library_knows_passes(bits: u32, far: u128) {
            let four = Ipv4Addr::from_bits(bits);
            let known = four.is_loopback() || four.is_private() || four.is_link_local() || four.is_multicast()
                || four.is_unspecified() || four.is_broadcast() || four.is_documentation();
            prop_assert!(!known || special_v4(four).is_some(), "{four}");
            prop_assert_eq!(special(IpAddr::V6(four.to_ipv6_mapped())), special_v4(four));
            let six = Ipv6Addr::from_bits(far);
            let known = six.is_loopback() || six.is_multicast() || six.is_unspecified()
                || six.is_unique_local() || six.is_unicast_link_local();
            prop_assert!(!known || special_v6(six).is_some(), "{six}");
        }

        /// Random bits seldom fall into a narrow range, so each is entered on purpose.
        #[test]
        fn every_address_of_a_range_is_of_that_range(bits: u32, far: u128) {
            for (network, length, _) in V4 {
                let ours = u32::MAX.checked_shr(*length).unwrap_or_default();
                let inside = Ipv4Addr::from_bits(network.to_bits() | (bits & ours));
                prop_assert!(special_v4(inside).is_some(), "{inside}");
                prop_assert!(special_v6(inside.to_ipv6_mapped()).is_some(), "{inside}");
            }
            for (network, length, _) in V6 {
                let ours = u128::MAX.checked_shr(*length).unwrap_or_default();
                let inside = Ipv6Addr::from_bits(network.to_bits() | (far & ours));
                prop_assert!(special_v6(inside).is_some(), "{inside}");
            }
        }
    }
}
