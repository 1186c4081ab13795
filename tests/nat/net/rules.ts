/**
 * What the NAT routers do, as nft rules. Their outer device is `wan`, their inner one `lan`.
 *
 * An unasked packet is dropped before conntrack remembers it: an entry for it would take the port that the answer to it
 * wants to leave from, and the hole would be punched beside it. Home routers do the same.
 *
 * @module
 */

const FIREWALL = `
table ip filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname != "wan" accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}
`;

/**
 * What stands before homes with IPv6: addresses pass as they are, and in comes only what was asked for. Neighbors are
 * found by ICMPv6, so that is let in.
 */
export const IPV6_FIREWALL = `
table ip6 filter {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    iifname != "wan" accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}
`;

/** Addresses the mapping by what is inside only, lets in what comes from where something was sent. */
export const PORT_RESTRICTED = `${FIREWALL}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
  }
}
`;

/** Another port for every destination. */
export const SYMMETRIC = `${FIREWALL}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade fully-random
  }
}
`;

/** One port for all destinations, and anybody may send to it: all of them lead to the one host inside. */
export function fullCone(host: string): string {
  return `
table ip nat {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    iifname "wan" udp dport 1024-65535 dnat to ${host}
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
  }
}
`;
}

/** UDP with one host outside and nobody else. */
export function udpOnlyWith(host: string): string {
  return `${PORT_RESTRICTED}
table ip beacon_only {
  chain forward {
    type filter hook forward priority filter - 1;
    meta l4proto udp ip saddr != ${host} ip daddr != ${host} drop
  }
}
`;
}

/** UDP ports of {@linkcode REMAPPED}: those that a system chooses begin at 32768. */
export const REMAPPED_PORTS = { from: 20_000, to: 29_999 } as const;

/** In the place of {@linkcode PORT_RESTRICTED}'s mapping: UDP leaves from other ports than it did. */
export const REMAPPED = `
flush chain ip nat postrouting
table ip nat {
  chain postrouting {
    oifname "wan" meta l4proto udp masquerade to :${REMAPPED_PORTS.from}-${REMAPPED_PORTS.to}
    oifname "wan" masquerade
  }
}
`;
