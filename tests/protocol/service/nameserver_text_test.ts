import assert from "node:assert/strict";
import fc from "fast-check";
import { DecodeError, PilotError } from "../../../protocol/errors.ts";
import {
  decodeNameReply,
  decodeNameRequest,
  encodeNameReply,
  encodeNameRequest,
  isName,
  isPlainName,
  MAX_NAME_BYTES,
  MAX_NAME_REPLY_BYTES,
  MAX_NAME_REQUEST_BYTES,
  type NameReply,
  type NameRequest,
} from "../../../protocol/service/nameserver_text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const FIVE = { network: 0, node: 5 };
const ADDRESS = "0:0000.0000.0005";

/** Requests as they stand in docs/protocol/nameserver.md §2. */
const REQUESTS: readonly [string, NameRequest][] = [
  ["QUERY A alice", { command: "query", question: { type: "A", name: "alice" } }],
  ["QUERY N lab", { command: "query", question: { type: "N", name: "lab" } }],
  ["QUERY S 7 8080", { command: "query", question: { type: "S", network: 7, port: 8080 } }],
  [
    `REGISTER A alice ${ADDRESS}`,
    { command: "register", record: { type: "A", name: "alice", address: FIVE } },
  ],
  ["REGISTER N lab 65535", {
    command: "register",
    record: { type: "N", name: "lab", network: 65535 },
  }],
  [`REGISTER S web ${ADDRESS} 7 8080`, {
    command: "register",
    record: { type: "S", name: "web", address: FIVE, network: 7, port: 8080 },
  }],
];

const REPLIES: readonly [string, NameReply][] = [
  ["OK", { kind: "ok" }],
  ['ERR name "x" not found', { kind: "error", message: 'name "x" not found' }],
  [`A alice ${ADDRESS}`, { kind: "A", name: "alice", address: FIVE }],
  ["N lab 7", { kind: "N", name: "lab", network: 7 }],
  ["S", { kind: "S", providers: [] }],
  [`S web ${ADDRESS} 80\nS two 3:0003.0001.0002 0`, {
    kind: "S",
    providers: [
      { name: "web", address: FIVE, port: 80 },
      { name: "two", address: { network: 3, node: 0x10002 }, port: 0 },
    ],
  }],
];

Deno.test("name requests and replies are the text of the reference, in both directions", () => {
  for (const [line, request] of REQUESTS) {
    assert.equal(text(encodeNameRequest(request)), line);
    assert.deepEqual(decodeNameRequest(bytes(line)), request);
  }
  for (const [line, reply] of REPLIES) {
    assert.equal(text(encodeNameReply(reply)), line);
    assert.deepEqual(decodeNameReply(bytes(line)), reply);
    assert.deepEqual(decodeNameReply(bytes(`${line}\n`)), reply);
  }
});

Deno.test("decodeNameRequest takes any white space and case, keeps names and ignores further fields", () => {
  const question = { type: "A", name: "Alice" };
  for (
    const line of ["query a Alice", "  QUERY\tA\r\nAlice\n", "QuErY\u0085A\u00a0Alice more 1 2"]
  ) {
    assert.deepEqual(decodeNameRequest(bytes(line)), { command: "query", question }, line);
  }
  // No white space elsewhere, so it belongs to the name.
  assert.deepEqual(decodeNameRequest(bytes("QUERY A \ufeffx")), {
    command: "query",
    question: { type: "A", name: "\ufeffx" },
  });
});

