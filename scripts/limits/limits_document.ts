/**
 * `docs/LIMITS.md`, made from the source.
 *
 * @module
 */

import type { Limit } from "./constants.ts";

/** Parts of the product: heading, folders (the longest that fits counts), and what the bounds there are for. */
const PARTS: readonly (readonly [string, string, string])[] = [
  [
    "protocol/",
    "Wire formats",
    "Sizes that decoders accept. Larger claims are errors before anything is allocated.",
  ],
  ["protocol/crypto/", "Cryptography", "Replay windows and caches."],
  ["protocol/stream/", "Streams", "Windows, buffers and timers of one reliable stream."],
  [
    "protocol/tunnel/",
    "Tunnels",
    "What strangers on the network can make the daemon do or remember.",
  ],
  ["protocol/path/", "Paths", "Probes, searches and sizes."],
  ["protocol/trust/", "Trust", "Who may ask for trust how often, and what is remembered of it."],
  ["protocol/service/", "Service formats", "Messages, files and events on the wire."],
  ["platform/", "Files and settings", "What is read from disk."],
  ["daemon/", "Daemon", "The process as a whole."],
  ["platform/net/", "Daemon: UDP socket", "Between the tunnels and the kernel."],
  ["daemon/tunnel/", "Daemon: beacon and keys", "What the beacon and others can make it do."],
  [
    "daemon/stream/",
    "Daemon: connections",
    "Connections, pings and datagrams of all peers together.",
  ],
  ["daemon/trust/", "Daemon: handshakes", "Handshake connections and waiting clients."],
  ["daemon/registry/", "Daemon: registry client", "Waiting for the registry."],
  [
    "daemon/service/",
    "Daemon: built-in services",
    "Echo, messages, files and events offered to peers.",
  ],
  [
    "daemon/ipc/",
    "Daemon: local clients",
    "What one program on this machine can make the daemon hold.",
  ],
  ["rendezvous/", "Rendezvous", "Both servers."],
  ["rendezvous/registry/", "Registry", "What clients of the registry can make it hold or do."],
  ["rendezvous/beacon/", "Beacon", "What datagrams can make the beacon hold or do."],
  ["sdk/", "SDK", "Buffers and waits in a program that uses the SDK."],
  ["cli/", "CLI", "Waits and sizes of commands."],
  ["gateway/", "Gateway", "Connections and mappings of the gateway."],
];

const HEAD = `<!-- deno-fmt-ignore-file -->
<!-- Made from the source by \`deno task limits\`; a test compares the two. Change the constants, not this file. -->

# Limits

Everything that somebody else can make grow has a bound, and everything that waits for somebody
else has an end. This is all of them: the constant, its value, what it bounds and why it has this
value, and the file to change it in. None of them can be changed at run time unless the text says so.

Sizes are bytes (KiB = 1024, MiB = 1024 KiB). A rate is what may happen per second, after a burst.
`;

/**
 * Writes the document.
 *
 * @param limits The bounds.
 * @returns Markdown.
 */
export function limitsDocument(limits: readonly Limit[]): string {
  const parts = PARTS.map(([folder, heading, intro]) => {
    const own = limits.filter(({ path }) => folderOf(path) === folder);
    if (own.length === 0) return "";
    const rows = own.map(({ name, value, why, path }) =>
      `| \`${name}\` | ${describe(name, value)} | ${why.replaceAll("|", "\\|")} | \`${path}\` |`
    );
    return [
      `\n## ${heading}\n`,
      `${intro}\n`,
      "| limit | value | what and why | where |",
      "|---|---|---|---|",
      ...rows,
      "",
    ]
      .join("\n");
  });
  return HEAD + parts.join("");
}

function folderOf(path: string): string | undefined {
  const fitting = PARTS.map(([folder]) => folder).filter((folder) => path.startsWith(folder));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

function describe(name: string, value: Limit["value"]): string {
  if (typeof value !== "number") return `${group(value.perSecond)}/s, burst ${group(value.burst)}`;
  if (/(?:^|_)BYTES(?:_|$)|Bytes$/.test(name)) return size(value);
  if (/_MS$|Ms$/.test(name)) return duration(value);
  if (/_S$/.test(name)) return duration(value * 1000);
  return group(value);
}

function size(bytes: number): string {
  for (const [unit, factor] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${group(bytes / factor)} ${unit}`;
  }
  return `${group(bytes)} B`;
}

function duration(ms: number): string {
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const;
  for (const [unit, factor] of units) {
    if (ms >= 2 * factor && ms % factor === 0) return `${group(ms / factor)} ${unit}`;
  }
  return ms % 1000 === 0 && ms > 0 ? `${ms / 1000} s` : `${group(ms)} ms`;
}

function group(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, " ");
}
