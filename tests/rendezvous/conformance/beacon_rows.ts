/**
 * What a beacon answers to each message of docs/protocol/beacon.md §1, in hex as it goes over the wire.
 *
 * Sockets are called A, B and C. `{A}` is the endpoint of A as messages carry it: length of the address, address, port.
 */

/** Whose socket. */
export type Who = "A" | "B" | "C";

/** One datagram and what comes of it. */
export interface BeaconRow {
  readonly about: string;
  /** Discovers and the like before it, whose answers are not looked at. */
  readonly given?: readonly (readonly [Who, string])[];
  readonly send: readonly [Who, string];
  /** Everything that anybody gets for it, in order; nothing unless it is said. */
  readonly answers?: Partial<Readonly<Record<Who, readonly string[]>>>;
}

const A_IS_42 = ["A", "010000002a"] as const;
const B_IS_43 = ["B", "010000002b"] as const;
const BOTH = [A_IS_42, B_IS_43];
const HELLO = "68656c6c6f";
/** Relay of "hello" from 42 to 43. */
const RELAY = `050000002a0000002b${HELLO}`;

/** The beginnings of a message, the empty one among them, none of which it answers. */
function truncated(name: string, message: string): BeaconRow[] {
  return Array.from({ length: message.length / 2 }, (_, bytes) => ({
    about: `${name} of ${bytes} bytes is ignored`,
    given: BOTH,
    send: ["A", message.slice(0, 2 * bytes)] as const,
  }));
}

/** Message types that are none, or not for a beacon, well-formed where there is a form. */
const NOT_FOR_BEACONS: readonly string[] = [
  "00",
  "000000002a",
  "0204cb0071050fa0",
  "0404cb0071060fa1",
  `060000002a${HELLO}`,
  `090000002a0000002b${HELLO}`,
  "0a0000002a",
  "0b0000002a",
  "0c0000002a",
  `0e01${"00".repeat(32)}`,
  `0f${"00".repeat(20)}`,
  "100000002a",
  "50494c54010000002a",
  "50494c50",
  `ff${"00".repeat(100)}`,
];

/** docs/protocol/beacon.md §2: Server behavior. */
export const BEACON_ROWS: readonly BeaconRow[] = [
  {
    about: "Discover is answered with the observed endpoint",
    send: ["A", "010000002a"],
    answers: { A: ["02{A}"] },
  },
  {
    about: "Discover of node 0, the question before registration, is answered",
    send: ["A", "0100000000"],
    answers: { A: ["02{A}"] },
  },
  {
    about: "Discover of the largest number is answered",
    send: ["A", "01ffffffff"],
    answers: { A: ["02{A}"] },
  },
  {
    about: "Discover may have bytes after it",
    send: ["A", "010000002affffffffff"],
    answers: { A: ["02{A}"] },
  },
  {
    about: "Discover of a known node from the same endpoint is answered again",
    given: [A_IS_42],
    send: ["A", "010000002a"],
    answers: { A: ["02{A}"] },
  },
  {
    about: "Discover of a known node from elsewhere is answered with the new endpoint",
    given: [A_IS_42],
    send: ["B", "010000002a"],
    answers: { B: ["02{B}"] },
  },
  {
    about: "DiscoverEx is answered like Discover",
    send: ["A", "080000002a"],
    answers: { A: ["02{A}"] },
  },
  ...truncated("Discover", "010000002a"),
  ...truncated("DiscoverEx", "080000002a"),
  {
    about: "PunchRequest tells both where the other is",
    given: BOTH,
    send: ["A", "030000002a0000002b"],
    answers: { A: ["04{B}"], B: ["04{A}"] },
  },
  {
    about: "PunchRequest may have bytes after it",
    given: BOTH,
    send: ["A", "030000002a0000002bffff"],
    answers: { A: ["04{B}"], B: ["04{A}"] },
  },
  {
    about: "PunchRequest from elsewhere moves nobody: the commands go to those who discovered",
    given: BOTH,
    send: ["C", "030000002a0000002b"],
    answers: { A: ["04{B}"], B: ["04{A}"] },
  },
  {
    about: "PunchRequest for an unknown target is dropped",
    given: [A_IS_42],
    send: ["A", "030000002a0000002b"],
  },
  {
    about: "PunchRequest of an unknown requester is dropped",
    given: [B_IS_43],
    send: ["A", "030000002a0000002b"],
  },
  {
    about: "PunchRequest for oneself is dropped",
    given: [A_IS_42],
    send: ["A", "030000002a0000002a"],
  },
  {
    about: "PunchRequest for node 0 is dropped",
    given: [A_IS_42, ["B", "0100000000"]],
    send: ["A", "030000002a00000000"],
  },
  ...truncated("PunchRequest", "030000002a0000002b"),
  {
    about: "Relay arrives without its destination",
    given: BOTH,
    send: ["A", RELAY],
    answers: { B: [`060000002a${HELLO}`] },
  },
  {
    about: "Relay of nothing arrives as nothing",
    given: BOTH,
    send: ["A", "050000002a0000002b"],
    answers: { B: ["060000002a"] },
  },
  {
    about: "Relay arrives with its destination where DiscoverEx asked for that",
    given: [A_IS_42, ["B", "080000002b"]],
    send: ["A", RELAY],
    answers: { B: [`090000002a0000002b${HELLO}`] },
  },
  {
    about: "Relay arrives without its destination again after a plain Discover",
    given: [A_IS_42, ["B", "080000002b"], B_IS_43],
    send: ["A", RELAY],
    answers: { B: [`060000002a${HELLO}`] },
  },
  {
    about: "Relay goes to where the last Discover came from",
    given: [A_IS_42, B_IS_43, ["C", "010000002b"]],
    send: ["A", RELAY],
    answers: { C: [`060000002a${HELLO}`] },
  },
  {
    about: "Relay of an unknown sender is passed on, and makes it no known one",
    given: [B_IS_43, ["C", RELAY]],
    send: ["B", `050000002b0000002a${HELLO}`],
  },
  {
    about: "Relay to oneself comes back",
    given: [A_IS_42],
    send: ["A", `050000002a0000002a${HELLO}`],
    answers: { A: [`060000002a${HELLO}`] },
  },
  { about: "Relay to an unknown node is dropped", given: [A_IS_42], send: ["A", RELAY] },
  {
    about: "Relay to node 0 is dropped",
    given: [A_IS_42, ["B", "0100000000"]],
    send: ["A", `050000002a00000000${HELLO}`],
  },
  ...truncated("Relay", "050000002a0000002b"),
  {
    about: "Sync from a stranger teaches nothing",
    given: [A_IS_42, ["C", "070000000100010000002b"]],
    send: ["A", RELAY],
  },
  {
    about: "Sync from a stranger is not answered",
    given: BOTH,
    send: ["C", "070000000100020000002a0000002b"],
  },
  ...truncated("Sync", "070000000100020000002a0000002b"),
  {
    about: "Sync that counts more nodes than it has is ignored",
    given: BOTH,
    send: ["C", "0700000001ffff0000002a"],
  },
  ...NOT_FOR_BEACONS.map((message): BeaconRow => ({
    about: `${message.slice(0, 20)} (${message.length / 2} bytes) is no message for a beacon`,
    given: BOTH,
    send: ["A", message],
  })),
];