Deno.test("decodeNameRequest says what is wrong in the words of the reference", () => {
  const cases: [string | Uint8Array, string][] = [
    ["", "too few fields"],
    [" \n", "too few fields"],
    ["QUERY", "too few fields"],
    ["LOOKUP A x", "unknown command: LOOKUP"],
    ["QUERY MX x", "unknown record type: MX"],
    ["QUERY A", "usage: QUERY A <name>"],
    ["QUERY S 1", "usage: QUERY S <net_id> <port>"],
    ["REGISTER A x", "usage: REGISTER A <name> <address>"],
    ["REGISTER N x", "usage: REGISTER N <name> <net_id>"],
    [`REGISTER S x ${ADDRESS} 1`, "usage: REGISTER S <name> <address> <net_id> <port>"],
    ["REGISTER A x 5", 'invalid address "5"'],
    ["REGISTER A x 1:0002.0000.0005", 'invalid address "1:0002.0000.0005"'],
    ["REGISTER N x 65536", 'invalid network "65536"'],
    ["REGISTER N x -1", 'invalid network "-1"'],
    [`REGISTER S x ${ADDRESS} 0x1 2`, 'invalid network "0x1"'],
    [`REGISTER S x ${ADDRESS} 1 1e3`, 'invalid port "1e3"'],
    ["QUERY S x 1", 'invalid network "x"'],
    ["QUERY S 1 70000", 'invalid port "70000"'],
    [`QUERY A ${"é".repeat(127)}`, `name is longer than ${MAX_NAME_BYTES} bytes`],
    ["QUERY N a\u001b[2Jb", "name holds a control character"],
    [`REGISTER A \0 ${ADDRESS}`, "name holds a control character"],
    [Uint8Array.of(0x51, 0xff), "text is not valid UTF-8"],
    [
      "x".repeat(MAX_NAME_REQUEST_BYTES + 1),
      `request is longer than ${MAX_NAME_REQUEST_BYTES} bytes`,
    ],
  ];
  for (const [request, message] of cases) {
    const error = decodeNameRequest(typeof request === "string" ? bytes(request) : request);
    assert.ok(error instanceof DecodeError, String(request));
    assert.equal(error.message, message);
  }
});

const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).filter(isName);
const number16 = fc.integer({ min: 0, max: 0xffff });
const address = fc.record({ network: number16, node: fc.integer({ min: 0, max: 0xffffffff }) });

Deno.test("every request of the longest names fits and comes back as it was", () => {
  const longest = fc.constant("n".repeat(MAX_NAME_BYTES));
  const anyName = fc.oneof(name, longest);
  const request: fc.Arbitrary<NameRequest> = fc.oneof(
    fc.record({
      command: fc.constant("query" as const),
      question: fc.oneof(
        fc.record({ type: fc.constantFrom("A" as const, "N" as const), name: anyName }),
        fc.record({ type: fc.constant("S" as const), network: number16, port: number16 }),
      ),
    }),
    fc.record({
      command: fc.constant("register" as const),
      record: fc.oneof(
        fc.record({ type: fc.constant("A" as const), name: anyName, address }),
        fc.record({ type: fc.constant("N" as const), name: anyName, network: number16 }),
        fc.record({
          type: fc.constant("S" as const),
          name: anyName,
          address,
          network: number16,
          port: number16,
        }),
      ),
    }),
  );
  fc.assert(fc.property(request, (request) => {
    const encoded = encodeNameRequest(request);
    assert.ok(encoded.length <= MAX_NAME_REQUEST_BYTES);
    assert.deepEqual(decodeNameRequest(encoded), structuredClone(request));
  }));
});

Deno.test("provider lists come back as they were; those beyond the longest reply are left out", () => {
  const providers = fc.array(fc.record({ name, address, port: number16 }), { maxLength: 20 });
  fc.assert(fc.property(providers, (providers) => {
    const reply = { kind: "S", providers } as const;
    assert.deepEqual(decodeNameReply(encodeNameReply(reply)), structuredClone(reply));
  }));
  const long = { name: "n".repeat(MAX_NAME_BYTES), address: FIVE, port: 80 };
  const encoded = encodeNameReply({ kind: "S", providers: Array(1000).fill(long) });
  const line = `S ${long.name} ${ADDRESS} 80`.length;
  assert.equal(
    encoded.length,
    Math.floor((MAX_NAME_REPLY_BYTES + 1) / (line + 1)) * (line + 1) - 1,
  );
  const decoded = decodeNameReply(encoded);
  assert.ok(!(decoded instanceof DecodeError) && decoded.kind === "S");
  assert.deepEqual(decoded.providers.at(-1), long);
});

Deno.test("decoders of names are total", () => {
  const words = fc.array(
    fc.constantFrom(
      "QUERY",
      "REGISTER",
      "A",
      "N",
      "S",
      "OK",
      "ERR",
      ADDRESS,
      "1",
      "\n",
      "x",
      "70000",
    ),
    { maxLength: 12 },
  ).map((words) => bytes(words.join(" ")));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), words), (data) => {
    for (const decoded of [decodeNameRequest(data), decodeNameReply(data)]) {
      assert.ok(decoded instanceof DecodeError || "command" in decoded || "kind" in decoded);
    }
  }));
});

Deno.test("decodeNameReply refuses what is no reply", () => {
  for (const line of ["", "HELLO", "A x", "A x y", "N x", "N x 70000", "S x", "S\nA x", "ok"]) {
    assert.ok(decodeNameReply(bytes(line)) instanceof DecodeError, line);
  }
  assert.ok(decodeNameReply(new Uint8Array(MAX_NAME_REPLY_BYTES + 1)) instanceof DecodeError);
});

Deno.test("encodeNameRequest refuses names and numbers that would become another request", () => {
  const refused: NameRequest[] = [
    ...["", "a b", "a\nb", "a\u0085b", "\ud800", "a\u001b", "n".repeat(MAX_NAME_BYTES + 1)].map((
      name,
    ) => ({
      command: "query" as const,
      question: { type: "A" as const, name },
    })),
    { command: "query", question: { type: "S", network: -1, port: 0 } },
    { command: "query", question: { type: "S", network: 0, port: 1.5 } },
    { command: "register", record: { type: "N", name: "x", network: 65536 } },
  ];
  for (const request of refused) {
    assert.throws(
      () => encodeNameRequest(request),
      (error) => error instanceof PilotError && error.code === "invalid_argument",
    );
  }
});

Deno.test("requests, replies and names are taken up to their last byte", () => {
  const padded = (text: string, length: number) => bytes(text.padEnd(length));
  assert.ok(
    !(decodeNameRequest(padded("QUERY A a", MAX_NAME_REQUEST_BYTES)) instanceof DecodeError),
  );
  assert.ok(
    decodeNameRequest(padded("QUERY A a", MAX_NAME_REQUEST_BYTES + 1)) instanceof DecodeError,
  );
  assert.deepEqual(decodeNameReply(padded("OK", MAX_NAME_REPLY_BYTES)), { kind: "ok" });
  assert.ok(decodeNameReply(padded("OK", MAX_NAME_REPLY_BYTES + 1)) instanceof DecodeError);
  const label = "a".repeat(63);
  const longest = [label, label, label, "a".repeat(MAX_NAME_BYTES - 3 * 64)].join(".");
  assert.equal(longest.length, MAX_NAME_BYTES);
  assert.deepEqual([isPlainName(longest), isPlainName(`${longest}a`)], [true, false]);
});

Deno.test("a list of providers fills the longest reply to its last byte", () => {
  const line = (name: string) => `S ${name} ${ADDRESS} 80`.length;
  const provider = (name: string) => ({ name, address: FIVE, port: 80 });
  const lines = Math.floor((MAX_NAME_REPLY_BYTES - 100) / (line("a") + 1));
  const rest = MAX_NAME_REPLY_BYTES - lines * (line("a") + 1);
  for (const [over, kept] of [[0, lines + 1], [1, lines]] as const) {
    const last = "b".repeat(1 + rest - line("a") + over);
    const providers = [...Array.from({ length: lines }, () => provider("a")), provider(last)];
    const wire = encodeNameReply({ kind: "S", providers });
    assert.equal(text(wire).split("\n").length, kept);
    if (over === 0) assert.equal(wire.length, MAX_NAME_REPLY_BYTES);
  }
});
